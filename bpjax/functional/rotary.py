"""Rotary position embedding: pairs of features turned by angles that grow with the position."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import op
from ._shared.checks import floating, numbers, refuse, wide


@op(static=("base", "interleaved"))
def rotary_embedding(input, positions=None, base=10000.0, interleaved=False):
    """y = R(θ) x: pair i of the D features at position p is turned by the angle θ = p base^(-2i/D).

    Pair i is (x_i, x_{i+D/2}); with interleaved (x_{2i}, x_{2i+1}). A product of two vectors so turned depends on the difference of their
    positions alone.

    Shapes: input (*, T, D), D even, kept; positions (T,), or what broadcasts to (*, T); 0, ..., T - 1 where None.
    Backward: dx = R(-θ) dy, the angles made anew from the positions behind a barrier (see `gelu`). Positions get no gradient.
    Angles have float32 at least.
    Errors: ValueError for an odd D, for less than 2 axes, for positions that do not fit, for a base that is not positive; TypeError for an
    input that is not floating point.
    Source: https://arxiv.org/abs/2104.09864

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.rotary_embedding(jnp.array([[1.0, 0.0], [1.0, 0.0]])).round(4).tolist()
    [[1.0, 0.0], [0.5403000116348267, 0.8414999842643738]]
    """
    floating("rotary_embedding", input=input)
    numbers("rotary_embedding", positions=positions)
    shape = input.shape
    refuse(
        "rotary_embedding",
        len(shape) < 2 and f"expected an input (*, T, D), got shape {shape}",
        shape and shape[-1] % 2 and f"expected an even last dimension, got shape {shape}",
        positions is not None and not _fit(positions.shape, shape[:-1]) and f"positions {positions.shape} do not fit input {shape}",
        base <= 0 and f"base must be positive, got {base}",
    )
    return _turned(input, _as_numbers(positions, input), base, interleaved)


@rotary_embedding.def_forward
def _(input, positions, base, interleaved):
    y = rotary_embedding.formula(input, positions, base, interleaved)
    return y, {"positions": positions, "base": base, "interleaved": interleaved}


@rotary_embedding.def_backward
def _(saved, dy):
    positions = saved["positions"]
    p, dy = lax.optimization_barrier((_as_numbers(positions, dy), dy))
    d_positions = None if positions is None or not jnp.issubdtype(positions.dtype, jnp.floating) else jnp.zeros_like(positions)
    return _turned(dy, -p, saved["base"], saved["interleaved"]), d_positions


def _fit(positions, input):
    """Whether positions of this shape broadcast to those of the input."""
    return len(positions) <= len(input) and all(n in (1, m) for n, m in zip(positions[::-1], input[::-1]))


def _as_numbers(positions, x):
    """The positions in the precision of the angles; those of a sequence from its start in place of None."""
    dtype = wide(x.dtype)
    return jnp.arange(x.shape[-2], dtype=dtype) if positions is None else lax.stop_gradient(positions.astype(dtype))


def _turned(x, positions, base, interleaved):
    D = x.shape[-1]
    rates = float(base) ** (-2 / max(D, 1) * np.arange(D // 2))
    angles = positions[..., None] * jnp.asarray(rates, positions.dtype)
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    pairs, axis = ((D // 2, 2), -1) if interleaved else ((2, D // 2), -2)
    a, b = jnp.moveaxis(x.reshape(*x.shape[:-1], *pairs), axis, 0)
    return jnp.stack([a * cos - b * sin, a * sin + b * cos], axis).reshape(x.shape).astype(x.dtype)
