"""What editors and type checkers see: made from the same declarations."""

import shutil
import subprocess
import sys
from pathlib import Path

import kiban
import pytest

PACKAGE = Path(kiban.__file__).parent

RIGHT = """
import numpy
import kiban

scan = kiban.ct.simulate(phantom="shepp-logan", views=30)
volume: kiban.Volume = kiban.ct.fdk(*scan, size=(1, 2, 3), spacing_mm=2, window="hann", like=scan.projections)
volume = kiban.ct.fdk(numpy.zeros((2, 3, 4), "f4"), "g.xml", volume=volume, progress=lambda stage, fraction: None)
volume = kiban.skeleton.affine("a.mha", scale=2, device="cpu", threads=1)
geometry: kiban.ct.Geometry = kiban.ct.Geometry.from_rtk("g.xml")
views: int = len(scan.geometry)
report: dict[str, object] = kiban.run("ct.fdk", size=3)
code: kiban.ErrorCode = kiban.Error("sentence").code
queue = kiban.Queue()
job: kiban.Job = queue.submit("ct.fdk", size=3, key="k", after=[queue.job("id"), "id"], priority="stat")
jobs: list[kiban.Job] = queue.wait(queue.map("ct.fdk", [{"size": 3}], spacing_mm=2), 1.5, lambda stage, fraction: None)
queued: int = queue.counts().classes["stat"].queued + len(queue.jobs(state="failed", most=3))
for made in queue.results(jobs):
    print(made["volume"], job.refresh().error_code, job.result)
"""
WRONG = {
    'kiban.ct.fdk("p.mha", "g.xml", window="hamm")': '"window"',
    'kiban.ct.fdk("p.mha")': '"geometry"',
    'kiban.ct.fdk("p.mha", "g.xml", 256)': "Too many positional",
    "kiban.skeleton.affine([1, 2])": "Argument 1",
    'kiban.skeleton.affine("a.mha", scale="2")': '"scale"',
    'kiban.skeleton.affine("a.mha", factor=2)': '"factor"',
    "kiban.skeleton.linear": '"linear"',
    'kiban.Queue().submit("ct.fdk", priority="soon")': '"priority"',
    'kiban.Queue().submit("ct.fdk", after="3", timeout_s="3")': '"timeout_s"',
    "kiban.Queue().wait([3])": "incompatible type",
    'kiban.Queue().jobs(state="asleep")': '"state"',
    'kiban.Queue().job("id").state = "failed"': "read-only",
    "kiban.Queue().job('id').status": '"status"',
}


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """The package as an installed one: its sources, py.typed, and stubs written now."""
    root = tmp_path_factory.mktemp("typed")
    package = root / "kiban"
    package.mkdir()
    for file in [*PACKAGE.glob("*.py"), PACKAGE / "py.typed"]:
        shutil.copy(file, package)
    subprocess.run([sys.executable, "-m", "kiban._stubs", str(package)], check=True)
    return root


def mypy(root, text):
    (root / "use.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--no-incremental", "--hide-error-context", "use.py"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def test_stubs_name_every_operation(typed):
    for name, declared in kiban.operations().items():
        field, _, verb = name.rpartition(".")
        stub = (typed / "kiban" / f"{field}.pyi").read_text()
        assert f"def {verb.replace('-', '_')}(" in stub and declared["summary"] in stub
        assert f"from . import {field} as {field}" in (typed / "kiban" / "__init__.pyi").read_text()
    assert "class Geometry" in (typed / "kiban" / "_kiban.pyi").read_text()


def test_the_stubs_beside_the_extension_are_these(typed):
    """Those that the build wrote, where this is a build."""
    written = sorted(PACKAGE.glob("*.pyi"))
    if not written:
        pytest.skip("this package was built without stubs")
    for stub in written:
        assert stub.read_text() == (typed / "kiban" / stub.name).read_text(), stub.name


def test_right_programs_check(typed):
    pytest.importorskip("mypy")
    result = mypy(typed, RIGHT)
    assert result.returncode == 0, result.stdout


def test_wrong_programs_do_not(typed):
    pytest.importorskip("mypy")
    lines = list(WRONG)
    result = mypy(typed, "\n".join(["import kiban", *lines]) + "\n")
    for number, line in enumerate(lines, 2):
        assert any(found.startswith(f"use.py:{number}: error") and WRONG[line] in found
                   for found in result.stdout.splitlines()), f"{line}\n{result.stdout}"
