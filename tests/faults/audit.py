"""What must hold of a queue and its results whatever went wrong: read from the file and the folders, without kiban."""

import contextlib
import hashlib
import json
import shutil
import sqlite3
from collections import defaultdict

WAITING, QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = range(6)
STATES = ("waiting", "queued", "running", "succeeded", "failed", "cancelled")

# SQLite itself keeps the diary, in the transaction of the change: no statement of kiban's can pass it by.
DIARY = """
CREATE TABLE fault_diary(number INTEGER, old_state INTEGER, state INTEGER, old_token TEXT, token TEXT, result TEXT,
                         old_result TEXT);
CREATE TRIGGER fault_diary_of_changes AFTER UPDATE OF state, lease_token, result ON job
WHEN old.state IS NOT new.state OR old.lease_token IS NOT new.lease_token OR old.result IS NOT new.result BEGIN
  INSERT INTO fault_diary VALUES (new.number, old.state, new.state, old.lease_token, new.lease_token, new.result,
                                  old.result);
END;
"""


def keep_diary(machine):
    """In kiban's own connection: it seals the pages of its store."""
    machine.disk.mutant["KIBAN_FAULT_SCRIPT"] = DIARY
    machine.kiban("queue")
    del machine.disk.mutant["KIBAN_FAULT_SCRIPT"]


def running_of(machine, worker):
    """How many leases workers of such a name hold; a name ends in the process id."""
    with contextlib.closing(sqlite3.connect(f"file:{machine.queue}?mode=ro", uri=True)) as database:
        return database.execute("SELECT count(*) FROM job WHERE state = 2 AND worker LIKE ?", (worker,)).fetchone()[0]


def unfinished(machine):
    """Jobs that something will still happen to."""
    with contextlib.closing(sqlite3.connect(f"file:{machine.queue}?mode=ro", uri=True)) as database:
        return database.execute("SELECT count(*) FROM job WHERE state < 3 OR state = 3 AND published = 0").fetchone()[0]


