"""Jobs of a queue, as they were when somebody asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ._declarations import operations, python_name
from ._error import ErrorCode

if TYPE_CHECKING:
    from ._queue import Queue

Priority = Literal["stat", "urgent", "routine", "research"]
State = Literal["waiting", "queued", "running", "succeeded", "failed", "cancelled"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, repr=False)
class Job:
    """A job of a queue, as it was when somebody asked; `refresh()` asks again. Names of ports and parameters are
    Python's, times are in UTC."""

    id: str
    """26 characters, in the order of submission."""
    operation: str
    operation_version: int
    parameters: dict[str, Any]
    """Those that were given."""
    inputs: dict[str, Path]
    outputs: dict[str, Path]
    """Where the results were asked for, by port."""
    submitter: str
    key: str
    """The submitter's own name for it; "" for none."""
    after: tuple[str, ...]
    """Ids of the jobs that must succeed first."""
    timeout_s: float
    tags: dict[str, str]
    priority: Priority
    """Its own, or that of the most urgent job that waits for it."""
    state: State
    stage: str
    """Of the running attempt: "load", "compute", ..."""
    fraction: float
    """Of the running attempt, 0 to 1."""
    attempts: int
    """That were charged to it."""
    lost_leases: int
    """How often its worker went away."""
    worker: str
    """Who runs it, or ran it last."""
    submitted: datetime
    started: datetime | None
    finished: datetime | None
    device_seconds: float
    """Of the attempt that succeeded."""
    error: str
    """The sentence of the last failure; of a cancelled job, why."""
    error_code: ErrorCode | None
    fault_of: str
    """Id of the job whose failure cancelled this one; "" for none."""
    result: Path | None
    """The folder of the result, which manifest.json describes; None where there is none."""
    published: bool
    """The paths in `outputs` have the result."""
    publish_error: str
    """Why not yet."""
    queue: Queue = field(compare=False)

    @property
    def done(self) -> bool:
        """Nothing more happens by itself: it failed, was cancelled, or succeeded and has its outputs at their paths, or
        an error that says why not."""
        if self.state == "succeeded":
            return self.published or not self.outputs or self.publish_error != ""
        return self.state in ("failed", "cancelled")

    def refresh(self) -> Job:
        """The same job as it is now."""
        return self.queue.job(self.id)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        more = f", {self.stage} {self.fraction:.0%}" if self.state == "running" and self.stage else ""
        return f"<kiban.Job {self.id} {self.operation}: {self.state}{more}>"


def jobs_of(text: str, queue: Queue) -> list[Job]:
    """From the extension's JSON."""
    return [_job(told, queue) for told in json.loads(text)]


def _job(told: dict[str, Any], queue: Queue) -> Job:
    asked = told["submission"]
    code = told["error_code"]
    known = operations().get(asked["operation"])
    return Job(
        id=told["id"],
        operation=asked["operation"],
        operation_version=asked["operation_version"],
        parameters={python_name(name): _plain(value) for name, value in asked["parameters"].items()},
        inputs=_paths(asked["inputs"]),
        outputs=_paths(asked["outputs"]),
        submitter=asked["submitter"],
        key=asked["key"],
        after=tuple(asked["after"]),
        timeout_s=asked["timeout_s"],
        tags=asked["tags"],
        priority=told["priority"],
        state=told["state"],
        stage=told["stage"],
        fraction=told["fraction"],
        attempts=told["attempts"],
        lost_leases=told["lost_leases"],
        worker=told["worker"],
        submitted=_EPOCH + timedelta(microseconds=told["submitted_us"]),
        started=_time(told["started_us"]),
        finished=_time(told["finished_us"]),
        device_seconds=told["device_seconds"],
        error=known.in_python(told["error"]) if known else told["error"],
        error_code=None if code is None else ErrorCode[code],
        fault_of=told["fault_of"],
        result=queue.folder / told["result"] if told["result"] else None,
        published=told["published"],
        publish_error=told["publish_error"],
        queue=queue,
    )


def _paths(by_port: dict[str, str]) -> dict[str, Path]:
    return {python_name(port): Path(path) for port, path in by_port.items()}


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _time(us: int) -> datetime | None:
    return _EPOCH + timedelta(microseconds=us) if us else None
