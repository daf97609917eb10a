"""Genomics from Python: the formula itself, in NumPy's double, beside what Kiban says."""

import numpy
import pytest

import kiban


def model(read, haplotype):
    """log10 likelihood, cell by cell."""
    bases, base_quality, insertion, deletion, gap = read
    def phred(q):
        return 10 ** (-numpy.broadcast_to(numpy.asarray(q, float), len(bases)) / 10)

    error, ins, dele, c = (phred(q) for q in (base_quality, insertion, deletion, gap))
    columns = len(haplotype)
    m, i, d = numpy.zeros(columns + 1), numpy.zeros(columns + 1), numpy.full(columns + 1, 1 / columns)
    for row, base in enumerate(bases):
        mm = 1 - min(1, ins[row] + dele[row])
        new_m, new_i, new_d = numpy.zeros((3, columns + 1))
        for j in range(1, columns + 1):
            equal = base == haplotype[j - 1] or "N" in (base, haplotype[j - 1])
            prior = 1 - error[row] if equal else error[row] / 3
            new_m[j] = prior * (m[j - 1] * mm + (i[j - 1] + d[j - 1]) * (1 - c[row]))
            new_i[j] = m[j] * ins[row] + i[j] * c[row]
            new_d[j] = new_m[j - 1] * dele[row] + new_d[j - 1] * c[row]
        m, i, d = new_m, new_i, new_d
    return numpy.log10((m + i)[1:].sum())


READS = [("ACGTN", [30, 31, 32, 33, 2], 45, 45, 10), ("TTACG", 25, [40] * 5, 41, [10, 10, 10, 5, 10])]
HAPLOTYPES = ["ACGTTACG", "TTACGA", "ACG"]


def test_pairs_are_scored_by_the_model():
    found = kiban.variant.pairhmm({"reads": READS, "haplotypes": HAPLOTYPES})
    assert found.shape == (2, 3) and found.dtype == numpy.float64
    expected = [[model(read, haplotype) for haplotype in HAPLOTYPES] for read in READS]
    numpy.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_bytes_arrays_and_lower_case_are_the_same():
    as_bytes = [(b"acgtn", numpy.array([30, 31, 32, 33, 2], numpy.uint8), bytes([45] * 5), 45, 10), READS[1]]
    numpy.testing.assert_array_equal(
        kiban.variant.pairhmm({"reads": as_bytes, "haplotypes": [b"acgttacg", *HAPLOTYPES[1:]]}, threads=1),
        kiban.variant.pairhmm({"reads": READS, "haplotypes": HAPLOTYPES}))


def test_a_file_gives_what_arrays_give(tmp_path):
    lines = ["2 3"]
    for bases, *qualities in READS:
        columns = [numpy.broadcast_to(q, len(bases)) for q in qualities]
        lines.append(" ".join([bases, *("".join(chr(33 + q) for q in column) for column in columns)]))
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("\n".join([*lines, *HAPLOTYPES]) + "\n")
    expected = kiban.variant.pairhmm({"reads": READS, "haplotypes": HAPLOTYPES})
    numpy.testing.assert_array_equal(kiban.variant.pairhmm(pairs), expected.ravel())
    kiban.run("variant.pairhmm", pairs=pairs, likelihoods=tmp_path / "out.txt")
    written = (tmp_path / "out.txt").read_text().splitlines()
    assert written == [f"{value:.6f}" for value in expected.ravel()]


def test_no_reads_are_no_likelihoods():
    assert kiban.variant.pairhmm({"reads": [], "haplotypes": HAPLOTYPES}).shape == (0, 3)


@pytest.mark.parametrize(("pairs", "word"), [
    ({"reads": READS}, "dict of reads and haplotypes"),
    ([1, 2], "dict of reads and haplotypes"),
    ({"reads": [("ACGT", 30, 45, 45)], "haplotypes": ["A"]}, "read 0"),
    ({"reads": ["ACGTA"], "haplotypes": ["A"]}, "read 0"),
    ({"reads": 5, "haplotypes": ["A"]}, "reads must be a list, not int"),
    ({"reads": [5], "haplotypes": ["A"]}, "read 0 must be a list"),
    ({"reads": READS, "haplotypes": "ACGT"}, "haplotypes must be a list, not str"),
    ({"reads": READS, "haplotypes": [7]}, "haplotype 0: bases are ASCII"),
    ({"reads": [("ACG\u00e9", 30, 45, 45, 10)], "haplotypes": ["A"]}, "read 0: bases are ASCII"),
    ({"reads": [("ACGT", [30, 30], 45, 45, 10)], "haplotypes": ["A"]}, "one a base"),
    ({"reads": [("ACGT", -1, 45, 45, 10)], "haplotypes": ["A"]}, "0 to 254"),
    ({"reads": [("ACGT", 255, 45, 45, 10)], "haplotypes": ["A"]}, "0 to 254"),
    ({"reads": [("ACGT", 30.5, 45, 45, 10)], "haplotypes": ["A"]}, "whole numbers"),
    ({"reads": [("", [], [], [], [])], "haplotypes": ["A"]}, "read 0 has no bases"),
    ({"reads": READS, "haplotypes": [""]}, "haplotype 0 has no bases"),
])
def test_what_is_wrong_is_said(pairs, word):
    with pytest.raises(kiban.Error, match=word):
        kiban.variant.pairhmm(pairs)
