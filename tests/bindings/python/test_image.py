"""Label maps and images of any voxel type, in and out."""

import json

import kiban
import numpy
import pytest

LABEL_TYPES = ("u1", "u2", "u4")


def two_boxes(dtype="u1"):
    labels = numpy.zeros((5, 6, 9), dtype)
    labels[1:3, 1:3, 1:3] = 4
    labels[1:4, 1:5, 5:8] = 4
    return labels


@pytest.mark.parametrize("dtype", LABEL_TYPES + ("i1", "i2", "i4", "?"))
def test_labels_may_be_any_integers(dtype):
    made = kiban.image.components(two_boxes(dtype))
    assert made.dtype == numpy.uint8 and made.array.max() == 2
    assert made.report["findings"]["components"]["value"] == 2


def test_the_result_is_as_narrow_as_it_can_be():
    assert kiban.image.components(numpy.arange(600, dtype="u4").reshape(1, 20, 30) % 2 * 7).dtype == numpy.uint8
    many = numpy.zeros((1, 1, 600), "u1")
    many[..., ::2] = 1
    assert kiban.image.components(many).dtype == numpy.uint16


@pytest.mark.parametrize("dtype", LABEL_TYPES)
def test_a_given_array_is_filled(dtype):
    filled = numpy.full((5, 6, 9), 99, dtype)
    made = kiban.image.components(two_boxes(), labels=filled)
    assert made.array is filled and filled.max() == 2


@pytest.mark.parametrize("labels, words", [
    (numpy.zeros((2, 2, 2), "f4"), "image is float32, and labels are integers; give array.astype(numpy.uint16)"),
    (numpy.full((2, 2, 2), -3, "i2"), "image holds -3, and labels are whole numbers from 0 on"),
    (numpy.zeros((2, 2, 2), "i8"), "give array.astype(numpy.float32), or of labels array.astype(numpy.uint32)"),
])
def test_what_is_no_label_map_is_refused(labels, words):
    with pytest.raises(kiban.Error) as caught:
        kiban.image.components(labels)
    assert words in str(caught.value) and caught.value.code == kiban.ErrorCode.input


@pytest.mark.parametrize("filled, words", [
    (numpy.zeros((5, 6, 9), "i4"), "labels are written as uint8, uint16 or uint32"),
    (numpy.zeros((5, 6, 8), "u1"), "has shape [5, 6, 8] and the result has [5, 6, 9]"),
])
def test_an_array_that_cannot_be_filled_is_refused(filled, words):
    with pytest.raises(kiban.Error, match=words.replace("[", r"\[")):
        kiban.image.components(two_boxes(), labels=filled)


def test_too_narrow_an_array_is_refused():
    many = numpy.zeros((1, 1, 600), "u1")
    many[..., ::2] = 1
    with pytest.raises(kiban.Error, match="component 300 is more than uint8 holds; give an array of uint16"):
        kiban.image.components(many, labels=numpy.zeros_like(many))


def test_choices_that_are_numbers_are_numbers():
    diagonal = numpy.zeros((2, 2, 2), "u1")
    diagonal[0, 0, 0] = diagonal[1, 1, 1] = 1
    assert kiban.image.components(diagonal, connectivity=26).array.max() == 1
    assert kiban.image.components(diagonal, connectivity=18).array.max() == 2
    with pytest.raises(kiban.Error, match="connectivity is '8', but must be one of 6, 18, 26"):
        kiban.image.components(diagonal, connectivity=8)


@pytest.mark.parametrize("extension", ["mha", "nrrd", "nii", "nii.gz"])
@pytest.mark.parametrize("dtype", LABEL_TYPES)
def test_files_keep_type_and_place(tmp_path, dtype, extension):
    path = tmp_path / f"labels.{extension}"
    turned = kiban.Volume(two_boxes(dtype), (0.5, 1, 2), (3, 4, 5), [[0, 0, -1], [1, 0, 0], [0, 1, 0]])
    turned.write(path)
    read = kiban.read(path, labels=True)
    assert read.dtype == numpy.dtype(dtype) and (read.array == turned.array).all()
    assert numpy.allclose(read.affine, turned.affine, atol=1e-6)
    kiban.run("image.components", image=path, labels=tmp_path / f"numbers.{extension}")
    made = kiban.read(tmp_path / f"numbers.{extension}", labels=True)
    assert made.dtype == numpy.uint8 and numpy.allclose(made.affine, turned.affine, atol=1e-6)
    assert (made.array == kiban.image.components(turned).array).all()


