"""The maps that convolutions are made of, each kind where it is for, against those of XLA's convolution."""

import math

import jax
import numpy as np
import pytest
from verdict import assert_same, on_device

from bpjax.functional import dense_correlation, depthwise_correlation, patch_correlation, phased_correlation, pointwise_correlation
from bpjax.functional.dense_correlation import Windows

pytestmark = pytest.mark.usefixtures("x64")
KINDS = {  # maps: a number for the draws, how they are bent to what the maps are for
    patch_correlation: lambda w: w._replace(groups=1),
    phased_correlation: lambda w: w,
    pointwise_correlation: lambda w: w._replace(kernel=(1,) * len(w.kernel), padding=((0, 0),) * len(w.kernel), groups=1),
    depthwise_correlation: lambda w: w._replace(groups=3),
}


def drawn(maps, wanted=12):
    """Windows with kernels and an image's size that the maps are for."""
    rng, found = np.random.default_rng(0), []
    while len(found) < wanted:
        n = int(rng.integers(1, 4))
        some = lambda low, high: tuple(int(v) for v in rng.integers(low, high, n))
        windows = Windows(some(1, 5), some(1, 4), tuple(zip(some(0, 3), some(0, 3))), some(1, 4), int(rng.integers(1, 3)))
        windows, size, batch = KINDS[maps](windows), some(5, 10), int(rng.integers(0, 4))
        inputs = 1 if maps is depthwise_correlation else 2
        W = np.random.default_rng(len(found)).standard_normal((2 * windows.groups, inputs, *windows.kernel))
        if maps.is_for(W, windows) and min(windows.positions(size)) > 0:
            found.append((windows, (batch, inputs * windows.groups, *size), W))
    return found


CASES = [(maps, *case) for maps in KINDS for case in drawn(maps)]
IDS = [f"{maps.__name__.split('.')[-1]}: {shape} {tuple(windows)}" for maps, windows, shape, _ in CASES]


@pytest.mark.parametrize(("maps", "windows", "shape", "W"), CASES, ids=IDS)
def test_as_xlas_convolution(maps, windows, shape, W, monkeypatch):
    monkeypatch.setattr(patch_correlation, "VALUES", 2 * math.prod(shape[1:]) * math.prod(windows.kernel))  # a chunk or several
    rng = np.random.default_rng(1)
    y = rng.standard_normal((shape[0], len(W), *windows.positions(shape[2:])))
    x, W, y = on_device([rng.standard_normal(shape), W, y])

    def every(maps, x, W, y):
        return maps.correlate(x, W, windows), maps.spread(y, W, windows, shape[2:]), maps.kernel_between(x, y, windows)

    assert_same(*jax.jit(lambda *args: [every(m, *args) for m in (maps, dense_correlation)])(x, W, y))
