"""The library that the tests of faults preload does what they believe: what was not flushed is lost, nothing else."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

from disk import Disk


def start(disk, program, role="test"):
    """Python itself, preloaded: it flushes and writes by the same calls."""
    return subprocess.Popen([sys.executable, "-c", PRELUDE + program], env=disk.environment(role), cwd=disk.root,
                            stdout=subprocess.PIPE, text=True)


def run(disk, program):
    process = start(disk, program)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, f"{program}: exit {process.returncode}"
    return out


PRELUDE = """
import os, ctypes, time
point = ctypes.CDLL(None).kiban_fault_point
def write(name, text, flush=True):
    with open(name, "w") as file:
        file.write(text)
        file.flush()
        if flush: os.fsync(file.fileno())
def flush(folder="."):
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
"""


class PowerFailure(unittest.TestCase):
    def setUp(self):
        self.disk = Disk()
        self.addCleanup(self.disk.close)

    def after(self, program, unflushed="dropped", seed=1):
        """What is on the disk after the program and a power failure: content by name, None of a folder."""
        run(self.disk, program)
        self.disk.fail_power(unflushed, seed)
        return {str(path.relative_to(self.disk.root)): path.read_text() if path.is_file() else None
                for path in self.disk.root.rglob("*")}

    def test_what_was_flushed_with_its_folder_stays(self):
        self.assertEqual(self.after("write('a', 'one'); flush()"), {"a": "one"})

    def test_a_file_whose_folder_was_not_flushed_is_gone(self):
        self.assertEqual(self.after("write('a', 'one')"), {})

    def test_a_file_that_was_not_flushed_is_empty(self):
        self.assertEqual(self.after("write('a', 'one', flush=False); flush()"), {"a": ""})

    def test_a_file_has_the_content_of_its_last_flush(self):
        self.assertEqual(self.after("write('a', 'one'); flush(); write('a', 'two'); write('a', 'three', flush=False)"),
                         {"a": "two"})

    def test_a_renaming_counts_when_the_folder_is_flushed(self):
        self.assertEqual(self.after("write('a', 'one'); flush(); os.rename('a', 'b')"), {"a": "one"})
        self.assertEqual(self.after("os.rename('a', 'b'); flush()"), {"b": "one"})

    def test_a_removal_counts_when_the_folder_is_flushed(self):
        self.assertEqual(self.after("write('a', 'one'); flush(); os.unlink('a')"), {"a": "one"})
        self.assertEqual(self.after("os.unlink('a'); flush()"), {})

    def test_a_file_that_was_replaced_comes_back_with_its_own_content(self):
        self.assertEqual(self.after("write('a', 'old'); flush(); write('.new', 'new'); os.rename('.new', 'a')"),
                         {"a": "old"})

    def test_an_inode_that_is_used_again_is_another(self):
        self.assertEqual(self.after("write('a', 'one'); flush(); os.unlink('a'); time.sleep(0.05);"
                                    "write('b', 'two', flush=False); flush()"), {"b": ""})

    def test_a_folder_needs_its_parent(self):
        self.assertEqual(self.after("os.makedirs('x/y'); write('x/y/a', 'one'); flush('x/y'); flush('x')"), {})
        self.assertEqual(self.after("os.makedirs('x/y'); write('x/y/a', 'one'); flush('x/y'); flush('x'); flush()"),
                         {"x": None, "x/y": None, "x/y/a": "one"})

    def test_two_names_of_one_file_stay_one_file(self):
        self.after("write('a', 'one'); os.link('a', 'b'); flush()")
        self.assertTrue(os.path.samefile(self.disk.root / "a", self.disk.root / "b"))

    def test_a_second_failure_loses_nothing_more(self):
        self.after("write('a', 'one'); flush()")
        self.assertEqual(self.after(""), {"a": "one"})

    def test_mixed_keeps_what_was_flushed_whatever_the_seed(self):
        seen = set()
        for seed in range(20):
            run(self.disk, "write('a', 'one'); flush()")
            left = self.after("write('b', 'two', flush=False)", "mixed", seed)
            self.assertEqual(left["a"], "one")
            seen.add(left.get("b"))
            (self.disk.root / "b").unlink(missing_ok=True)
            self.disk.everything_is_flushed()
        self.assertEqual(seen - {"\0\0\0"}, {None, "", "two"})  # a length without its blocks is seen, too

    def test_a_flush_of_two_processes_never_goes_back(self):
        """The later of two flushes wins, also where they overlap."""
        program = "n = os.open('log', os.O_WRONLY | os.O_CREAT | os.O_APPEND); flush()\n" \
                  "for i in range(200): os.write(n, b'x' * 100); os.fsync(n)"
        processes = [start(self.disk, program) for _ in range(3)]
        for process in processes:
            process.communicate(timeout=60)
        self.disk.fail_power("dropped", 1)
        self.assertEqual((self.disk.root / "log").stat().st_size, 3 * 200 * 100)

    def rows_after_power_failure(self, mutant):
        """Of a process that commits rows and tells each: what is left, and the last that it told."""
        with Disk(mutant) as disk:
            process = start(disk, INSERTS)
            told = [process.stdout.readline() for _ in range(300)]
            process.kill()
            out, _ = process.communicate()
            disk.fail_power("dropped", 1)
            with contextlib.closing(sqlite3.connect(disk.root / "q.sqlite")) as database:
                return database.execute("select count(*) from t").fetchone()[0], int(("".join(told) + out).split()[-1])

    def test_sqlite_keeps_what_it_committed(self):
        left, told = self.rows_after_power_failure({})
        self.assertIn(left - told, (1, 2))  # the last was committed and perhaps not yet told of

    def test_sqlite_loses_what_is_not_flushed(self):
        left, told = self.rows_after_power_failure({"KIBAN_FAULT_UNFLUSHED": "*-wal"})
        self.assertLess(left, told)

    def test_a_flush_drops_no_locks(self):
        """Closing any descriptor of a file would drop all that the process has locked in it."""
        locked = "import fcntl; f = open('a', 'w+'); fcntl.lockf(f, fcntl.LOCK_EX); os.fsync(f.fileno());"
        holder = start(self.disk, locked + "print('locked', flush=True); time.sleep(60)")
        self.assertEqual(holder.stdout.readline(), "locked\n")
        other = "import fcntl; fcntl.lockf(open('a', 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        self.assertEqual(run(self.disk, f"try:\n    {other}\nexcept OSError: print('held')"), "held\n")
        holder.kill()
        holder.communicate()


INSERTS = """
import sqlite3
db = sqlite3.connect('q.sqlite', isolation_level=None)
db.execute('create table t(n)')
db.execute('pragma journal_mode=wal')
db.execute('pragma synchronous=full')
db.execute('pragma wal_autocheckpoint=200')
for n in range(300):
    db.execute('insert into t values(?)', (n,))
    print(n, flush=True)