def test_a_file_of_other_values_is_no_label_map(tmp_path):
    kiban.Volume(numpy.full((2, 3, 4), 0.5, "f4")).write(tmp_path / "half.nii.gz")
    with pytest.raises(kiban.Error, match=r"half.nii.gz: slice 0, row 0, column 0 \(counting from 0\) holds 0.5"):
        kiban.image.components(tmp_path / "half.nii.gz")


def test_cleaning_keeps_labels():
    labels = two_boxes()
    labels[2, 2, 6] = 0
    labels[0, 5, 0] = 9
    made = kiban.image.clean(labels, largest=1, fill_holes=True)
    expected = numpy.zeros_like(labels)
    expected[1:4, 1:5, 5:8] = 4
    expected[0, 5, 0] = 9
    assert (made.array == expected).all()
    findings = made.report["findings"]
    assert findings["components dropped"]["value"] == 1 and findings["holes filled"]["value"] == 1
    assert (kiban.image.clean(labels, smaller_than_mm3=2).array == numpy.where(labels == 9, 0, labels)).all()


def test_distances_have_the_spacing():
    row = kiban.Volume(numpy.array([[[1, 1, 1, 0, 2, 3]]], "u1"), (2, 1, 1))
    assert kiban.image.distance(row).array.ravel().tolist() == [6, 4, 2, 0, 2, 4]
    assert kiban.image.distance(row, labels_apart=True).array.ravel().tolist() == [6, 4, 2, 0, 2, 2]
    assert kiban.image.distance(row, signed=True).array.ravel().tolist() == [-6, -4, -2, 2, -2, -4]


def test_statistics_are_a_dict_and_a_file(tmp_path):
    labels = kiban.Volume(two_boxes(), (1, 2, 3))
    image = numpy.arange(labels.array.size, dtype="i2").reshape(labels.shape)
    report = kiban.image.statistics(labels, image=image)
    (found,) = report["labels"]
    assert found["label"] == 4 and found["voxels"] == 44 and found["volume_ml"] == pytest.approx(44 * 6 / 1000)
    assert found["mean"] == pytest.approx(image[labels.array == 4].mean())
    labels.write(tmp_path / "labels.nrrd")
    kiban.Volume(image, (1, 2, 3)).write(tmp_path / "image.nrrd")
    kiban.run("image.statistics", labels=tmp_path / "labels.nrrd", image=tmp_path / "image.nrrd",
              report=tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["labels"][0]["mean"] == found["mean"]


def test_statistics_want_one_grid():
    labels = kiban.Volume(two_boxes(), (1, 2, 3))
    with pytest.raises(kiban.Error, match="which lie elsewhere"):
        kiban.image.statistics(labels, image=kiban.Volume(numpy.zeros((5, 6, 9), "f4"), (1, 2, 4)))
    with pytest.raises(kiban.Error, match="resample one of them"):
        kiban.image.statistics(labels, image=numpy.zeros((5, 6, 8), "f4"))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4"])
def test_thresholds_take_every_type(dtype):
    image = numpy.arange(60, dtype=dtype).reshape(3, 4, 5)
    assert (kiban.image.threshold(image, low=10, high=20).array == ((image >= 10) & (image <= 20))).all()
    assert (kiban.image.otsu(image).array == (image >= 30)).all()


def test_thresholds_that_contradict_each_other_are_refused():
    image = numpy.zeros((2, 2, 2), "f4")
    for wrong in ({"high": 1}, {"sure": 1}, {"high": 5, "sure": 6}):
        with pytest.raises(kiban.Error) as caught:
            kiban.image.threshold(image, low=2, **wrong)
        assert caught.value.code == kiban.ErrorCode.usage
    with pytest.raises(kiban.Error, match="1 values that differ, and 2 classes are wanted"):
        kiban.image.otsu(image)


def test_one_voxel_and_nothing_are_right():
    one = numpy.ones((1, 1, 1), "u1")
    assert kiban.image.components(one).array.ravel().tolist() == [1]
    assert kiban.image.clean(one, fill_holes=True).array.ravel().tolist() == [1]
    assert kiban.image.distance(one).array.ravel().tolist() == [numpy.inf]
    assert kiban.image.threshold(one, low=1).array.ravel().tolist() == [1]
    assert kiban.image.statistics(numpy.zeros((1, 1, 1), "u1")) == {"labels": []}