class Audit:
    """Reads all when it is made. `faults` are sentences by what they are: lost, double, unexpected."""

    def __init__(self, machine, drained=True):
        self.machine, self.drained, self.faults = machine, drained, defaultdict(list)
        self.figures = defaultdict(int)
        try:
            self.read()
        except sqlite3.DatabaseError as failure:
            self.faults["lost"].append(f"the queue cannot be read: {failure}")
            return
        self.submissions()
        self.changes()
        for row in self.rows:
            self.job(row)
        self.leftovers()

    def read(self):
        copy = self.machine.disk.outside / "audit.sqlite"
        for suffix in ("", "-wal"):
            source = self.machine.queue.with_name(self.machine.queue.name + suffix)
            (copy.with_name(copy.name + suffix)).unlink(missing_ok=True)
            if source.exists():
                shutil.copy(source, copy.with_name(copy.name + suffix))
        with contextlib.closing(sqlite3.connect(copy)) as database:
            database.row_factory = sqlite3.Row
            if (found := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(found)
            self.rows = database.execute("SELECT job.*, request.id, request.key FROM job JOIN request USING (number) "
                                         "ORDER BY number").fetchall()
            self.diary = database.execute("SELECT * FROM fault_diary ORDER BY rowid").fetchall()

    def submissions(self):
        """Each acknowledged job is there, once; of a killed submit all are there, or none."""
        keys = [row["key"] for row in self.rows]
        self.figures["jobs"] = len(keys)
        for key in set(keys):
            if keys.count(key) > 1:
                self.faults["double"].append(f"{key} is there {keys.count(key)} times")
            if key not in self.machine.jobs.by_key:
                self.faults["unexpected"].append(f"nobody submitted {key}")
        ids = {row["key"]: row["id"] for row in self.rows}
        for job in self.machine.jobs.by_key.values():
            there = job.key in ids
            self.figures["acknowledged"] += job.id is not None
            if job.id and not there:
                self.faults["lost"].append(f"{job.key} was acknowledged as {job.id} and is not there")
            elif job.id and ids[job.key] != job.id:
                self.faults["lost"].append(f"{job.key} was acknowledged as {job.id} and is {ids[job.key]}")
            elif not job.id and job.killed_submits:
                self.figures["killed_submits_counted_1" if there else "killed_submits_counted_0"] += 1
            elif not job.id and there:
                self.faults["unexpected"].append(f"{job.key} is there and was never told, nor was its submit killed")

    def changes(self):
        """The diary: one commit a job, by who held it; nothing happens to a job that has one."""
        commits = defaultdict(int)
        for change in self.diary:
            number, was, now = change["number"], change["old_state"], change["state"]
            self.figures["executions"] += was != RUNNING and now == RUNNING
            if was == SUCCEEDED and (now != SUCCEEDED or change["result"] != change["old_result"] or
                                     change["token"] != change["old_token"]):
                self.faults["double"].append(f"job {number} had succeeded and was changed to {STATES[now]}")
            if was != SUCCEEDED and now == SUCCEEDED:
                commits[number] += 1
                if was != RUNNING:
                    self.faults["unexpected"].append(f"job {number} succeeded while it was {STATES[was]}")
                if change["result"] and change["result"].split("/")[-1] != change["old_token"]:
                    self.faults["double"].append(f"job {number} was committed by an attempt that did not hold it")
        for number, count in commits.items():
            if count > 1:
                self.faults["double"].append(f"job {number} was committed {count} times")
        self.figures["commits"] = sum(commits.values())
        self.commits = commits

    def job(self, row):
        job, state = self.machine.jobs.by_key.get(row["key"]), row["state"]
        if not job:
            return
        if state in (FAILED, CANCELLED):
            self.faults["unexpected"].append(f"{job.key} is {STATES[state]}: {row['error']}")
        elif state != SUCCEEDED or not row["published"]:
            if self.drained:
                why = f"published {row['published']}, {row['publish_error']}"
                self.faults["lost"].append(f"{job.key} is {STATES[state]}, {why}")
        elif self.commits[row["number"]] != 1:
            self.faults["double"].append(f"{job.key} has {self.commits[row['number']]} commits")
        if state == SUCCEEDED and job.target:
            self.result(job, row)

    def result(self, job, row):
        """The folder that the row names is whole, and the name that was asked for has the same file."""
        folder = self.machine.queue.parent / "results" / row["result"]
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            output = manifest["outputs"]["result"]
            content = (folder / output["file"]).read_bytes()
        except (OSError, ValueError, KeyError) as failure:
            self.faults["lost"].append(f"{job.key}: its result is not whole: {failure!r}")
            return
        if content != job.content:
            self.faults["lost"].append(f"{job.key}: its result of {len(content)} bytes is not what was asked for")
        if output["sha256"] != hashlib.sha256(content).hexdigest() or manifest["job"] != job.id and job.id:
            self.faults["unexpected"].append(f"{job.key}: its manifest does not describe it")
        if not row["published"]:
            return
        target = self.machine.out / f"{job.key}.bin"
        if not target.exists():
            self.faults["lost"].append(f"{job.key} was published and has no file")
        elif target.read_bytes() != job.content:
            self.faults["lost"].append(f"{job.key}: its file is not what was asked for")
        elif not target.samefile(folder / output["file"]):
            self.faults["double"].append(f"{job.key}: its file is of another attempt than the one that counts")

    def leftovers(self):
        """No name that nobody asked for; folders of attempts that no row names are counted."""
        results = self.machine.queue.parent / "results"
        wanted = {row["result"] for row in self.rows if row["result"]}
        found = {f"{attempt.parent.name}/{attempt.name}" for attempt in results.glob("*/*")}
        self.figures["attempts_left_behind"] = len(found - wanted)
        known = {f"{row['key']}.bin" for row in self.rows}
        for path in self.machine.out.iterdir():
            if path.name not in known and (self.drained or not path.name.startswith(".")):
                self.faults["unexpected"].append(f"{path.name} lies among the outputs")

    def sentences(self):
        return [f"{kind}: {sentence}" for kind, found in self.faults.items() for sentence in found]
