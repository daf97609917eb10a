"""Tests and benchmarks on this machine's GPU, ten minutes at most, as one JSON report. `./dev gpu` builds, then runs this.

What did not fit into the time is listed as not run: a report never looks more complete than it is.
"""

import argparse
import json
import re
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from datetime import date
from pathlib import Path

LIMIT_S = 600
TESTS_SHARE = 0.5  # of the limit; the benchmarks get what the tests leave


def describe_gpu():
    fields = "name,driver_version,memory.total,compute_cap"
    answer = subprocess.run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], check=True,
                            capture_output=True, text=True).stdout.splitlines()[0]
    return dict(zip(fields.split(","), (value.strip() for value in answer.split(","))))


def run_until(command, deadline):
    """The exit code, or None where time ran out."""
    try:
        return subprocess.run(command, timeout=max(1.0, deadline - time.monotonic()), check=False).returncode
    except subprocess.TimeoutExpired:
        return None


def run_tests(build, folder, deadline):
    """Every test program: those of the kernels go through their cases on each device, so on cuda too."""
    junit = folder / "tests.xml"
    junit.unlink(missing_ok=True)
    code = run_until(["ctest", "--test-dir", str(build), "--tests-regex", r"^kernels\.", "--label-exclude", "long",
                      "--output-on-failure", "--output-junit", str(junit.resolve())], deadline)
    if code is None or not junit.exists():
        return {"finished": False}
    cases = ElementTree.parse(junit).getroot().iter("testcase")
    results = {case.get("name"): {"status": case.get("status"), "seconds": float(case.get("time"))} for case in cases}
    return {"finished": True, "all_passed": code == 0 and bool(results), "programs": results}


def run_benchmarks(build, folder, deadline):
    results = {}
    for program in sorted((build / "bin").glob("bench.*")):
        report = folder / f"{program.name}.json"
        report.unlink(missing_ok=True)
        code = None
        if time.monotonic() < deadline:
            code = run_until([str(program), f"--benchmark_out={report}", "--benchmark_out_format=json"], deadline)
        if code is None:
            results[program.name] = {"finished": False}
            continue
        runs = json.loads(report.read_text(encoding="utf-8"))["benchmarks"] if report.exists() else []
        right = code == 0 and bool(runs) and not any(run.get("error_occurred") for run in runs)
        results[program.name] = {"finished": True, "answers_right": right, "runs": runs}
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="the build folder")
    parser.add_argument("--results", type=Path, required=True, help="folder of the report")
    arguments = parser.parse_args()
    start = time.monotonic()
    folder = arguments.build / "benchmarks-out"
    folder.mkdir(exist_ok=True)

    gpu = describe_gpu()
    tests = run_tests(arguments.build, folder, start + TESTS_SHARE * LIMIT_S)
    benchmarks = run_benchmarks(arguments.build, folder, start + LIMIT_S)
    devices = subprocess.run([arguments.build / "bin" / "kiban", "devices"], check=True, capture_output=True, text=True)
    report = {"gpu": gpu, "date": date.today().isoformat(), "devices": devices.stdout.splitlines(), "tests": tests,
              "benchmarks": benchmarks, "seconds": time.monotonic() - start}

    name = re.sub(r"[^a-z0-9]+", "-", gpu["name"].lower()).strip("-")
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / f"{name}-{report['date']}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"\n{gpu['name']}: written to {path}")
    print(f"  tests       {'all passed' if tests.get('all_passed') else 'NOT all passed, or not finished'}")
    wrong = [program for program, result in benchmarks.items() if not result.get("answers_right")]
    print(f"  benchmarks  {', '.join(wrong) + ': wrong, or not finished' if wrong else 'all answers right'}")
    if wrong or not tests.get("all_passed"):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
