#!/usr/bin/env python3
"""Registers, shared memory, spills and instruction counts of every CUDA kernel, as the table docs/kernels.md.

    ptxas_table.py --write   compiles kernels/**/*.cu for every architecture and writes the table
    ptxas_table.py --check   compiles likewise; fails on a spill, and on a table that no longer tells the truth

What a table can promise depends on the compiler: with the nvcc that wrote it every figure must match; with another one
only the list of kernels must, and no kernel may spill.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "kernels.md"
ARCHITECTURES = ("80", "90", "100")
COUNTED_ARCHITECTURE = "90"  # the PTX whose instructions are counted; it hardly differs between architectures
FLAGS = ["-std=c++20", "-O3", "-DNDEBUG"]
# Column of the table -> the PTX instructions that it counts. Static counts: a loop's body counts once.
INSTRUCTIONS = {
    "fp32": r"(?:add|sub|mul|fma|min|max|neg|abs|div|rcp|sqrt|rsqrt|ex2|lg2|sin|cos)\.(?:\w+\.)*f32\b",
    "fp64": r"(?:add|sub|mul|fma|min|max|neg|abs|div|rcp|sqrt)\.(?:\w+\.)*f64\b",
    "ld.global": r"ld\.global\b",
    "st.global": r"st\.global\b",
    "tex": r"tex\.",
    "ld/st.shared": r"(?:ld|st)\.shared\b",
    "atomic": r"(?:atom|red)\.",
    "barrier": r"(?:bar|barrier)\.",
    "branch": r"bra\b",
    "all": r"[a-z]",
}
# Kernels whose rows lie in registers, unrolled: their name for so many rows a thread, and the fp32 instructions that a row
# (and so a cell) may add. What prepares a row counts too.
PER_CELL = {r"variant::sum_in_float<16, (\d+)>": 12}


def run(command):
    """Standard output and error of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def compiler_version(nvcc):
    return re.search(r"release \S+, (V\S+)", run([nvcc, "--version"])).group(1)


def demangled(names):
    """Readable names: no return type, no parameters, no namespaces that every kernel shares."""
    tool = shutil.which("cu++filt") or shutil.which("c++filt")
    if not names or tool is None:
        return dict(zip(names, names))
    lines = subprocess.run([tool], input="\n".join(names), capture_output=True, text=True, check=True).stdout.splitlines()
    readable = {}
    for name, line in zip(names, lines):
        line = re.sub(r"\(anonymous namespace\)::|<unnamed>::|_INTERNAL_\w+::|kiban::|cuda::", "", line)
        line = re.sub(r"\(\w+\)(?=[\w])", "", line)  # casts of template arguments: (bool)1
        depth = 0
        for at, character in enumerate(line):  # the parameter list is the first bracket outside <>
            depth += {"<": 1, ">": -1}.get(character, 0)
            if character == "(" and depth == 0:
                line = line[:at]
                break
        readable[name] = re.sub(r"^(?:void|__global__) ", "", line).strip()
    return readable


def parse_ptxas(text):
    """Mangled kernel name -> registers, shared bytes, stack and spill bytes, from `ptxas -v`."""
    kernels = {}
    name = None
    for line in text.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)'", line):
            name = match.group(1)
            kernels[name] = {"registers": 0, "shared": 0, "stack": 0, "spills": 0}
        elif name and (match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)):
            stack, stores, loads = map(int, match.groups())
            kernels[name].update(stack=stack, spills=stores + loads)
        elif name and (match := re.search(r"Used (\d+) registers", line)):
            kernels[name]["registers"] = int(match.group(1))
            if shared := re.search(r"(\d+) bytes smem", line):
                kernels[name]["shared"] = int(shared.group(1))
            name = None
    return kernels


def count_instructions(ptx):
    """Mangled kernel name -> counts by class, from the text of a PTX module."""
    counts = {}
    for match in re.finditer(r"\.entry (\w+)\s*\(.*?^\}", ptx, re.S | re.M):
        body = match.group(0)
        body = body[body.index("{", body.index(")")):] if ")" in body else body
        counts[match.group(1)] = {
            column: len(re.findall(rf"^\s*(?:@!?%p\d+\s+)?{pattern}", body, re.M)) for column, pattern in INSTRUCTIONS.items()
        }
    return counts


def compile_one(nvcc, source, architecture, folder):
    """What ptxas and the PTX say of one file on one architecture."""
    ptx = folder / f"{source.stem}_{architecture}.ptx"
    ptxas = pathlib.Path(nvcc).resolve().parent / "ptxas"
    run([nvcc, *FLAGS, "-I", ROOT, "-ptx", f"-arch=compute_{architecture}", source, "-o", ptx])
    report = run([ptxas, "-v", f"-arch=sm_{architecture}", ptx, "-o", ptx.with_suffix(".cubin")])
    return parse_ptxas(report), count_instructions(ptx.read_text())


