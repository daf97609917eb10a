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
