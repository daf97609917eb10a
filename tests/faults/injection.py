"""One fault after another, at named points of kiban's own code and at any moment, to whoever comes by."""

import os
import re
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from audit import running_of
from machine import LEASE_S

SOURCE = Path(__file__).resolve().parents[2]
WEIGHTS = {"kill": 60, "stop": 32, "power": 8}
WAIT_S = 10  # for somebody to come by an armed point


def fault_points():
    """As the code names them: a new one is found here without being told. A restore has the queue to itself, and is
    killed at each step by engine.queue.sqlite_maintenance_test."""
    firsts = "submit|claim|finish|published|change|seal|publish|worker|executor|prune"
    named = re.compile(rf'"((?:{firsts})\.[a-z_]+)"')
    found = set()
    for path in [*(SOURCE / "engine").rglob("*.[ch]pp"), *(SOURCE / "bindings").rglob("*.[ch]pp")]:
        if path.name != "fault_point.hpp":  # its comment has an example
            found |= set(named.findall(path.read_text(encoding="utf-8")))
    return sorted(found)


class Injection:
    def __init__(self, machine, random, on_pause):
        self.machine, self.random, self.on_pause = machine, random, on_pause
        self.kinds = defaultdict(Counter)  # of faults, by point
        self.by_point, self.holders, self.processes, self.misses = Counter(), Counter(), Counter(), Counter()
        self.count = self.on_holders = 0
        self.armed = ""

    def inject(self, point):
        # Each kind at each point in some order, then as it comes.
        new = [kind for kind in WEIGHTS if not self.kinds[point][kind]]
        action = self.random.choice(new) if new else self.random.choices(list(WEIGHTS), WEIGHTS.values())[0]
        # One worker at least goes on, or nothing would ever come by.
        while action == "stop" and len(self.machine.wakes) >= len(self.machine.workers) - 1:
            self.on_pause()
        if point == "anywhere":
            self.anywhere(action)
        else:
            self.at(point, action)

    def at(self, point, action):
        disk = self.machine.disk
        # Who submits comes by once in its life; who has just begun to claim holds nothing yet.
        hits = {"submit": (1,), "claim": (3, 4, 6), "change": (3, 4, 6)}.get(point.split(".")[0], (1, 1, 1, 2, 3))
        hit = self.random.choice(hits)
        order = disk.arm(point, "kill" if action == "kill" else "stop", hit)
        self.armed = point
        end = time.monotonic() + WAIT_S
        while not (hit := disk.fired(order)):
            if time.monotonic() > end:
                disk.disarm(point)
                if not (hit := disk.fired(order)):
                    self.misses[point] += 1
                    if self.misses[point] > 20:
                        raise AssertionError(f"nobody comes by {point}")
                    return
                break
            self.on_pause()
        pid, parent = hit
        self.record(point, action, pid, parent)
        self.follow(action, pid)

    def anywhere(self, action):
        """Whoever it is, wherever it is."""
        for _ in range(self.random.randint(1, 5)):
            self.on_pause()
        machine = self.machine
        worker = self.random.choice([each for each in machine.workers if each])
        executor = machine.executor_of(worker)
        pid = executor if executor and self.random.random() < 0.5 else worker.pid
        try:
            os.kill(pid, signal.SIGKILL if action == "kill" else signal.SIGSTOP)
        except ProcessLookupError:
            return
        self.record("anywhere", action, pid, worker.pid)
        self.follow(action, pid)

    def record(self, point, action, pid, parent):
        worker = self.machine.worker_of(pid, parent)
        self.count += 1
        self.by_point[point] += 1
        self.kinds[point][action] += 1
        self.processes["submitter" if not worker else "worker" if worker.pid == pid else "executor"] += 1
        # A power failure hits whoever holds a lease, wherever it was called for.
        holder = "%" if action == "power" else f"%:{worker.pid}" if worker else ""
        if running_of(self.machine, holder):
            self.on_holders += 1
            self.holders[point] += 1
        if self.count % 100 == 0:
            print(f"{self.count} faults, {self.on_holders} on holders of leases", file=sys.stderr, flush=True)

    def surest(self):
        """Points at which nearly whoever comes by holds a lease."""
        return [point for point in self.by_point if self.holders[point] >= 0.97 * self.by_point[point]]

    def follow(self, action, pid):
        machine = self.machine
        if action == "stop":  # mostly past the lease
            machine.stop_for(pid, LEASE_S * self.random.choice((0.3, 1.2, 1.5, 2.0)))
        elif action == "power":
            machine.fail_power(self.random.choice(("dropped", "mixed")), self.random.randrange(1 << 32))
