"""The maps that convolutions are made of, each kind where it is for, against those of XLA's convolution."""

import math
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from verdict import assert_same, on_device

import bpjax
import bpjax.functional as F
from bpjax.functional._conv import (
    dense_correlation,
    depthwise_correlation,
    patch_correlation,
    phased_correlation,
    pointwise_correlation,
    winograd_correlation,
)
from bpjax.functional._conv.kernel_windows import KernelWindows

pytestmark = pytest.mark.usefixtures("x64")
KINDS = {  # maps: how windows that were drawn are bent to what the maps are for
    patch_correlation: lambda w: w._replace(groups=1),
    phased_correlation: lambda w: w,
    pointwise_correlation: lambda w: w._replace(kernel=(1,) * len(w.kernel), padding=((0, 0),) * len(w.kernel), groups=1),
    depthwise_correlation: lambda w: w._replace(groups=3),
    winograd_correlation: lambda w: KernelWindows((3, 3), (1, 1), (w.padding * 2)[:2], (1, 1), 1),
}
FEWEST = {"FEWEST_CHANNELS": 1, "FEWEST_TILES": 1, "FEWEST_PRODUCTS": 1}


@patch.multiple(winograd_correlation, **FEWEST)
def drawn(maps, wanted=12):
    """KernelWindows with kernels and an image's shape that the maps are for."""
    rng, found = np.random.default_rng(0), []
    while len(found) < wanted:
        n = int(rng.integers(1, 4))
        some = lambda low, high: tuple(int(v) for v in rng.integers(low, high, n))
        windows = KernelWindows(some(1, 5), some(1, 4), tuple(zip(some(0, 3), some(0, 3))), some(1, 4), int(rng.integers(1, 3)))
        windows = KINDS[maps](windows)
        n = len(windows.kernel)
        size, batch = some(5, 10), int(rng.integers(3, 8)) if len(found) else 0
        inputs = 1 if maps is depthwise_correlation else 2
        W = np.random.default_rng(len(found)).standard_normal((2 * windows.groups, inputs, *windows.kernel))
        shape = batch, inputs * windows.groups, *size
        if min(windows.positions(size)) > 0 and (maps.is_for(W, windows, shape) or not batch):
            found.append((windows, shape, W))
    return found


CASES = [(maps, *case) for maps in KINDS for case in drawn(maps)]
MORE_WEIGHTS_THAN_PLACES = KernelWindows((1,), (1,), ((0, 0),), (1,), 1), (3, 6, 3), np.random.default_rng(0).standard_normal((7, 6, 1))
CASES += [(pointwise_correlation, *MORE_WEIGHTS_THAN_PLACES)]
IDS = [f"{maps.__name__.split('.')[-1]}: {shape} {tuple(windows)}" for maps, windows, shape, _ in CASES]


@pytest.mark.parametrize(("maps", "windows", "shape", "W"), CASES, ids=IDS)
def test_as_xlas_convolution(maps, windows, shape, W, monkeypatch):
    values = shape[1] * math.prod((*windows.kernel, *windows.positions(shape[2:])))
    monkeypatch.setattr(patch_correlation, "VALUES", 2 * values)  # two examples make a chunk
    monkeypatch.setattr(winograd_correlation, "VALUES", 2 * math.prod(shape[1:]))  # or one
    rng = np.random.default_rng(1)
    y = rng.standard_normal((shape[0], len(W), *windows.positions(shape[2:])))
    x, W, y = on_device([rng.standard_normal(shape), W, y])

    @jax.jit
    def every(x, W, y):
        given = {"correlate": (x, W, windows), "input_grad": (y, W, windows, shape[2:]), "weight_grad": (x, y, windows)}
        own = [name for name in given if getattr(maps, name) is not getattr(dense_correlation, name)]
        return [[getattr(m, name)(*given[name]) for name in own] for m in (maps, dense_correlation)]

    assert_same(*every(x, W, y))


@pytest.mark.parametrize("constants", [{"VALUES": 400}, {"VALUES": 80, **FEWEST}], ids=["patch", "winograd"])
def test_chunks_of_examples_through_an_op(constants, monkeypatch):
    """By patches, which have 270 values of an example, or by tiles of an example, which has 40: in chunks of one or two."""
    maps = winograd_correlation if "FEWEST_TILES" in constants else patch_correlation
    for name, value in constants.items():
        monkeypatch.setattr(maps, name, value)
    if maps is winograd_correlation:
        monkeypatch.setattr(patch_correlation, "MOST_WEIGHTS", 0)
    x, W = on_device([np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate([(5, 2, 4, 5), (3, 2, 3, 3)])])

    def loss(x, W):
        return jnp.sum(jnp.sin(F.conv2d(x, W, padding=(1, 0))))

    def second(grad, outer):
        return outer(lambda x, W: sum(jnp.sum(jnp.cos(g)) for g in grad(loss, (0, 1))(x, W)), (0, 1))

    def every(grad):
        over_kernels = jax.vmap(grad(loss, (0, 1)), (None, 0))
        scanned = jax.lax.scan(lambda c, s: (c, grad(loss, (0, 1))(s * x, W)), 0, jnp.ones(2))[1]
        return [*second(grad, grad)(x, W), *over_kernels(x, jnp.stack([W, 2 * W])), *scanned]

    assert_same(*jax.jit(lambda: [every(grad) for grad in (bpjax.grad, jax.grad)])())


def test_tiles_round_no_more_than_xlas_convolution():
    windows, shape = KernelWindows((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1), (4, 64, 64, 64)
    x, W, y = (np.random.default_rng(i).standard_normal(s) for i, s in enumerate([shape, (64, 64, 3, 3), shape]))
    assert winograd_correlation.is_for(W, windows, shape)

    def every(maps, dtype):
        arrays = [jnp.asarray(a, dtype) for a in (x, W, y)]
        of_arrays = lambda x, W, y: [
            maps.correlate(x, W, windows), maps.input_grad(y, W, windows, shape[2:]), maps.weight_grad(x, y, windows)
        ]  # fmt: skip
        return jax.jit(of_arrays)(*arrays)

    exact, tiled, plain = every(dense_correlation, "float64"), every(winograd_correlation, "float32"), every(dense_correlation, "float32")
    for e, t, p in zip(exact, tiled, plain):
        of_tiles, of_xla = (float(jnp.linalg.norm(a - e)) for a in (t, p))
        assert of_tiles <= of_xla
