"""kiban.Queue: jobs that other processes run, end to end with a real worker."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from datetime import datetime, timezone
from pathlib import Path

import kiban
import numpy
import pytest

COMMAND = Path(os.environ.get("KIBAN_BUILD", "")) / "bin" / "kiban"
AFFINE = "skeleton.affine"


@contextlib.contextmanager
def worker(url, idle_s=0.2):
    """A worker that goes when it has nothing to do; fails if it did not go in peace."""
    if not COMMAND.is_file():
        pytest.skip("KIBAN_BUILD leads to no bin/kiban that could be a worker")
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([COMMAND, "worker", "--device", "cpu", "--exit-when-idle", str(idle_s)],
                                   env=dict(os.environ, KIBAN_QUEUE=url), stderr=log)
        try:
            yield process
            process.wait(timeout=120)
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        assert process.returncode == 0, log.read()


# What was asked for is done.


def test_a_job_from_submission_to_result(queue, url, source, array, tmp_path):
    out = tmp_path / "out.nii.gz"
    before = datetime.now(timezone.utc)
    job = queue.submit(AFFINE, input=source, output=out, scale=2, offset=numpy.float32(0.5), priority="urgent",
                       key="mine", submitter="ward-3", tags={"study": "a.b-1"}, timeout_s=60)
    assert (job.state, job.priority, job.operation, job.submitter) == ("queued", "urgent", AFFINE, "ward-3")
    assert job.parameters == {"scale": 2, "offset": 0.5}
    assert (job.key, job.tags, job.timeout_s, job.after) == ("mine", {"study": "a.b-1"}, 60, ())
    assert (job.inputs, job.outputs) == ({"input": source.resolve()}, {"output": out})
    assert not job.done and job.started is None and job.result is None and job.error_code is None
    with worker(url):
        (done,) = queue.wait(job, timeout_s=60)
    assert (done.id, done.state, done.done, done.published, done.error) == (job.id, "succeeded", True, True, "")
    assert before <= done.submitted <= done.started <= done.finished <= datetime.now(timezone.utc)
    assert (done.result / "manifest.json").is_file() and done.result.is_relative_to(queue.folder)
    ((output,),) = (made.values() for made in queue.results([done]))
    assert isinstance(output, kiban.Volume)
    assert (output.array == kiban.skeleton.affine(array, scale=2, offset=0.5).array).all()
    assert output.spacing_mm == (1, 2, 3)
    assert job.state == "queued" and job.refresh() == queue.job(job.id) == done  # a job is as it was seen


def test_many_at_once(queue, url, source, array, tmp_path):
    told = []
    jobs = queue.map(AFFINE, ({"output": tmp_path / f"{n}.mha", "scale": n, "tags": {"n": str(n)}} for n in range(20)),
                     input=source, priority="research")
    assert len({job.id for job in jobs}) == 20 and [job.id for job in jobs] == sorted(job.id for job in jobs)
    assert {job.priority for job in jobs} == {"research"} and jobs[7].tags == {"n": "7"}
    assert queue.counts().classes["research"].queued == queue.counts().unfinished == 20
    with worker(url):
        done = queue.wait(jobs, 60, lambda stage, fraction: told.append((stage, fraction)))
        assert queue.wait(timeout_s=60) == []
    assert [job.id for job in done] == [job.id for job in jobs]
    for scale, made in enumerate(queue.results(jobs)):
        assert (made["output"].array == kiban.skeleton.affine(array, scale=scale).array).all()
    assert told[-1] == ("20 of 20 jobs", 1.0) and all(0 <= fraction <= 1 for _, fraction in told)
    counts = queue.counts()
    assert (counts.succeeded, counts.failed, counts.unfinished, counts.unpublished, counts.paused) == (20, 0, 0, 0, False)
    assert list(counts.classes) == ["stat", "urgent", "routine", "research"]


def test_a_chain_of_every_kind_of_port(queue, url, tmp_path):
    projections, geometry, volume = tmp_path / "p.mha", tmp_path / "g.xml", tmp_path / "v.mha"
    scan = queue.submit("ct.simulate", phantom="shepp-logan", views=16, columns=24, projections=projections,
                        geometry=geometry)
    head = queue.submit("ct.fdk", projections=projections, geometry=geometry, volume=volume, preview=tmp_path / "v.png",
                        size=16, spacing_mm=16, after=[scan], priority="urgent")
    assert (head.state, head.after, scan.refresh().priority) == ("waiting", (scan.id,), "urgent")
    with worker(url):
        queue.wait([scan, head], 60)
    scanned, reconstructed = queue.results([scan, head])
    here = kiban.ct.simulate(phantom="shepp-logan", views=16, columns=24)
    assert (scanned["projections"].array == here.projections.array).all() and scanned["geometry"] == here.geometry
    assert reconstructed["volume"].shape == (16, 16, 16)
    assert reconstructed["preview"] == tmp_path / "v.png" and reconstructed["preview"].is_file()


# What was asked for is not done.


def test_a_failure_is_raised_in_its_turn(queue, url, source, tmp_path):
    broken = tmp_path / "broken.mha"
    broken.write_bytes(source.read_bytes()[:-40])
    good = queue.submit(AFFINE, input=source, output=tmp_path / "a.mha")
    bad = queue.submit(AFFINE, input=broken, output=tmp_path / "b.mha")
    child = queue.submit(AFFINE, input=tmp_path / "b.mha", output=tmp_path / "c.mha", after=[bad])
    with worker(url):
        done = queue.wait([good, bad, child], 60)
    assert [job.state for job in done] == ["succeeded", "failed", "cancelled"]
    assert done[1].error_code is kiban.ErrorCode.input and "broken.mha" in done[1].error
    assert done[2].fault_of == bad.id and done[2].error_code is None
    results = queue.results(done)
    assert "output" in next(results)
    with pytest.raises(kiban.Error, match="broken.mha") as caught:
        next(results)
    assert caught.value.code is kiban.ErrorCode.input
    with pytest.raises(kiban.Error, match="cancelled") as caught:
        next(queue.results(child))
    assert caught.value.code is kiban.ErrorCode.usage
    # Mended and asked for again, it takes its descendants along.
    broken.write_bytes(source.read_bytes())
    assert queue.retry(bad).state == "queued" and child.refresh().state == "waiting"
    with worker(url):
        assert [job.state for job in queue.wait([bad, child], 60)] == ["succeeded", "succeeded"]


def test_cancelling(queue, source, tmp_path):
    first = queue.submit(AFFINE, input=source, output=tmp_path / "a.mha")
    second = queue.submit(AFFINE, input=tmp_path / "a.mha", output=tmp_path / "b.mha", after=[first.id])
    cancelled = queue.cancel(first, "no longer needed")
    assert (cancelled.state, cancelled.error, cancelled.done) == ("cancelled", "no longer needed", True)
    assert [job.state for job in queue.wait([first, second], 5)] == ["cancelled", "cancelled"]
    assert queue.counts().cancelled == 2
    with pytest.raises(kiban.Error, match="was cancelled: no longer needed"):
        next(queue.results(first))


def test_results_of_what_is_not_done(queue, source, tmp_path):
    job = queue.submit(AFFINE, input=source, output=tmp_path / "a.mha")
    with pytest.raises(kiban.Error, match=f"job {job.id} is queued; wait for it first") as caught:
        next(queue.results([job]))
    assert caught.value.code is kiban.ErrorCode.usage


def test_an_output_that_cannot_get_its_name(queue, url, source, tmp_path):
    (tmp_path / "gone").mkdir()
    job = queue.submit(AFFINE, input=source, output=tmp_path / "gone" / "a.mha")
    (tmp_path / "gone").rmdir()
    with worker(url, idle_s=0.5):
        (done,) = queue.wait([job], 60)
    assert (done.state, done.published) == ("succeeded", False) and done.publish_error and done.result.is_dir()
    with pytest.raises(kiban.Error, match=f"not at their paths, but in {done.result}"):
        next(queue.results(job))


# Waiting.


def test_waiting_gives_up(queue, source, tmp_path):
    jobs = queue.map(AFFINE, [{"output": tmp_path / f"{n}.mha"} for n in range(3)], input=source)
    queue.cancel(jobs[1])
    for asked in (jobs, None):
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match="not every job is done after 0.3 s; the jobs go on"):
            queue.wait(asked, 0.3)
        assert time.monotonic() - begun >= 0.3
    with pytest.raises(TimeoutError):
        queue.wait(jobs, timeout_s=0)
    assert queue.wait([], 0) == [] and queue.wait([jobs[1]], 0)[0].state == "cancelled"


def test_what_progress_raises_ends_the_waiting(queue, source, tmp_path):
    job = queue.submit(AFFINE, input=source, output=tmp_path / "a.mha")

    def tell(stage, fraction):
        assert (stage, fraction) == ("0 of 1 jobs", 0)
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        queue.wait(job, progress=tell)


def test_ctrl_c_ends_the_waiting(queue, url, source, tmp_path):
    job = queue.submit(AFFINE, input=source, output=tmp_path / "a.mha")
    script = """
        import sys, kiban
        queue = kiban.Queue(sys.argv[1])
        begun = []
        try:
            queue.wait([sys.argv[2]], progress=lambda *_: begun or begun.append(print("begun", flush=True)))
        except KeyboardInterrupt:
            print(queue.job(sys.argv[2]).state)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), url, job.id], stdout=subprocess.PIPE,
                               text=True)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert (rest, process.returncode) == ("queued\n", 0)


