"""What a call from Python costs beside its work: operations on volumes of 16 x 16 x 16. A wrong answer fails.

Wall-clock microseconds a call, the least and the median of 50 rounds of 200 calls: on a shared machine the least is
nearest to the truth.
"""

import argparse
import json
import pathlib
import statistics
import sys
import timeit

import numpy

import kiban

ROUNDS, CALLS = 50, 200


def cases():
    """Name, call, and whether its answer is right."""
    array = numpy.random.default_rng(1).random((16, 16, 16), numpy.float32)
    filled = numpy.empty_like(array)
    volume = kiban.Volume(array)
    truth = numpy.float32(2) * array

    def into_memory():
        return kiban.skeleton.affine(array, scale=2, output=filled)

    yield "skeleton.affine, new memory", lambda: kiban.skeleton.affine(array, scale=2), truth
    yield "skeleton.affine, memory given", into_memory, truth
    yield "skeleton.affine, of a Volume", lambda: kiban.skeleton.affine(volume, scale=2), truth
    yield "numpy, for comparison", lambda: numpy.multiply(array, numpy.float32(2)), truth


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=pathlib.Path, help="a JSON file to write")
    options = parser.parse_args()
    found, wrong = {}, []
    print(f"{'call':36}{'least us':>10}{'median us':>11}")
    for name, call, truth in cases():
        if not numpy.array_equal(numpy.asarray(call()), truth):
            wrong.append(name)
        times = [1e6 * seconds / CALLS for seconds in timeit.repeat(call, number=CALLS, repeat=ROUNDS)]
        found[name] = {"least_us": min(times), "median_us": statistics.median(times)}
        print(f"{name:36}{min(times):10.1f}{statistics.median(times):11.1f}")
    if options.report:
        options.report.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(f"wrong answers in {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
