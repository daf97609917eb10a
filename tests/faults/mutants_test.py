"""A check that cannot fail proves nothing: without the comparison of tokens, or without one of the flushes, the same
checks that pass on kiban as it is must find something lost or double."""

import random
import time
import unittest

from audit import Audit, keep_diary, unfinished
from machine import LEASE_S, Machine

PATIENCE_S = 60
FLUSHES = {  # names below the disk, as of a shell; * is any text
    "the results": "queue/results/*.bin",
    "manifests": "queue/results/*/manifest.json",
    "folders of attempts": "queue/results/*/" + 32 * "?",
    "folders of jobs": "queue/results/" + 26 * "?",
    "the folder of results": "queue/results",
    "the folder of the queue": "queue",
    "the folder of what was asked for": "out",
    "the queue": "queue/queue.sqlite",
    "the queue's journal": "queue/queue.sqlite-wal",
}


class Mutants(unittest.TestCase):
    def machine(self, mutant, workers=1):
        machine = Machine(random.Random(3), workers, mutant)
        self.addCleanup(machine.close)
        keep_diary(machine)
        return machine

    def drain(self, machine):
        end = time.monotonic() + PATIENCE_S
        while machine.submits or unfinished(machine):
            self.assertLess(time.monotonic(), end, f"not drained: {machine.complaints()}")
            machine.pause(0.05)

    # Flushes

    def after_power_failure(self, unflushed):
        """Jobs that are done, the queue closed and opened again, one more job: then the power fails."""
        machine = self.machine({"KIBAN_FAULT_UNFLUSHED": unflushed} if unflushed else {})
        for count in (12, 1):
            machine.submit([machine.jobs.make() for _ in range(count)])
            self.drain(machine)
            machine.workers[0].terminate()  # the last to close the queue brings its journal into the file
            machine.workers[0].wait(timeout=PATIENCE_S)
        machine.submit([machine.jobs.make()])
        self.drain(machine)
        machine.fail_power()
        return Audit(machine)

    def test_with_all_flushes_nothing_is_lost(self):
        self.assertEqual(self.after_power_failure("").sentences(), [])

    def test_each_flush_is_needed(self):
        for what, pattern in FLUSHES.items():
            with self.subTest(what):
                self.assertGreater(len(self.after_power_failure(pattern).faults["lost"]), 0)

    # The token

    def after_a_stale_commit(self, mutant):
        """A worker is stopped when it is about to commit, until another one runs its job again."""
        machine = self.machine(mutant, workers=2)
        machine.keep_workers()
        order = machine.disk.arm("worker.ended", "stop", role="worker*")
        machine.submit([machine.jobs.make(busy_ms=1500)])
        end = time.monotonic() + PATIENCE_S
        while not (hit := machine.disk.fired(order)):
            self.assertLess(time.monotonic(), end)
            machine.pause()
        machine.stop_for(hit[0], LEASE_S + 1)
        self.drain(machine)
        machine.wake(everybody=True)
        time.sleep(1)
        machine.fail_power()
        return Audit(machine)

    def test_with_tokens_a_stale_commit_changes_nothing(self):
        audit = self.after_a_stale_commit({})
        self.assertEqual(audit.sentences(), [])
        self.assertEqual(audit.figures["executions"], 2)

    def test_without_tokens_a_stale_commit_counts(self):
        audit = self.after_a_stale_commit({"KIBAN_FAULT_TOKEN": "ignored"})
        self.assertGreater(len(audit.faults["double"]), 0)


if __name__ == "__main__":
    unittest.main()