def measure(nvcc):
    """[(file, kernel, {architecture: resources}, instruction counts)], in the order of files and names."""
    sources = sorted((ROOT / "kernels").rglob("*.cu"))
    with tempfile.TemporaryDirectory() as temporary, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {}
        for number, source in enumerate(sources):
            folder = pathlib.Path(temporary) / str(number)
            folder.mkdir()
            for architecture in ARCHITECTURES:
                jobs[source, architecture] = pool.submit(compile_one, nvcc, source, architecture, folder)
        found = {key: job.result() for key, job in jobs.items()}
    rows = []
    for source in sources:
        resources = {a: found[source, a][0] for a in ARCHITECTURES}
        counts = found[source, COUNTED_ARCHITECTURE][1]
        # A name in an unnamed namespace may carry a hash of the architecture, so that kernels meet by readable name.
        readable = {a: demangled(list(resources[a])) for a in ARCHITECTURES}
        by_name = {a: {readable[a][m]: r for m, r in resources[a].items()} for a in ARCHITECTURES}
        for mangled, kernel in sorted(readable[COUNTED_ARCHITECTURE].items(), key=lambda item: item[1]):
            rows.append((str(source.relative_to(ROOT)), kernel, {a: by_name[a][kernel] for a in ARCHITECTURES}, counts[mangled]))
    return rows


def render(rows, version):
    heads = ["kernel", "file", *(f"registers sm_{a}" for a in ARCHITECTURES), "shared B", "stack B", "spills B", *INSTRUCTIONS]
    lines = [
        "# Kernels",
        "",
        f"Written by `tests/support/ptxas_table.py --write` with nvcc {version}; a test checks it where nvcc is found.",
        "Registers are per thread. Shared memory, stack and spills are the largest of the architectures. The rest are",
        f"instructions in the PTX for compute_{COUNTED_ARCHITECTURE}, counted in the text: a loop's body counts once.",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * 2 + "---:|" * (len(heads) - 2),
    ]
    for file, kernel, resources, counts in rows:
        largest = [max(resources[a][key] for a in ARCHITECTURES) for key in ("shared", "stack", "spills")]
        cells = [f"`{kernel}`", f"`{file}`", *(resources[a]["registers"] for a in ARCHITECTURES), *largest, *counts.values()]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def kernel_names(text):
    """(kernel, file) of every row of a rendered table."""
    return set(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", text, re.M))


def fp32_per_cell(rows, pattern):
    """By how much the count grows from the kernel with the fewest rows to that with the most, a row."""
    counts = {int(match[1]): counts["fp32"] for _, kernel, _, counts in rows if (match := re.fullmatch(pattern, kernel))}
    if len(counts) < 2:
        return float("inf")
    fewest, most = min(counts), max(counts)
    return (counts[most] - counts[fewest]) / (most - fewest)


def check(rows, version, per_cell=None):
    """What is wrong, a sentence each."""
    wrong = [
        f"{kernel} in {file} spills {resources[a]['spills']} bytes on sm_{a}"
        for file, kernel, resources, _ in rows for a in ARCHITECTURES if resources[a]["spills"] > 0
    ]
    for pattern, bound in (per_cell or {}).items():
        if (found := fp32_per_cell(rows, pattern)) > bound:
            wrong.append(f"{pattern} takes {found:.1f} fp32 instructions a cell; the bound is {bound}")
    committed = TABLE.read_text() if TABLE.exists() else ""
    fresh = render(rows, version)
    missing, gone = kernel_names(fresh) - kernel_names(committed), kernel_names(committed) - kernel_names(fresh)
    wrong += [f"{kernel} in {file} is not in {TABLE.name}" for kernel, file in sorted(missing)]
    wrong += [f"{TABLE.name} lists {kernel} in {file}, which is gone" for kernel, file in sorted(gone)]
    if not missing and not gone and f"nvcc {version};" in committed and committed != fresh:
        wrong.append(f"the figures in {TABLE.name} are not those of this nvcc, {version}, which wrote them")
    return wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--nvcc", default="nvcc", help="the compiler")
    mode = arguments.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true")
    mode.add_argument("--check", action="store_true")
    options = arguments.parse_args()
    nvcc = shutil.which(options.nvcc)
    if nvcc is None:
        sys.exit(f"no compiler {options.nvcc}; give its path with --nvcc")
    version = compiler_version(nvcc)
    rows = measure(nvcc)
    if options.write:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(render(rows, version))
        print(f"{len(rows)} kernels written to {TABLE.relative_to(ROOT)}")
    elif wrong := check(rows, version, PER_CELL):
        sys.exit("\n".join(wrong + ["Mend the kernel, or write the table anew: tests/support/ptxas_table.py --write"]))
    else:
        print(f"{len(rows)} kernels, no spill, {TABLE.relative_to(ROOT)} is true")


if __name__ == "__main__":
    main()
