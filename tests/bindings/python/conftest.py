"""What several tests start from."""

import kiban
import numpy
import pytest


@pytest.fixture
def array():
    """Of an image's kind: [z,y,x], float32, C order."""
    return numpy.random.default_rng(3).normal(size=(4, 5, 6)).astype(numpy.float32)


@pytest.fixture(scope="session")
def scan():
    """Projections and geometry."""
    return kiban.ct.simulate(phantom="shepp-logan", views=40, columns=48)


@pytest.fixture
def url(tmp_path):
    (tmp_path / "queue").mkdir()
    return f"sqlite://{tmp_path}/queue/queue.sqlite"


@pytest.fixture
def queue(url):
    return kiban.Queue(url)


@pytest.fixture
def source(tmp_path, array):
    """A file that a job reads."""
    path = tmp_path / "in.mha"
    kiban.Volume(array, spacing_mm=(1, 2, 3)).write(path)
    return path
