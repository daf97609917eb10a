"""docs/python.md and docs/gallery: the code runs, the pictures are there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = DOCS / "python.md"
GALLERY = sorted((DOCS / "gallery").glob("*.py"))
LARGEST_PICTURE = 150_000


BUILD = Path(os.environ.get("KIBAN_BUILD", ""))


def environment(queue="sqlite:///no/queue"):
    return dict(os.environ, MPLBACKEND="agg", KIBAN_QUEUE=queue, PATH=f"{BUILD / 'bin'}:{os.environ['PATH']}")


def test_there_is_a_gallery():
    assert len(GALLERY) >= 4


@pytest.mark.parametrize("script", GALLERY, ids=lambda script: script.stem)
def test_gallery(script, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    if script.stem == "handover":
        pytest.importorskip("SimpleITK"), pytest.importorskip("nibabel")
    picture = tmp_path / "picture.png"
    result = subprocess.run([sys.executable, script, "48", picture], cwd=tmp_path, env=environment(),
                            capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert image.imread(picture)[..., :3].std() > 0.02
    assert os.listdir(tmp_path) == ["picture.png"]

    shown = script.with_suffix(".png")
    assert shown.stat().st_size < LARGEST_PICTURE
    assert f"gallery/{shown.name}" in PAGE.read_text() and f"gallery/{script.name}" in PAGE.read_text()


def test_gallery_on_a_real_scan(tmp_path):
    pytest.importorskip("matplotlib")
    data = Path(os.environ.get("KIBAN_TEST_DATA") or DOCS.parent.parent / "shared" / "data")
    tooth = data / "ct" / "tooth.h5"
    if not tooth.exists():
        pytest.skip(f"no {tooth}; set KIBAN_TEST_DATA")
    result = subprocess.run([sys.executable, DOCS / "gallery" / "raw_scan.py", "48", tmp_path / "tooth.png", tooth],
                            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    centre = float(re.search(r"column ([0-9.]+)", result.stdout).group(1))
    assert abs(centre - 295.5) < 0.5


def test_the_code_of_the_page_runs(tmp_path):
    """One program, block after block, as a reader would type it."""
    for peer in ("matplotlib", "SimpleITK", "nibabel"):
        pytest.importorskip(peer)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert len(blocks) >= 6
    if not (BUILD / "bin" / "kiban").is_file():
        pytest.skip("KIBAN_BUILD leads to no bin/kiban that could be a worker")
    (tmp_path / "page.py").write_text("\n\n".join(blocks))
    result = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, env=environment(f"sqlite://{tmp_path}/queue.sqlite"),
                            capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