def test_pausing(queue, url, source, tmp_path):
    queue.pause()
    job = queue.submit(AFFINE, input=source, output=tmp_path / "a.mha")
    assert queue.counts().paused and kiban.Queue(url).counts().paused
    with worker(url, idle_s=2):
        with pytest.raises(TimeoutError):
            queue.wait(job, 0.7)
        queue.resume()
        assert queue.wait(job, 60)[0].state == "succeeded" and not queue.counts().paused


def test_waiting_for_many_looks_at_few(queue, source, tmp_path):
    jobs = queue.map(AFFINE, [{"output": tmp_path / f"{n}.mha"} for n in range(300)], input=source)
    for job in jobs[:299]:
        queue.cancel(job)
    with pytest.raises(TimeoutError):
        queue.wait(jobs, 0.1)
    queue.cancel(jobs[299])
    told = []
    done = queue.wait([*jobs, jobs[0]], 5, lambda *now: told.append(now))
    assert [job.id for job in done] == [job.id for job in [*jobs, jobs[0]]] and told == [("300 of 300 jobs", 1.0)]


# The queue's own rules, as Python sees them.


def test_a_key_is_one_job(queue, source, tmp_path):
    asked = dict(input=source, output=tmp_path / "a.mha", scale=2, key="study-7")
    job = queue.submit(AFFINE, **asked)
    assert queue.submit(AFFINE, **asked).id == job.id
    assert queue.submit(AFFINE, **{**asked, "input": os.path.relpath(source)}).id == job.id
    with pytest.raises(kiban.Error, match="study-7") as caught:
        queue.submit(AFFINE, **{**asked, "scale": 3})
    assert caught.value.code is kiban.ErrorCode.usage
    other = queue.submit(AFFINE, **{**asked, "output": tmp_path / "b.mha"}, submitter="somebody-else")
    assert other.id != job.id and queue.counts().unfinished == 2


