"""A machine on which kiban runs: its disk, its workers and its submitters, all of which die and come back."""

import json
import os
import signal
import subprocess
import time

from disk import Disk
from jobs import Jobs

PROGRAM = os.environ.get("KIBAN_FAULT_PROGRAM", "")
LEASE_S, HEARTBEAT_S = 1.5, 0.3
# Faults are not the jobs' own: no number of them may fail one.
SETTINGS = {"lease-s": LEASE_S, "heartbeat-s": HEARTBEAT_S, "most-lost-leases": 1000, "most-attempts": 1000,
            "first-backoff-s": 0.05, "most-backoff-s": 0.5}


def is_over(pid):
    """No thread of it is left. The first may be gone while another still renames a file."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            state = stat.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return len(threads) <= 1 and state in "ZX"


class Machine:
    def __init__(self, random, workers=3, mutant=None):
        self.disk = Disk(mutant)
        self.queue = self.disk.root / "queue" / "queue.sqlite"
        self.out = self.disk.root / "out"
        self.log = open(self.disk.outside / "log", "ab")
        self.random, self.jobs = random, Jobs(random, str(self.out))
        self.workers = [None] * workers
        self.submits = {}  # process: its jobs
        self.again = []    # jobs whose submit was killed, to be submitted again
        self.wakes = []    # (when, process id): stopped processes
        self.started = 0
        self.out.mkdir()
        self.disk.everything_is_flushed()
        settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
        self.kiban("queue", *settings)

    def start(self, role, *words, **streams):
        self.started += 1
        environment = self.disk.environment(role) | {"KIBAN_QUEUE": f"sqlite://{self.queue}"}
        return subprocess.Popen([PROGRAM, *map(str, words)], env=environment, cwd=self.disk.root,
                                stdin=subprocess.DEVNULL, start_new_session=True,
                                **({"stdout": self.log, "stderr": self.log} | streams))

    def run(self, *words):
        """A command to its end: exit status, what it printed, what it complained of."""
        process = self.start("user", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, complaint = process.communicate(timeout=120)
        return process.returncode, out.decode(), complaint.decode()

    def kiban(self, *words):
        status, out, complaint = self.run(*words, "--json")
        if status != 0:
            raise AssertionError(f"kiban {words[0]}: exit {status}: {complaint}")
        return json.loads(out)

    # Workers

    def keep_workers(self):
        for n, worker in enumerate(self.workers):
            if worker is None or worker.poll() is not None:
                # Small batches, so that none claims all that there is, and whoever is hit holds something.
                self.workers[n] = self.start(f"worker.{n}", "worker", "--device", "cpu", "--threads", 1, "--batch", 4)

    def worker_of(self, *pids):
        """The worker among these processes, whether it lives or not."""
        return next((worker for worker in self.workers if worker and worker.pid in pids), None)

    def executor_of(self, worker):
        try:
            with open(f"/proc/{worker.pid}/task/{worker.pid}/children", encoding="ascii") as children:
                found = [int(word) for word in children.read().split()]
        except OSError:
            return None
        return found[0] if found else None

    # Submitters

    def submit(self, batch):
        path = self.disk.outside / f"{batch[0].key}-{len(batch)}.jsonl"
        path.write_text("".join(json.dumps(job.line) + "\n" for job in batch))
        answer = open(path.with_suffix(".answer"), "w+b")
        process = self.start("submitter", "submit", "--from", path, "--json", stdout=answer)
        self.submits[process] = (batch, answer)
        return process

    def take_answers(self, wait=False):
        for process in list(self.submits):
            if wait:
                process.wait(timeout=120)
            if process.poll() is None:
                continue
            batch, answer = self.submits.pop(process)
            with answer:
                answer.seek(0)
                told = self.jobs.told(batch, answer.read())
            if told:
                continue
            if process.returncode != -signal.SIGKILL:
                raise AssertionError(f"kiban submit: exit {process.returncode}: {self.complaints()}")
            for job in batch:
                job.killed_submits += 1
            if self.random.random() < 0.5:  # the other half of the senders never comes back
                self.again.append(batch)

    def complaints(self):
        with open(self.disk.outside / "log", encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    # All at once

    def stop_for(self, pid, seconds):
        """It was stopped, and goes on after so long."""
        self.wakes.append((time.monotonic() + seconds, pid))

    def wake(self, everybody=False):
        now = time.monotonic()
        for when, pid in list(self.wakes):
            if everybody or when <= now:
                self.wakes.remove((when, pid))
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass

    def alive(self):
        """Every process that lives on this disk, children of killed parents too."""
        mark = f"KIBAN_FAULT_CONTROL={self.disk.control}\0".encode()
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/environ", "rb") as environment:
                    if mark in environment.read():
                        found.append(int(name))
            except OSError:
                pass
        return found

    def kill_everybody(self):
        """When it returns nobody is left, nor a call to the kernel of somebody who was killed."""
        self.wakes.clear()
        killed, quiet = set(), 0
        while quiet < 2:  # who is just being born has no environment to be seen by
            found = self.alive()
            quiet = 0 if found else quiet + 1
            for pid in found:
                killed.add(pid)
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for process in [*self.workers, *self.submits]:
                if process:
                    process.poll()
            time.sleep(0.01)
        for process in [*self.workers, *self.submits]:
            if process:
                process.wait()
        while not all(is_over(pid) for pid in killed):
            time.sleep(0.002)
        self.workers = [None] * len(self.workers)

    def fail_power(self, unflushed="dropped", seed=0):
        self.kill_everybody()
        self.take_answers()  # what was printed before was told
        self.disk.fail_power(unflushed, seed)

    def pause(self, seconds=0.02):
        """Time goes by: the dead are replaced, the stopped go on."""
        self.wake()
        self.take_answers()
        self.keep_workers()
        time.sleep(seconds)

    def close(self):
        self.kill_everybody()
        for _, answer in self.submits.values():
            answer.close()
        self.log.close()
        self.disk.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
