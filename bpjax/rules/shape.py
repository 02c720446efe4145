"""Shape operations: what moved forward is moved back, what was copied is summed."""

import numpy as np
from jax import lax

from ..engine import rule
from ..program import jaxprs


def _reshaped(x, aval):
    return lax.reshape(x, aval.shape, out_sharding=jaxprs.explicit_sharding(aval))


@rule("broadcast_in_dim", recomputes=True)
def _(eq, dy):
    aval, dims = eq.in_avals[0], eq["broadcast_dimensions"]
    kept = {d for d, n in zip(dims, aval.shape) if n == dy.shape[d]}
    summed = lax.reduce_sum(dy, tuple(i for i in range(dy.ndim) if i not in kept))
    return _reshaped(summed, aval), *[None] * (len(eq.in_avals) - 1)


@rule("reshape", recomputes=True)
def _(eq, dy):
    if eq.params.get("dimensions") is not None:
        order = eq["dimensions"]
        permuted = lax.reshape(dy, tuple(eq.in_avals[0].shape[d] for d in order))
        return lax.transpose(permuted, tuple(np.argsort(order))), *[None] * (len(eq.in_avals) - 1)
    return _reshaped(dy, eq.in_avals[0]), *[None] * (len(eq.in_avals) - 1)


for _name in ("squeeze", "expand_dims"):

    @rule(_name, recomputes=True)
    def _(eq, dy):
        return _reshaped(dy, eq.in_avals[0])


@rule("transpose", recomputes=True)
def _(eq, dy):
    return lax.transpose(dy, tuple(int(i) for i in np.argsort(eq["permutation"])))


@rule("rev")
def _(eq, dy):
    return lax.rev(dy, eq["dimensions"])


@rule("concatenate")
def _(eq, dy):
    axis, start, pieces = eq["dimension"], 0, []
    for aval in eq.in_avals:
        pieces.append(lambda a=start, n=aval.shape[axis]: lax.slice_in_dim(dy, a, a + n, axis=axis))
        start += aval.shape[axis]
    return tuple(pieces)


@rule("stack")
def _(eq, dy):
    axis = eq.params.get("axis", eq.params.get("dimension", 0))
    return tuple(lambda i=i: lax.index_in_dim(dy, i, axis, keepdims=False) for i in range(len(eq.in_avals)))


@rule("unstack")
def _(eq, *dys):
    axis = eq.params.get("axis", eq.params.get("dimension", 0))
    return lax.concatenate([lax.expand_dims(d, (axis,)) for d in dys], axis)


@rule("split")
def _(eq, *dys):
    return lax.concatenate(list(dys), eq["axis"])


@rule("tile")
def _(eq, dy):
    shape, reps = eq.in_avals[0].shape, eq["reps"]
    apart = lax.reshape(dy, tuple(n for pair in zip(reps, shape) for n in pair))
    return lax.reduce_sum(apart, tuple(range(0, 2 * len(shape), 2)))


@rule("pad")
def _(eq, dy):
    config = eq["padding_config"]

    def inner():
        unpadded = lax.pad(dy, lax.full((), 0, dy.dtype), [(-low, -high, 0) for low, high, _ in config])
        return lax.slice(unpadded, [0] * dy.ndim, unpadded.shape, [gap + 1 for *_, gap in config])

    return inner, lambda: lax.reduce_sum(dy, tuple(range(dy.ndim))) - lax.reduce_sum(inner(), tuple(range(dy.ndim)))


@rule("slice")
def _(eq, dy):
    shape, start = eq.in_avals[0].shape, eq["start_indices"]
    stride = eq["strides"] or (1,) * len(shape)
    reach = [s + (n - 1) * k + 1 if n else s for s, n, k in zip(start, dy.shape, stride)]
    return lax.pad(dy, lax.full((), 0, dy.dtype), [(s, n - r, k - 1) for s, n, r, k in zip(start, shape, reach, stride)])