def test_finding_jobs(queue, source, tmp_path):
    jobs = queue.map(AFFINE, [{"output": tmp_path / f"{n}.mha", "submitter": f"s{n % 2}", "tags": {"n": str(n % 3)}}
                              for n in range(6)], input=source)
    queue.cancel(jobs[5])
    ids = [job.id for job in jobs]

    def found(**how):
        return [ids.index(job.id) for job in queue.jobs(**how)]

    assert found() == [5, 4, 3, 2, 1, 0] and found(most=2) == [5, 4]
    assert found(state="queued", submitter="s1") == [3, 1] and found(state="cancelled") == [5]
    assert found(tags={"n": "1"}) == [4, 1] and found(operation="ct.fdk") == []
    with pytest.raises(kiban.Error):
        queue.jobs(state="asleep")


@pytest.mark.parametrize(
    "given, sentence, code",
    [
        (dict(output="o.mha"), "^input must be given", "usage"),
        (dict(input="in.mha", output="o.mha", scales=2), "no port or parameter scales; did you mean scale", "usage"),
        (dict(input="in.mha", output="o.mha", scale="2"), "scale is '\"2\"', but must be a number", "usage"),
        (dict(input="in.mha", output="o.mha", scale=float("nan")), "scale is nan", "usage"),
        (dict(input="in.mha", output="o.mha", scale=object()), "scale is of type object", "usage"),
        (dict(input="no.mha", output="o.mha"), "no.mha", "input"),
        (dict(input="in.mha", output="none/o.mha"), "none", "input"),
        (dict(input="in.mha", output="in.mha"), "in.mha", "usage"),
        (dict(input="in.mha", output=3), "output is of type int, but must be a path", "usage"),
        (dict(input=numpy.zeros((2, 3, 4), "f4"), output="o.mha"), "input is of type ndarray, .*write it to a file", "usage"),
        (dict(input=kiban.Volume(numpy.zeros((2, 3, 4), "f4")), output="o.mha"), "type Volume, .*write it", "usage"),
        (dict(input="in.mha", output="o.mha", priority="soon"), "soon", "usage"),
        (dict(input="in.mha", output="o.mha", timeout_s=0), "timeout", "usage"),
        (dict(input="in.mha", output="o.mha", timeout_s=float("inf")), "timeout", "usage"),
        (dict(input="in.mha", output="o.mha", tags={"A B": "c"}), "A B", "usage"),
        (dict(input="in.mha", output="o.mha", submitter="a b"), "a b", "usage"),
        (dict(input="in.mha", output="o.mha", after=["0" * 26]), "0" * 26, "usage"),
    ],
)
def test_refuses_jobs(queue, source, tmp_path, monkeypatch, given, sentence, code):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kiban.Error, match=sentence) as caught:
        queue.submit(AFFINE, **given)
    assert caught.value.code is kiban.ErrorCode[code]
    assert queue.jobs() == []


