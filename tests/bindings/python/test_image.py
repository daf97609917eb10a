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


def ramp(shape=(4, 5, 6), dtype="f4"):
    z, y, x = numpy.meshgrid(*map(numpy.arange, shape), indexing="ij")
    return (x + 10 * y + 100 * z).astype(dtype)


def test_a_spacing_keeps_the_box_and_a_size_its_edges():
    volume = kiban.Volume(ramp(), (1, 2, 3), (10, 20, 30))
    finer = kiban.image.resample(volume, spacing_mm=0.5, extend=True)
    assert finer.array.shape == (24, 20, 12) and finer.spacing_mm == (0.5, 0.5, 0.5)
    assert numpy.allclose(finer.origin_mm, (9.75, 19.25, 28.75))  # edges where they were: half a voxel before the first
    # Linear values stay linear: of x in mm 1 a mm, of y 5, of z 33.3, as far as there are centres.
    inside = finer.array[5:-5, 3:-3, 1:-1]
    assert numpy.allclose(numpy.diff(inside, axis=2), 0.5, atol=1e-4)
    assert numpy.allclose(numpy.diff(inside, axis=1), 2.5, atol=1e-4)
    assert kiban.image.resample(volume, size=(12, 20, 24), extend=True).array.tolist() == finer.array.tolist()


def test_cutting_and_padding_move_no_voxel():
    volume = kiban.Volume(ramp(dtype="i2"), (1, 2, 3), (10, 20, 30))
    cut = kiban.image.resample(volume, start=(1, -1, 2), size=(3, 4, 5), padding=-1024)
    assert cut.array.dtype == numpy.int16 and cut.origin_mm == (11, 18, 36)
    truth = numpy.full((5, 4, 3), -1024)
    truth[:2, 1:] = volume.array[2:, :3, 1:4]
    assert (cut.array == truth).all()
    assert kiban.image.resample(volume, start=(2, 0, 0)).array.tolist() == volume.array[:, :, 2:].tolist()


def test_an_orientation_turns_axes():
    volume = kiban.Volume(ramp(), (1, 2, 3), (10, 20, 30))
    turned = kiban.image.resample(volume, orientation="SRA", interpolation="nearest")
    assert turned.array.shape == (5, 6, 4) and turned.spacing_mm == (3, 1, 2)
    assert (turned.array == volume.array.transpose(1, 2, 0)[::-1, ::-1]).all()
    assert numpy.allclose(turned.origin_mm, (15, 28, 30))


@pytest.mark.parametrize("asked, words", [
    ({"orientation": "LPX"}, "orientation is LPX; give one letter each of R or L, A or P, S or I"),
    ({"orientation": "LRS"}, "orientation is LRS"),
    ({"start": (7, 0, 0)}, "start leaves no voxel along axis 0"),
    ({"start": 1, "spacing_mm": 1}, "start and spacing_mm contradict each other"),
    ({"padding": 1, "extend": True}, "padding and extend contradict each other"),
    ({"padding": 300}, "the padding is no uint8"),
    ({"spacing_mm": 1e-9}, "which needs"),
    ({"interpolation": "nearest", "type": "float32"}, "nearest interpolation keeps uint8 as it is; leave type out"),
])
def test_a_grid_that_cannot_be_is_refused(asked, words):
    with pytest.raises(kiban.Error) as caught:
        kiban.image.resample(kiban.Volume(ramp(dtype="u1")), **asked)
    assert words in str(caught.value)


def test_like_needs_a_place_on_both_sides():
    placed, bare = kiban.Volume(ramp(), 1.0), ramp((3, 3, 3))
    assert kiban.image.resample(bare, like=bare).array.tolist() == bare.tolist()
    for image, like in ((placed, bare), (bare, placed)):
        with pytest.raises(kiban.Error, match="where its voxels lie and the other volume"):
            kiban.image.resample(image, like=like)


def test_splines_refuse_what_they_would_spread():
    image = ramp()
    image[1, 2, 3] = numpy.nan
    with pytest.raises(kiban.Error, match="a cubic spline carries it over the whole volume"):
        kiban.image.resample(image, size=7, interpolation="cubic")
    assert numpy.isnan(kiban.image.resample(image, size=(6, 5, 4)).array).sum() == 1


def test_logits_of_a_file_with_four_axes(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    logits = numpy.random.default_rng(1).normal(size=(3, 4, 5, 6)).astype("f4")
    nibabel.save(nibabel.Nifti1Image(logits.transpose(3, 2, 1, 0), numpy.diag([-2, -2, 3, 1.0])), tmp_path / "l.nii.gz")
    made = kiban.image.argmax(tmp_path / "l.nii.gz")
    assert made.spacing_mm == (2, 2, 3) and (made.array == logits.argmax(0)).all()
    assert (kiban.image.argmax(logits).array == logits.argmax(0)).all()
    with pytest.raises(kiban.Error, match="has 4 dimensions, and 2 to 3 can be read here"):
        kiban.read(tmp_path / "l.nii.gz")
    with pytest.raises(kiban.Error, match=r"logits has 3 axes and must have four, \[class, slice, row, column\]"):
        kiban.image.argmax(logits[0])
    truncated = (tmp_path / "l.nii.gz").read_bytes()[:-40]
    (tmp_path / "t.nii.gz").write_bytes(truncated)
    with pytest.raises(kiban.Error):
        kiban.image.argmax(tmp_path / "t.nii.gz")


def test_integers_keep_their_type_in_files(tmp_path):
    image = ramp(dtype="i2") - 300
    kiban.Volume(image, (1, 2, 3)).write(tmp_path / "i.nii.gz")
    assert kiban.read(tmp_path / "i.nii.gz", keep_type=True).dtype == numpy.int16
    kiban.run("image.resample", image=tmp_path / "i.nii.gz", resampled=tmp_path / "o.mha", size=(3, 3, 3))
    assert kiban.read(tmp_path / "o.mha", keep_type=True).dtype == numpy.int16
