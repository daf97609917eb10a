"""Jobs whose results anybody can compute, and what was told of each of them."""

import hashlib
import json
from dataclasses import dataclass, field

OPERATION = "fault.stretch"
SUBMITTERS = ("ward", "clinic", "study")
PRIORITIES = ("routine", "routine", "urgent", "research", "stat")


def stretched(seed, size):
    """What fault.stretch makes of a seed: see kiban_with_faults.cpp."""
    blocks = (hashlib.sha256(f"{seed}:{n}".encode()).digest() for n in range(-(-size // 32)))
    return b"".join(blocks)[:size]


@dataclass
class Job:
    key: str
    line: dict
    content: bytes
    id: str | None = None       # acknowledged: the command printed it
    killed_submits: int = 0     # commands that were killed before they told
    child_of: str | None = None

    @property
    def target(self):
        return self.line["outputs"].get("result")


@dataclass
class Jobs:
    """All that were ever handed to `kiban submit`, by key."""
    random: object
    folder: str
    by_key: dict = field(default_factory=dict)

    def make(self, parent=None, busy_ms=None):
        number = len(self.by_key)
        size = self.random.choice((0, 1, 700, 5000, 60_000))
        key = f"job-{number}"
        outputs = {"result": f"{self.folder}/{key}.bin"} if self.random.random() > 0.1 else {}
        parameters = {"seed": number, "bytes": size,
                      "busy-ms": self.random.randint(5, 100) if busy_ms is None else busy_ms}
        seed, inputs, after = str(number), {}, []
        if parent:
            inputs, after = {"source": parent.target}, [parent.id]
            seed += "/" + hashlib.sha256(parent.content).hexdigest()
        line = {"operation": OPERATION, "parameters": parameters, "inputs": inputs, "outputs": outputs, "after": after,
                "priority": self.random.choice(PRIORITIES), "submitter": SUBMITTERS[number % len(SUBMITTERS)],
                "key": key, "tags": {"batch": "faults"}}
        job = Job(key, line, stretched(seed, size), child_of=parent.key if parent else None)
        self.by_key[key] = job
        return job

    def batch(self, count):
        """New jobs; some wait for one that was acknowledged before, and read its result."""
        parents = [job for job in list(self.by_key.values())[-60:] if job.id and job.target]
        return [self.make(self.random.choice(parents) if parents and self.random.random() < 0.2 else None)
                for _ in range(count)]

    def told(self, batch, answer):
        """`kiban submit --json` printed this, whole or not at all."""
        try:
            ids = [receipt["id"] for receipt in json.loads(answer)["jobs"]]
        except (ValueError, KeyError):
            return False
        for job, job_id in zip(batch, ids, strict=True):
            if job.id not in (None, job_id):
                raise AssertionError(f"{job.key} was told two ids, {job.id} and {job_id}")
            job.id = job_id
        return True
