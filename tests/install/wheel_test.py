"""Builds the wheel, installs it where nothing else of Kiban is, and looks at what it then runs on."""

import email
import json
import os
import re
import shutil
import subprocess
import sys
import unittest
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = Path.cwd() / "wheel"
VERSION = os.environ["KIBAN_VERSION"]
# What the wheel's tag promises: glibc, GCC's run-time library, zlib.
PROMISED = re.compile(r"(ld-linux.*|lib(c|m|dl|pthread|rt|util|stdc\+\+|gcc_s|z))([.-][\d.]+)?\.so(\.\d+)*")

# A scan and its reconstruction, and then every file that this process has mapped.
IMPORTED = """
import json, kiban
projections, geometry = kiban.ct.simulate(phantom="shepp-logan", views=8, columns=16, rows=16)
volume = kiban.ct.fdk(projections, geometry, size=16, spacing_mm=16)
lines = open("/proc/self/maps").read().splitlines()
print(json.dumps({"version": kiban.__version__, "shape": list(volume.array.shape), "at": kiban.__file__,
                  "mapped": sorted({line.split(None, 5)[5] for line in lines if line.count("/")})}))
"""

# Jobs that the wheel's own command runs, by executors begun from its own file.
QUEUED = """
import json, os, subprocess, sys, kiban
url = "sqlite://" + os.path.abspath("queue/queue.sqlite")
os.makedirs("queue", exist_ok=True)
queue = kiban.Queue(url)
scan = queue.submit("ct.simulate", phantom="shepp-logan", views=8, columns=16, projections="queue/p.mha",
                    geometry="queue/g.xml")
head = queue.submit("ct.fdk", projections="queue/p.mha", geometry="queue/g.xml", volume="queue/v.mha", size=16, after=[scan])
subprocess.run([sys.argv[1], "worker", "--exit-when-idle", "0.5"], env=dict(os.environ, KIBAN_QUEUE=url), check=True)
done = queue.wait([scan, head], timeout_s=60)
(_, made) = queue.results(done)
print(json.dumps({"states": [job.state for job in done], "shape": list(made["volume"].shape)}))
"""


def environment():
    """Nothing that could lead the loader or Python back to this tree."""
    return {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")} | {
        name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}


def run(*command):
    done = subprocess.run([str(each) for each in command], cwd=WORK, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{command[0]} failed ({done.returncode}):\n{done.stdout}\n{done.stderr}")
    return done.stdout


def pythons_own(mapped):
    """Of these files, the standard library's extensions, and what each of them loads."""
    extensions = [file for file in mapped if "lib-dynload" in file.parts or file.name.startswith("libpython")]
    loads = "".join(run("ldd", file) for file in extensions)
    return {*extensions, *(Path(file).resolve() for file in re.findall(r"=> (/\S+)", loads))}


class Wheel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for old in (WORK / "dist").glob("*.whl"):
            old.unlink()
        subprocess.run([sys.executable, ROOT / "bindings" / "python" / "build_wheel.py", WORK / "dist",
                        f"-Cbuild-dir={WORK / 'build'}", f"-Ccmake.define.KIBAN_CUDA={os.environ['KIBAN_CUDA']}"], check=True)
        (cls.wheel,) = (WORK / "dist").glob("*.whl")
        venv.create(WORK / "venv", clear=True, with_pip=True)
        cls.python = WORK / "venv" / "bin" / "python"
        run(cls.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", cls.wheel,
            f"--constraint={ROOT / 'bindings' / 'python' / 'requirements.txt'}")

    def names(self):
        with zipfile.ZipFile(self.wheel) as archive:
            return archive.namelist()

    def test_says_which_systems_it_runs_on(self):
        self.assertRegex(self.wheel.name, rf"^kiban-{VERSION}-cp3\d+-(cp3\d+|abi3)-manylinux_2_\d\d_\w+\.whl$")
        with zipfile.ZipFile(self.wheel) as archive:
            (page,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            metadata = email.message_from_bytes(archive.read(page))
        self.assertEqual((metadata["Name"], metadata["Version"], metadata["Requires-Python"]), ("kiban", VERSION, ">=3.11"))

    def test_is_typed(self):
        self.assertTrue({"kiban/py.typed", "kiban/__init__.pyi", "kiban/ct.pyi"} <= set(self.names()))

    def test_holds_each_library_once_with_its_licence(self):
        # auditwheel puts a hash into each name: libITKCommon-5-15084a0b.2.so.1
        libraries = [re.sub(r"-[0-9a-f]{8}\b|\.so.*", "", name.split("/")[-1]) for name in self.names() if ".so" in name]
        self.assertEqual(len(libraries), len(set(libraries)), libraries)
        for expected in ("libkiban_kernels", "libkiban_io", "libkiban_engine", "libtbb", "libITKCommon-5",
                         "libsqlite3", "libcrypto"):
            self.assertTrue(any(name.startswith(expected) for name in libraries), f"{expected} is not in {libraries}")
        licences = {name.split("/")[-1] for name in self.names() if ".dist-info/licenses/" in name}
        self.assertTrue({"LICENSE", "libtbb12.txt", "libinsighttoolkit5.2.txt", "libhdf5-103-1.txt", "nanobind.txt",
                         "libsqlite3-0.txt", "libssl3.txt"} <= licences)

    def test_runs_on_nothing_but_itself(self):
        seen = json.loads(run(self.python, "-c", IMPORTED).splitlines()[-1])
        self.assertEqual((seen["version"], seen["shape"]), (VERSION, [16, 16, 16]))
        site = Path(seen["at"]).parents[1]
        self.assertTrue(site.is_relative_to(WORK / "venv"))
        mapped = [Path(file) for file in seen["mapped"] if re.search(r"\.so(\.|$)", file)]
        from_wheel = [file.name for file in mapped if file.is_relative_to(site) and "numpy" not in file.parts]
        for expected in ("_kiban", "libkiban_engine", "libtbb", "libITKIOMeta", "libsqlite3"):
            self.assertTrue(any(name.startswith(expected) for name in from_wheel), f"{expected} is not from the wheel")
        self.assertEqual([str(file) for file in mapped if not file.is_relative_to(site)
                          and not PROMISED.fullmatch(file.name) and file not in pythons_own(mapped)], [])

    def test_carries_the_command(self):
        command = WORK / "venv" / "bin" / "kiban"
        self.assertIn(VERSION, run(command, "version"))
        self.assertIn("ct.fdk", run(command, "ops"))

    def test_carries_a_worker(self):
        shutil.rmtree(WORK / "queue", ignore_errors=True)
        seen = json.loads(run(self.python, "-c", QUEUED, WORK / "venv" / "bin" / "kiban").splitlines()[-1])
        self.assertEqual(seen, {"states": ["succeeded", "succeeded"], "shape": [16, 16, 16]})

    def test_names_no_folder_of_this_build(self):
        with zipfile.ZipFile(self.wheel) as archive:
            for name in archive.namelist():
                for folder in (ROOT, WORK):
                    self.assertNotIn(str(folder).encode() + b"/", archive.read(name), name)


if __name__ == "__main__":
    unittest.main()
