"""The rules of docs/architecture.md that a program can check by reading: each is a function from a tree to faults.

A fault is one line, "path:line: what is wrong". `check(root)` returns all of them.
"""

import glob
import os
import re
from pathlib import Path

LONGEST_FILE = 400
SOURCES = {".cpp", ".hpp", ".cu", ".cuh"}
WRITTEN = SOURCES | {".py", ".cmake", ".md", ".txt", ".json", ""}
GENERATED = {"docs/operations.md", "LICENSE"}
NAMES_THAT_SAY_NOTHING = {"utils", "util", "common", "helpers", "misc"}

# Who may include whom. A room that is not listed (tests, benchmarks) may include every other; none may include it.
ARROWS = {
    "core": {"core"},
    "kernels": {"core", "kernels"},
    "io": {"core", "io"},
    "engine": {"core", "engine"},
    "operations": {"core", "kernels", "io", "engine", "operations"},
    "bindings": {"core", "kernels", "io", "engine", "operations", "bindings"},
}

# Headers of others that only some places may include: what, where it is welcome, where else it is ignored, why.
WELCOME = [
    (r"(cuda_runtime|cuda|cuda_fp16|cufft|cudnn\w*|nvtx3)\.h(pp)?|(cub|thrust|cuda)/.*",
     r"kernels/core/cuda/|.*\.cu$|tests/cudasim/", "CUDA's headers belong to kernels/core/cuda and *.cu"),
    (r"itk\w+\.(h|hxx)", r"io/image/|tests/", "ITK belongs to io/image"),
    (r"dcmtk/.*", r"io/dicom/|tests/", "DCMTK belongs to io/dicom"),
    (r"toml\+\+/.*", r"engine/watch_folder/|tests/", "TOML belongs to engine/watch_folder"),
    (r"hdf5(_hl)?\.h|H5\w+\.h", r"io/hdf5/|tests/", "HDF5 belongs to io/hdf5"),
    (r"htslib/.*", r"io/genome/|tests/", "HTSlib belongs to io/genome"),
    # kernels/core/device.cpp asks the machine what it is.
    (r"fstream|filesystem|iostream|chrono|ctime|sys/stat\.h|fcntl\.h", r"(?!kernels/)|kernels/core/device\.cpp",
     "kernels know no files and no clocks"),
]


def files(root):
    """Every file of the project: what git would track, found without git."""
    for folder, folders, names in os.walk(root):
        at = Path(folder).relative_to(root)
        folders[:] = sorted(f for f in folders
                            if f == ".ci" or not (f.startswith((".", "build")) or f in ("out", "__pycache__")))
        for name in sorted(names):
            yield at / name


def room(path):
    """The room that a path belongs to, or None for places outside of the house."""
    parts = Path(path).parts
    if parts[:2] == ("kernels", "core"):
        return "core"
    if parts[:2] == ("engine", "operations"):
        return "operations"
    return parts[0] if parts[0] in ("kernels", "io", "engine", "bindings") else None


def without_comments(text):
    """C++ without comments and the content of strings, line numbers kept."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"' + r"|'(?:\\.|[^'\\\n])'", re.S)

    def blank(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] * 2
        return "\n" * found.count("\n")

    return token.sub(blank, text)


def includes(root, path):
    """(line number, name, quoted) of every #include of a file."""
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(2), match.group(1) == '"'


def sources(root):
    return [path for path in files(root) if path.suffix in SOURCES]


def arrows(root):
    for path in sources(root):
        source = room(path)
        for number, name, quoted in includes(root, path):
            target = room(name)
            if quoted and name.split("/")[0] in ("tests", "benchmarks") and source:
                yield f"{path}:{number}: {source} includes {name}; the product does not know its tests"
            elif quoted and "/" not in name and not (path.parts[0] == "tests"):
                yield f"{path}:{number}: '{name}' is not named from the repository root"
            elif source in ARROWS and quoted and target and target not in ARROWS[source]:
                yield f"{path}:{number}: the arrow runs the wrong way: {source} includes {name}"


def foreign_headers(root):
    for path in sources(root):
        for number, name, _ in includes(root, path):
            for header, welcome, why in WELCOME:
                if re.fullmatch(header, name) and not re.match(welcome, path.as_posix()):
                    yield f"{path}:{number}: includes {name}: {why}"


def launches(root):
    for path in sources(root):
        if path.name == "launch.cuh":
            continue
        text = without_comments((root / path).read_text(encoding="utf-8", errors="replace"))
        for number, line in enumerate(text.splitlines(), 1):
            if "<<<" in line:
                yield f"{path}:{number}: '<<<' belongs to kernels/core/cuda/launch.cuh: the simulator must see the launch"


def independent_reference(root):
    """tests/reference shares no mathematics with what it judges, not even through a header of a header."""
    for path in sources(root):
        if path.parts[:2] != ("tests", "reference"):
            continue
        seen, pending = set(), [(path, None)]
        while pending:
            current, line = pending.pop()
            for number, name, quoted in includes(root, current):
                if not quoted:
                    continue
                if name.endswith("-inl.hpp"):
                    yield f"{path}:{line or number}: reaches {name}: the reference shares no mathematics with the kernels"
                beside = current.parent / name
                target = Path(name) if (root / name).is_file() else beside
                if target not in seen and (root / target).is_file():
                    seen.add(target)
                    pending.append((target, line or number))


def sizes(root):
    for path in files(root):
        if path.suffix in WRITTEN and path.as_posix() not in GENERATED:
            lines = (root / path).read_bytes().count(b"\n")
            if lines > LONGEST_FILE:
                yield f"{path}:{lines}: longer than {LONGEST_FILE} lines: two things live here"


def names(root):
    for path in files(root):
        for part in (*path.parts[:-1], path.stem):
            if part.lower() in NAMES_THAT_SAY_NOTHING:
                yield f"{path}:1: a thing is named for what it is, not '{part}'"


def named_paths(root):
    """Paths that a page names, `{a,b}` and `*` expanded, exist."""
    path_like = re.compile(r"(?<![\w./-])(?:kernels|io|engine|bindings|tests|benchmarks|cmake|docs|\.ci)/[\w./{},*<>…-]*")
    link = re.compile(r"\]\(([^)#:]+)\)")
    for page in files(root):
        text = (root / page).read_text(encoding="utf-8") if page.suffix in WRITTEN | SOURCES else ""
        for number, line in enumerate(text.splitlines(), 1):
            if page.suffix == ".md":
                wanted = [(root, found) for found in path_like.findall(line)]
                wanted += [((root / page).parent, found) for found in link.findall(line)]
            else:  # elsewhere only the pages themselves: other paths are checked by whoever opens them
                wanted = [(root, found) for found in re.findall(r"(?<![\w./-])docs/[\w/-]+\.md", line)]
            for base, found in wanted:
                found = found.rstrip(".,…").removesuffix(".*")
                if re.search(r"[<>…]", found) or page.parts[0] == "tests" and page.suffix == ".py":
                    continue
                for each in expand_braces(found):
                    if not glob.glob(str(base / each)) and not glob.glob(str(base / each) + ".*"):
                        yield f"{page}:{number}: names '{each}', which does not exist"


def expand_braces(text):
    match = re.search(r"\{([^{}]*)\}", text)
    if not match:
        return [text]
    return [each for choice in match.group(1).split(",")
            for each in expand_braces(text[:match.start()] + choice + text[match.end():])]


RULES = [arrows, foreign_headers, launches, independent_reference, sizes, names, named_paths]


def check(root):
    return [fault for rule in RULES for fault in rule(Path(root))]