def test_names_are_those_of_python(queue, source, tmp_path):
    files = dict(projections=source, geometry=source, volume=tmp_path / "v.mha")
    with pytest.raises(kiban.Error, match="^spacing_mm is -1 mm"):
        queue.submit("ct.fdk", **files, spacing_mm=-1)
    job = queue.submit("ct.fdk", **files, spacing_mm=2, no_mask=True, size=(8, 9, 10))
    assert job.parameters == {"spacing_mm": (2, 2, 2), "no_mask": True, "size": (8, 9, 10)}
    with pytest.raises(kiban.Error, match="no operation ct.fdc; did you mean ct.fdk"):
        queue.submit("ct.fdc")
    with pytest.raises(kiban.Error) as caught:
        queue.job("no-such-job")
    assert caught.value.code is kiban.ErrorCode.usage


def test_all_or_none(queue, source, tmp_path):
    with pytest.raises(kiban.Error, match=r"jobs\[1\]: scale is "):
        queue.map(AFFINE, [{"output": tmp_path / "a.mha"}, {"output": tmp_path / "b.mha", "scale": "2"}], input=source)
    with pytest.raises(kiban.Error):  # two write to one path
        queue.map(AFFINE, [{"output": tmp_path / "a.mha"}, {"output": tmp_path / "a.mha"}], input=source)
    assert queue.jobs() == [] and queue.map(AFFINE, [], input=source) == []


def test_refuses_what_is_no_queue(tmp_path):
    (tmp_path / "noise.sqlite").write_bytes(bytes(range(256)) * 64)
    for url, code in ((f"{tmp_path}/queue.sqlite", "usage"), ("sqlite:relative", "usage"),
                      (f"sqlite://{tmp_path}/noise.sqlite", "input")):
        with pytest.raises(kiban.Error) as caught:
            kiban.Queue(url)
        assert caught.value.code is kiban.ErrorCode[code], url
    assert (tmp_path / "noise.sqlite").read_bytes() == bytes(range(256)) * 64
