"""The queue: jobs that other processes run, and that survive everything but the loss of the disk."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union, get_args

from . import _kiban
from ._calls import in_python
from ._error import Error, ErrorCode
from ._job import Job, Priority, State, jobs_of
from ._operations import find, path_argument, sorted_out
from ._types import Progress
from ._volume import Volume, read

_OPTIONS = ("priority", "key", "after", "timeout_s", "submitter", "tags")
_SOONEST_S, _LATEST_S = 0.02, 5.0
_AT_A_LOOK = 256
Result = Union[Volume, _kiban.Geometry, Path]
JobLike = Union[Job, str]


@dataclass(frozen=True)
class ClassCounts:
    """Jobs of a class that are not done, and what the class had."""

    waiting: int
    queued: int
    running: int
    oldest_queued_s: float
    device_share: float
    """Of the device time since the queue was made, 0 to 1."""


@dataclass(frozen=True)
class QueueCounts:
    """How much a queue holds."""

    classes: dict[Priority, ClassCounts]
    """The most urgent first."""
    succeeded: int
    failed: int
    cancelled: int
    unpublished: int
    """Succeeded, but not yet at the paths that were asked for."""
    finished_per_minute: float
    """Over the last ten minutes."""
    paused: bool

    @property
    def unfinished(self) -> int:
        return sum(each.waiting + each.queued + each.running for each in self.classes.values())


class Queue:
    """A queue of jobs, which `kiban worker` runs; shared with the command and with other processes.

        queue = kiban.Queue()
        job = queue.submit("ct.fdk", projections="p.mha", geometry="g.xml", volume="v.nii.gz", size=256)
        queue.wait([job])
        ((made),) = queue.results([job])

    url   sqlite:///absolute/path; None takes KIBAN_QUEUE, or else ~/.local/share/kiban/queue.sqlite

    What a call has returned is on the disk. May be used from several threads, goes through a fork, and pickles as its
    URL. Errors: usage (not such a URL) · input (the queue is corrupt, full, read-only, on a network file system).
    """

    def __init__(self, url: str | None = None):
        self._url = os.environ.get("KIBAN_QUEUE", "") if url is None else url
        self._connection = _kiban.QueueConnection(self._url)
        self._folder = Path(self._connection.results())

    @property
    def folder(self) -> Path:
        """Where results lie."""
        return self._folder

    def submit(
        self,
        operation: str,
        /,
        *,
        priority: Priority = "routine",
        key: str | None = None,
        after: Iterable[JobLike] = (),
        timeout_s: float = 3600,
        submitter: str | None = None,
        tags: Mapping[str, str] | None = None,
        **given: Any,
    ) -> Job:
        """Asks for a run of an operation on files; returns at once.

        priority    the class: stat, urgent, routine or research
        key         your own name for the job: asked for again with the same content, it is the same job
        after       jobs that must succeed first
        timeout_s   of one attempt, on the device
        submitter   who asks; this process's user unless given
        tags        by key; keys and values are made of a-z, 0-9, '.', '_' and '-'
        given       ports (paths) and parameters, with '_' for '-', as `kiban.run` takes them

        Errors: usage (unknown names, bad values, the key is known with other content, another live job writes to the
        same path, the queue is full) · input (an input is missing, an output cannot be written).
        """
        common = _given(priority=priority, key=key, after=after, timeout_s=timeout_s, submitter=submitter, tags=tags)
        return self.map(operation, [given], **common)[0]

    def map(
        self,
        operation: str,
        /,
        jobs: Iterable[Mapping[str, Any]],
        **common: Any,
    ) -> list[Job]:
        """Submits many jobs of one operation, all or none.

        jobs     what each is given, as `submit` takes it: ports, parameters, and where they differ key, tags, ...
        common   what all are given

        Errors: those of `submit`.
        """
        known = find(operation)
        requests = [self._request(known, {**common, **each}) for each in jobs]
        try:
            ids = self._connection.submit(requests)
        except Error as error:
            raise in_python(operation, error) from None
        return self._find(ids)

    def wait(
        self,
        jobs: JobLike | Iterable[JobLike] | None = None,
        timeout_s: float | None = None,
        progress: Progress | None = None,
    ) -> list[Job]:
        """Waits until the jobs are done, well or not; returns them as they are then, in their order.

        jobs        those of this queue; None waits until the whole queue has nothing left to do, and returns none
        timeout_s   raises TimeoutError then; the jobs go on
        progress    called now and then with "3 of 20 jobs" and the fraction that is done, 0 to 1; an exception that it
                    raises ends the waiting

        Waits for ever where no worker runs. Errors: usage (no such job).
        """
        watch = _Watch(timeout_s, progress)
        if jobs is None:
            self._wait_for_all(watch)
            return []
        ids = _ids(jobs)
        pending, done = list(dict.fromkeys(ids)), dict[str, Job]()
        while True:
            running = 0.0
            for looked in self._looks(pending, at_all=progress is not None):
                done.update({job.id: job for job in looked if job.done})
                running += sum(job.fraction for job in looked if job.state == "running")
            pending = [id for id in pending if id not in done]
            if watch.ends(len(done), len(done) + len(pending), running):
                return [done[id] for id in ids]

    def _looks(self, ids: list[str], at_all: bool) -> Iterator[list[Job]]:
        """Some at a time; unless at all, no further than where some are not done."""
        for first in range(0, len(ids), _AT_A_LOOK):
            looked = self._find(ids[first : first + _AT_A_LOOK])
            yield looked
            if not at_all and not all(job.done for job in looked):
                return

    def _wait_for_all(self, watch: _Watch) -> None:
        most = 0
        while True:
            counts = self.counts()
            left = counts.unfinished + counts.unpublished
            most = max(most, left)
            if watch.ends(most - left, most, 0):
                return

    def results(self, jobs: JobLike | Iterable[JobLike]) -> Iterator[dict[str, Result]]:
        """What jobs that are done have made, in their order, by port: volumes and projections as kiban.Volume, geometries
        as kiban.ct.Geometry, other files as their paths. Reads those of one job at a time.

        Errors: those with which the jobs failed, one when its turn comes · usage (a job is not done, or was cancelled)
        · input (an output is not at its path).
        """
        return map(_result, self._find(_ids(jobs)))

    def job(self, id: str) -> Job:
        """Errors: usage (no such job)."""
        return self._find([id])[0]

    def jobs(
        self,
        *,
        state: State | None = None,
        operation: str | None = None,
        submitter: str | None = None,
        tags: Mapping[str, str] | None = None,
        most: int = 100,
    ) -> list[Job]:
        """Those that fit all of what is given, the latest first."""
        return jobs_of(self._connection.list(state, operation, submitter, dict(tags or {}), most), self)

    def counts(self) -> QueueCounts:
        """How much the queue holds, by class."""
        told = json.loads(self._connection.counts())
        by_class = told.pop("classes")
        return QueueCounts(classes={name: ClassCounts(**by_class[name]) for name in get_args(Priority)}, **told)

    def cancel(self, job: JobLike, why: str = "cancelled from Python") -> Job:
        """Stops a job, at its worker's next heartbeat if it runs, and cancels those that wait for it. One that is done
        stays as it is. Errors: usage (no such job)."""
        self._connection.cancel(_id(job), why)
        return self.job(_id(job))

    def retry(self, job: JobLike) -> Job:
        """Queues a failed or cancelled job again, and those that it had taken along. Errors: usage (it is neither, it
        was cancelled by another job's failure, another live job has its output path)."""
        self._connection.retry(_id(job))
        return self.job(_id(job))

    def pause(self) -> None:
        """Lets workers begin nothing new."""
        self._connection.pause(True)

    def resume(self) -> None:
        self._connection.pause(False)

    def _find(self, ids: list[str]) -> list[Job]:
        return jobs_of(self._connection.find(ids), self)

    def _request(self, operation: Any, given: dict[str, Any]) -> dict[str, Any]:
        options = _given(**{name: given.pop(name) for name in _OPTIONS if name in given})
        if "after" in options:
            options["after"] = _ids(options["after"])
        if "tags" in options:
            options["tags"] = dict(options["tags"])
        parameters, ports = sorted_out(operation, given, _path)
        inputs = {port.name for port in operation.inputs}
        return {
            "operation": operation.name,
            "parameters": parameters,
            "inputs": {name: path for name, path in ports.items() if name in inputs},
            "outputs": {name: path for name, path in ports.items() if name not in inputs},
            **options,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return Queue, (self._url,)

    def __repr__(self) -> str:
        return f"<kiban.Queue {self._url or 'of this user'}>"


class _Watch:
    """Between two looks at a queue: sleeps, tells, and gives up in time. Looks cost at most a tenth of the time."""

    def __init__(self, timeout_s: float | None, progress: Progress | None):
        self._timeout_s = timeout_s
        self._begun = self._looked = time.monotonic()
        self._progress = progress

    def ends(self, done: int, jobs: int, running: float) -> bool:
        """True when all are done; else waits until the next look is due. Errors: TimeoutError."""
        now = time.monotonic()
        if self._progress is not None:
            self._progress(f"{done} of {jobs} jobs", min(1.0, (done + running) / jobs) if jobs else 1.0)
        if done == jobs:
            return True
        pause = min(max(_SOONEST_S, 10 * (now - self._looked)), _LATEST_S)
        if self._timeout_s is not None:
            left = self._begun + self._timeout_s - now
            if left <= 0:
                raise TimeoutError(f"not every job is done after {self._timeout_s:g} s; the jobs go on")
            pause = min(pause, left)
        time.sleep(pause)
        self._looked = time.monotonic()
        return False


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _path(port: Any, given: Any) -> str:
    if isinstance(given, (Volume, _kiban.Geometry)) or hasattr(given, "__array__"):
        raise Error(f"{port.python} is of type {type(given).__name__}, but a job outlives this process: write it to a file"
                    " and give its path", ErrorCode.usage)
    return path_argument(given, port.python)


def _id(job: JobLike) -> str:
    return job.id if isinstance(job, Job) else job


def _ids(jobs: JobLike | Iterable[JobLike]) -> list[str]:
    return [_id(job) for job in ([jobs] if isinstance(jobs, (Job, str)) else jobs)]


def _result(job: Job) -> dict[str, Result]:
    if job.state == "failed":
        raise Error(job.error, job.error_code or ErrorCode.internal)
    if job.state == "cancelled":
        raise Error(f"job {job.id} was cancelled: {job.error}", ErrorCode.usage)
    if not job.done:
        raise Error(f"job {job.id} is {job.state}; wait for it first: queue.wait(job)", ErrorCode.usage)
    if job.publish_error and not job.published:
        raise Error(f"the outputs of job {job.id} are not at their paths, but in {job.result}: {job.publish_error}",
                    ErrorCode.input)
    kinds = {port.python: port.kind for port in find(job.operation).ports}
    return {port: _read(kinds[port], path) for port, path in job.outputs.items()}


def _read(kind: str, path: Path) -> Result:
    if kind in ("volume", "projections", "labels", "image"):
        return read(path, labels=kind == "labels", keep_type=kind == "image")
    return _kiban.Geometry.from_rtk(path) if kind == "geometry" else path
