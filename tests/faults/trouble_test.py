"""A full disk, one that can only be read, one that fails, a wall clock that is wrong, a damaged store: no acknowledged
job is lost, all goes on when the cause is gone, and nothing is spent on a job that could not help it."""

import contextlib
import hashlib
import json
import random
import shutil
import sqlite3
import time
import unittest
from pathlib import Path

from audit import Audit, keep_diary, unfinished
from machine import Machine

CODE_OF_INPUT = 3
PATIENCE_S = 60


class Trouble(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(7)
        self.machine = Machine(random.Random(7), workers=2)
        self.addCleanup(self.machine.close)
        keep_diary(self.machine)

    def acknowledged(self, count, busy_ms=None):
        """New jobs in the queue, that wait for none of each other."""
        batch = [self.machine.jobs.make(busy_ms=busy_ms) for _ in range(count)]
        self.machine.submit(batch)
        self.machine.take_answers(wait=True)
        return batch

    def drain(self):
        end = time.monotonic() + PATIENCE_S
        while unfinished(self.machine):
            self.assertLess(time.monotonic(), end, f"not drained: {self.machine.complaints()}")
            self.machine.pause(0.05)

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.machine.pause(0.05)

    def all_is_well(self):
        self.machine.fail_power()
        audit = Audit(self.machine)
        self.assertEqual(audit.sentences(), [])
        self.assertEqual(audit.figures["commits"], len(self.machine.jobs.by_key))
        return audit


class Disks(Trouble):
    def goes_wrong_for_a_while(self, switch):
        """While jobs run, for a few leases; somebody who submits meanwhile is told, or is kept to."""
        self.acknowledged(30, busy_ms=100)
        self.wait(0.7)
        self.machine.disk.switch(switch, 1)
        batch = [self.machine.jobs.make() for _ in range(3)]
        path = self.machine.disk.outside / "meanwhile.jsonl"
        path.write_text("".join(json.dumps(job.line) + "\n" for job in batch))
        status, out, complaint = self.machine.run("submit", "--from", path)
        self.wait(4)
        self.machine.disk.switch(switch, 0)
        self.assertEqual((status, out), (CODE_OF_INPUT, ""), complaint)
        self.assertEqual(complaint.count("\n"), 1, complaint)
        again, out, complaint = self.machine.run("submit", "--from", path, "--json")
        self.assertEqual(again, 0, complaint)
        self.assertTrue(self.machine.jobs.told(batch, out))
        self.drain()
        return {row["attempts"] for row in self.all_is_well().rows}

    def test_a_full_disk(self):
        self.assertEqual(self.goes_wrong_for_a_while("disk_full"), {0}, "an attempt was charged for a full disk")

    def test_a_disk_that_can_only_be_read(self):
        self.assertEqual(self.goes_wrong_for_a_while("read_only"), {0}, "an attempt was charged for a disk")

    def test_a_disk_that_fails_to_flush(self):
        self.goes_wrong_for_a_while("flush_fails")


class Clocks(Trouble):
    def test_a_wall_clock_that_is_wrong_expires_nothing(self):
        self.acknowledged(20, busy_ms=150)
        for hours in (1, -1, 0):
            self.wait(0.5)
            self.machine.disk.switch("wall_clock_shift_s", hours * 3600)
            self.acknowledged(10, busy_ms=50)
        self.drain()
        audit = self.all_is_well()
        self.assertEqual({row["lost_leases"] for row in audit.rows}, {0})
        self.assertEqual(audit.figures["executions"], len(audit.rows), "a job ran twice")
        ids = [row["id"] for row in audit.rows]
        self.assertEqual(ids, sorted(ids), "ids are not in the order of submission")


class DamagedStores(Trouble):
    COMMANDS = (("status",), ("queue",), ("worker", "--device", "cpu", "--exit-when-idle", 0),
                ("prune", "--older-than", "0s"), ("pause",))

    def setUp(self):
        super().setUp()
        self.before = self.acknowledged(40)
        self.wait(1.5)
        self.backup = self.machine.disk.outside / "backup.sqlite"
        self.machine.kiban("backup", self.backup)
        self.later = self.acknowledged(20)
        self.drain()
        self.machine.kill_everybody()

    def files(self):
        """Digests of the store and its journal; an empty journal is as good as none."""
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in self.machine.queue.parent.glob("queue.sqlite*")
                if path == self.machine.queue or path.name.endswith("-wal") and path.stat().st_size}

    def refused(self, damage):
        files = self.files()
        for words in self.COMMANDS:
            status, out, complaint = self.machine.run(*words)
            self.assertEqual((status, out), (CODE_OF_INPUT, ""), f"{damage}: {words[0]}: {complaint}")
            self.assertIn("kiban restore", complaint, f"{damage}: {words[0]}")
            self.assertEqual(self.files(), files, f"{damage}: {words[0]} has changed the file")

    def damages(self):
        """Names and what they make of the bytes."""
        def overwritten(data, count, size):
            changed = bytearray(data)
            for _ in range(count):
                at = self.random.randrange(0, len(data) - size)
                changed[at:at + size] = self.random.randbytes(size)
            return bytes(changed)

        yield "no header", lambda data: bytes(4096) + data[4096:]
        yield "cut short", lambda data: data[:len(data) // 2 + 1]
        yield "cut at a page", lambda data: data[:len(data) // 4096 // 2 * 4096]
        yield "empty", lambda data: b""
        yield "text", lambda data: b"This is no database, although it is long enough.\n" * (len(data) // 48)
        for n in range(12):
            yield f"a page of noise, {n}", lambda data: overwritten(data, 1, 4096)
            yield f"noise in many places, {n}", lambda data: overwritten(data, 30, 64)

    def test_damage_is_found_and_refused_and_the_file_left_alone(self):
        self.machine.kiban("queue")  # whoever closes it last brings the journal into the file
        self.assertEqual(list(self.files()), ["queue.sqlite"])
        whole = self.machine.disk.outside / "whole"
        shutil.copytree(self.machine.queue.parent, whole)
        for name, damage in self.damages():
            shutil.rmtree(self.machine.queue.parent)
            shutil.copytree(whole, self.machine.queue.parent)
            self.machine.queue.write_bytes(damage(self.machine.queue.read_bytes()))
            with self.subTest(name):
                self.refused(name)

    def test_a_damaged_journal_is_no_torn_one(self):
        """What was acknowledged lies behind the damage: to leave it out, as after a power failure, would lose it."""
        journal = self.machine.queue.with_name("queue.sqlite-wal")
        whole = journal.read_bytes()
        self.assertGreater(len(whole), 40 * 4096)
        frame = 32 + 10 * (24 + 4096)
        for name, at in (("its header", 16), ("a frame's header", frame), ("a frame", frame + 24 + 100)):
            with self.subTest(name):
                journal.write_bytes(whole[:at] + self.random.randbytes(8) + whole[at + 8:])
                self.refused(name)

    def test_a_backup_takes_its_place_and_what_is_later_is_listed(self):
        damaged = bytes(4096)
        self.machine.queue.write_bytes(damaged)
        self.machine.queue.with_name("queue.sqlite-wal").unlink(missing_ok=True)
        restored = self.machine.kiban("restore", self.backup)
        with open(restored["set_aside"], "rb") as aside:
            self.assertEqual(aside.read(), damaged)
        listed = {json.loads(Path(path).read_bytes())["job"] for path in restored["later_results"]}
        with contextlib.closing(sqlite3.connect(self.backup)) as database:
            succeeded = "SELECT id FROM job JOIN request USING (number) WHERE state = 3"
            known = {row[0] for row in database.execute(succeeded)}
        self.assertGreater(len(known), 0)
        have_results = {job.id for job in self.before + self.later if job.target}
        self.assertEqual(listed, have_results - known)
        # What the backup knows goes on; what it does not is submitted again by who has kept the list.
        self.machine.submit([job for job in self.later])
        for job in self.later:
            job.id = None
        self.machine.take_answers(wait=True)
        self.drain()
        self.all_is_well()


if __name__ == "__main__":
    unittest.main()
