"""Kills, stops and cuts the power of kiban a thousand times, and then counts: nothing lost, nothing twice.

    faults.py --seed 1 --each 50 --faults 1000 [--only POINT] [--report FILE]
"""

import argparse
import json
import os
import random
import shlex
import sys
import time
from collections import Counter
from pathlib import Path

from audit import Audit, keep_diary, unfinished
from injection import Injection, fault_points
from machine import Machine

FEWEST_UNFINISHED, MOST_UNFINISHED = 15, 60
DRAIN_S = 180
OLD = 1e9  # 2001


class Campaign:
    """Faults one after another, until each point has had its share and all together are enough."""

    def __init__(self, machine, seed, points):
        self.machine, self.random = machine, random.Random(seed)
        self.injection = Injection(machine, self.random, on_pause=self.keep_busy)
        self.points = points

    def keep_busy(self):
        machine = self.machine
        machine.pause()
        if machine.again and self.random.random() < 0.3:
            machine.submit(machine.again.pop())
        waits = unfinished(machine)
        needs_submitter = self.injection.armed.startswith("submit.")
        if len(machine.submits) < 2 and (waits < MOST_UNFINISHED or needs_submitter):
            machine.submit(machine.jobs.batch(self.random.randint(1, 3 if waits > FEWEST_UNFINISHED else 12)))

    def run(self, each, least):
        injection = self.injection
        while True:
            missing = [point for point in self.points for _ in range(each - injection.by_point[point])]
            # Who submits holds no lease: nine others for each of them, where it is counted.
            without_lease = injection.count - injection.on_holders
            if not missing and injection.count >= (max(least, 10 * without_lease) if least else 0):
                break
            injection.inject(self.random.choice(missing or injection.surest() or self.points))
        self.drain()

    def drain(self):
        machine = self.machine
        machine.wake(everybody=True)
        while machine.again:
            machine.submit(machine.again.pop())
        end = time.monotonic() + DRAIN_S
        while (machine.submits or unfinished(machine)) and time.monotonic() < end:
            machine.pause(0.1)
        # What counts is what a power failure leaves.
        machine.fail_power()


def prune_leaves_nothing(machine, audit):
    """Folders of attempts that were killed go, and nothing else does."""
    for path in (machine.queue.parent / "results").rglob("*"):  # nobody has written to them for long
        os.utime(path, (OLD, OLD))
    machine.kiban("prune", "--older-than", "365d")
    after = Audit(machine)
    if after.figures["attempts_left_behind"]:
        after.faults["unexpected"].append(f"{after.figures['attempts_left_behind']} attempts' folders outlive prune")
    if after.figures["jobs"] != audit.figures["jobs"]:
        after.faults["lost"].append("prune removed jobs that are not old")
    return after


def campaign(seed, each, least, points):
    began = time.monotonic()
    with Machine(random.Random(seed)) as machine:
        keep_diary(machine)
        running = Campaign(machine, seed, points)
        running.run(each, least)
        audit = Audit(machine)
        pruned = prune_leaves_nothing(machine, audit)
        injection = running.injection
        return {
            "command": shlex.join(["tests/faults/faults.py", *sys.argv[1:]]),
            "seed": seed, "faults": injection.count, "on_lease_holders": injection.on_holders,
            "by_point": {point: dict(sorted(injection.kinds[point].items())) for point in sorted(injection.kinds)},
            "holders_by_point": dict(sorted(injection.holders.items())), "by_process": dict(injection.processes),
            "did_not_fire": dict(injection.misses), **audit.figures,
            **{kind: len(audit.faults[kind]) + len(pruned.faults[kind]) for kind in ("lost", "double", "unexpected")},
            "sentences": (audit.sentences() + pruned.sentences())[:50], "seconds": round(time.monotonic() - began, 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=2, help="faults at each point, at least")
    parser.add_argument("--faults", type=int, default=0, help="faults in all, at least")
    parser.add_argument("--only", help="at this point alone")
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    points = [options.only] if options.only else fault_points() + ["anywhere"]
    summary = campaign(options.seed, options.each, options.faults, points)
    text = json.dumps(summary, indent=2)
    print(text)
    if options.report:
        options.report.write_text(text + "\n")
    counts = Counter({point: sum(kinds.values()) for point, kinds in summary["by_point"].items()})
    short = [point for point in points if counts[point] < options.each]
    good = not (summary["lost"] or summary["double"] or summary["unexpected"] or short)
    if short:
        print(f"too few faults at {', '.join(short)}", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
