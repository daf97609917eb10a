"""PairHMM, side by side with Intel's Genomics Kernel Library (Debian's libgkl-jni), which GATK runs: the same pairs in the
same process, repetitions interleaved. Packing, tables and the pairs computed again in double are part of both timings.
"""

import argparse
import json
import platform
import subprocess
import tempfile
from datetime import date
from pathlib import Path

BARS = {"haplotypes:16": 2.5, "haplotypes:20": 2.2, "haplotypes:37": 2.2, "haplotypes:128": 2.5, "pairhmm_1m.in": 2.0}
TWO_THREADS_BAR = 1.7


def medians(program, repetitions):
    """Time of each benchmark and its largest difference from GKL, by name; and what ran them."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([program, f"--benchmark_repetitions={repetitions}", "--benchmark_enable_random_interleaving=true",
                        "--benchmark_report_aggregates_only=true", f"--benchmark_out={out.name}"], check=True)
        report = json.load(out)
    wrong = [run["name"] for run in report["benchmarks"] if run.get("error_occurred")]
    if wrong:
        raise SystemExit("failed: " + ", ".join(wrong))
    of_median = [run for run in report["benchmarks"] if run["aggregate_name"] == "median"]
    return {run["run_name"].removesuffix("/real_time"): (run["real_time"], run.get("off_gkl")) for run in of_median}, \
        report["context"]


def version(package):
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return asked.stdout or None


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kiban", type=Path, required=True, help="the kiban command; the benchmarks lie beside it")
    parser.add_argument("--results", type=Path, help="a folder for the report")
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    measured, context = medians(options.kiban.parent / "bench.variant.pairhmm", options.repetitions)
    rows = {}
    for what, bar in BARS.items():
        (one, off), (two, _), (gkl, _) = (measured.get(f"{name}/{what}/threads:{n}", (None, None))
                                          for name, n in (("kiban", 1), ("kiban", 2), ("gkl", 1)))
        if one is None or gkl is None:
            print(f"{what}: not measured (libgkl-jni, AVX-512 or the data are missing)")
            continue
        rows[what] = {"kiban": one, "kiban_two_threads": two, "gkl": gkl, "times_as_fast": gkl / one, "bar": bar,
                      "two_threads": one / two, "largest_log10_difference": off}
        print(f"{what}: {gkl / one:.2f} times GKL (bar {bar}), two threads {one / two:.2f} times one (bar {TWO_THREADS_BAR}), "
              f"no likelihood further than {off:.1e} in log10 from GKL's")
    report = {"date": date.today().isoformat(), "processor": processor(), "cores": context["num_cpus"],
              "load": context["load_avg"], "libgkl-jni": version("libgkl-jni"), "unit": "ns, medians", "pairhmm": rows}
    print(f"libgkl-jni {report['libgkl-jni']}, {report['processor']}")
    if options.results and rows:
        path = options.results / f"peers-variant-{report['date']}.json"
        path.write_text(json.dumps(report, indent=2) + "\n")
        print(f"written to {path}")


if __name__ == "__main__":
    main()
