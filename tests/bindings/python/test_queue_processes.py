"""kiban.Queue in threads, through forks, in pools, and pickled."""

import multiprocessing
import pickle
import subprocess
import sys
import textwrap
import threading

import kiban
import pytest

AFFINE = "skeleton.affine"


def python(script, *arguments, **how):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], capture_output=True,
                          text=True, timeout=120, **how)


def submit_some(queue, source, folder, numbers):
    return [job.id for job in queue.map(AFFINE, [{"output": folder / f"{n}.mha"} for n in numbers], input=source)]


def test_threads_share_a_queue(queue, source, tmp_path):
    ids, raised = [], []

    def work(first):
        try:
            for n in range(first, first + 10):
                ids.extend(submit_some(queue, source, tmp_path, [n]))
                assert queue.job(ids[-1]).id in {job.id for job in queue.jobs(most=1000)}
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=work, args=(10 * n,)) for n in range(8)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    assert raised == [] and len(set(ids)) == 80
    assert {job.id for job in queue.jobs(most=1000)} == set(ids)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pools_of_processes(queue, source, tmp_path, method):
    first = submit_some(queue, source, tmp_path, [0])
    with multiprocessing.get_context(method).Pool(3) as pool:
        made = pool.starmap_async(submit_some, [(queue, source, tmp_path, range(n, n + 5)) for n in range(1, 51, 5)])
        ids = [id for part in made.get(timeout=120) for id in part]
    assert len(set(ids)) == 50 and {job.id for job in queue.jobs(most=1000)} == {*first, *ids}


def test_a_child_outlives_its_parent(url, source, tmp_path):
    """A parent that ends, the last with the queue open as far as it knows, folds up nothing that its child writes to."""
    script = """
        import os, sys, time, kiban
        queue = kiban.Queue(sys.argv[1])
        def submit(n):
            return queue.submit("skeleton.affine", input=sys.argv[2], output=f"{sys.argv[3]}/{n}.mha").id
        submit(0)
        parent = os.getpid()
        if os.fork():
            submit(1)
            sys.exit()
        submit(2)
        while os.getppid() == parent:
            time.sleep(0.01)
        for n in range(3, 20):
            print(submit(n), flush=True)
        os.kill(os.getpid(), 9)  # what it was told is on the disk must be there
    """
    result = python(script, url, source, tmp_path)
    ids = set(result.stdout.split())
    assert len(ids) == 17, result.stderr
    assert ids < {job.id for job in kiban.Queue(url).jobs()} and len(kiban.Queue(url).jobs()) == 20


def test_forks_while_threads_work(url, source, tmp_path):
    script = """
        import os, sys, threading, kiban
        queue = kiban.Queue(sys.argv[1])
        numbers = iter(range(10**9))
        stop = threading.Event()
        def submit(n):
            return queue.submit("skeleton.affine", input=sys.argv[2], output=f"{sys.argv[3]}/{n}.mha").id
        def work():
            while not stop.is_set():
                submit(next(numbers))
        threads = [threading.Thread(target=work) for _ in range(3)]
        [thread.start() for thread in threads]
        for child in range(20):
            n = next(numbers)
            pid = os.fork()
            if not pid:
                submit(n)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        [thread.join() for thread in threads]
        print(next(numbers))
    """
    result = python(script, url, source, tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(kiban.Queue(url).jobs(most=10**6)) == int(result.stdout)


def test_a_queue_pickles_as_its_url(queue, source, tmp_path):
    job = queue.submit(AFFINE, input=source, output=tmp_path / "a.mha")
    again, job_again = pickle.loads(pickle.dumps((queue, job)))
    assert again.job(job.id) == job == job_again.refresh() and {job, job_again} == {job}
    assert again.folder == queue.folder and repr(again) == repr(queue)


def test_the_queue_of_the_environment(url, monkeypatch):
    monkeypatch.setenv("KIBAN_QUEUE", url)
    assert kiban.Queue().folder == kiban.Queue(url).folder
