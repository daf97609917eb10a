"""Genotyping from Python, on the slice of NA12878; in this process, and by a worker, which brings the index along."""

import json
import os
import subprocess
from pathlib import Path

import pytest

import kiban

COMMAND = Path(os.environ.get("KIBAN_BUILD", "")) / "bin" / "kiban"
ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("KIBAN_TEST_DATA") or ROOT.parent / "shared" / "data") / "genome"
FILES = {
    "reads": DATA / "NA12878_S1.chr20.10_10p1mb.bam",
    "reference": DATA / "ucsc.hg19.chr20.unittest.fasta.gz",
    "candidates": DATA / "test_nist.b37_chr20_100kbp_at_10mb.vcf.gz",
}
pytestmark = pytest.mark.skipif(not all(file.exists() for file in FILES.values()), reason="the test data are missing")


def test_files_go_in_and_a_file_with_its_index_comes_out(tmp_path):
    scored = tmp_path / "scored.vcf.gz"
    assert kiban.variant.genotype(*FILES.values(), scored, regions="chr20:10000000-10002000") is None
    report = kiban.run("variant.genotype", **FILES, scored=tmp_path / "run.vcf.gz", regions="chr20:10000000-10002000")
    assert report["findings"]["records"]["value"] == 14
    assert scored.read_bytes() == (tmp_path / "run.vcf.gz").read_bytes()
    assert (tmp_path / "scored.vcf.gz.tbi").stat().st_size > 0


@pytest.mark.skipif(not COMMAND.exists(), reason="KIBAN_BUILD leads to no bin/kiban that could be a worker")
def test_a_worker_publishes_the_index(tmp_path, queue, url):
    scored = tmp_path / "scored.vcf.gz"
    job = queue.submit("variant.genotype", **FILES, scored=scored, regions="chr20:10000000-10002000")
    subprocess.run([COMMAND, "worker", "--device", "cpu", "--queue", url, "--exit-when-idle", "0.2"], check=True, timeout=120)
    (done,) = queue.wait([job], timeout_s=60)
    assert done.state == "succeeded", done.error
    assert scored.exists() and (tmp_path / "scored.vcf.gz.tbi").exists()
    (manifest,) = tmp_path.rglob("manifest.json")
    output = json.loads(manifest.read_text())["outputs"]["scored"]
    assert [each["file"] for each in output["beside"]] == ["scored.vcf.gz.tbi"]


def test_arrays_are_not_taken(tmp_path):
    with pytest.raises(kiban.Error, match="reads is of type list, but must be a path"):
        kiban.variant.genotype([1], FILES["reference"], FILES["candidates"], tmp_path / "a.vcf.gz")