time.sleep(60)
"""


class Points(unittest.TestCase):
    def setUp(self):
        self.disk = Disk()
        self.addCleanup(self.disk.close)

    def test_the_third_that_comes_by_is_killed_and_only_it(self):
        order = self.disk.arm("a.b", "kill", hit=3)
        process = start(self.disk, "for n in range(5): print(n, flush=True); point(b'a.b')")
        out, _ = process.communicate(timeout=60)
        self.assertEqual((out.split(), process.returncode), (["0", "1", "2"], -signal.SIGKILL))
        self.assertEqual(self.disk.fired(order), (process.pid, os.getpid()))
        self.assertEqual(run(self.disk, "point(b'a.b'); print('lives')"), "lives\n")

    def test_other_points_and_roles_pass(self):
        order = self.disk.arm("a.b", "kill", role="worker*")
        run(self.disk, "point(b'a.b'); point(b'a.c')")
        self.assertIsNone(self.disk.fired(order))

    def test_a_stopped_process_goes_on(self):
        order = self.disk.arm("a.b", "stop")
        process = start(self.disk, "point(b'a.b'); print('lives')")
        while self.disk.fired(order) is None:
            time.sleep(0.01)
        self.assertEqual(os.waitid(os.P_PID, process.pid, os.WSTOPPED).si_status, signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.communicate(timeout=60)[0], "lives\n")


class Trouble(unittest.TestCase):
    def setUp(self):
        self.disk = Disk()
        self.addCleanup(self.disk.close)

    def failure(self, program):
        tried = f"try:\n    {program}\n    print(0)\nexcept OSError as failure: print(failure.errno)"
        return run(self.disk, tried).strip()

    def test_a_full_disk_takes_no_bytes_and_gives_back(self):
        self.assertEqual(self.failure("write('a', 'one')"), "0")
        self.disk.switch("disk_full", 1)
        for program in ("write('b', 'one')", "os.mkdir('c')", "os.truncate(os.open('a', os.O_RDWR), 9)"):
            self.assertEqual(self.failure(program), "28", program)
        self.assertEqual(self.failure("os.unlink('a')"), "0")
        self.disk.switch("disk_full", 0)
        self.assertEqual(self.failure("write('b', 'one')"), "0")

    def test_a_disk_that_can_only_be_read(self):
        self.assertEqual(self.failure("write('a', 'one')"), "0")
        self.disk.switch("read_only", 1)
        for program in ("write('b', 'one')", "write('a', '')", "os.mkdir('c')", "os.unlink('a')", "os.rename('a', 'b')",
                        "os.link('a', 'b')"):
            self.assertEqual(self.failure(program), "30", program)
        self.assertEqual(run(self.disk, "print(open('a').read())"), "one\n")

    def test_elsewhere_all_is_well(self):
        self.disk.switch("disk_full", 1)
        self.disk.switch("read_only", 1)
        other = self.disk.folder / "other"
        self.assertEqual(self.failure(f"write({str(other)!r}, 'one')"), "0")

    def test_a_disk_that_fails_tells_whoever_flushes(self):
        self.disk.switch("flush_fails", 1)
        self.assertEqual(self.failure("write('a', 'one')"), "5")

    def test_the_wall_clock_is_wrong_and_the_others_are_not(self):
        shown = "print(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))"
        before = [float(each) for each in run(self.disk, shown).split()]
        self.disk.switch("wall_clock_shift_s", 3600)
        after = [float(each) for each in run(self.disk, shown).split()]
        self.assertAlmostEqual(after[0] - before[0], 3600, delta=60)
        for now, then in zip(after[1:], before[1:]):
            self.assertAlmostEqual(now, then, delta=60)

    def test_a_boot_has_another_name_after_a_power_failure(self):
        shown = "print(open('/proc/sys/kernel/random/boot_id').read())"
        first = run(self.disk, shown)
        self.assertEqual(run(self.disk, shown), first)
        self.disk.fail_power("dropped", 1)
        self.assertNotEqual(run(self.disk, shown), first)


if __name__ == "__main__":
    unittest.main()
