"""Dropout."""

import jax
import jax.numpy as jnp

from ..engine import op
from .masks import pack, unpack


@op(static=("p", "training", "inplace"))
def dropout(input, p=0.5, training=True, inplace=False, *, rng=None):
    """y = x m / (1 - p), with m drawn as Bernoulli(1 - p); in evaluation y = x.

    Shapes: any, kept. `rng` is JAX's key (PyTorch's is hidden); `inplace` is accepted and means nothing here.
    Backward: dx = dy m / (1 - p), m kept 8 to the byte.
    Errors: ValueError for p outside [0, 1], or where training needs an rng and has none.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> set(F.dropout(jnp.ones(100), 0.5, rng=jax.random.key(0)).tolist()) == {0.0, 2.0}
    True
    """
    m = _mask(input, p, training, rng)
    return input if m is None else jnp.where(m, input * _scale(p), 0)


@dropout.def_forward
def _(input, p, training, inplace, rng):
    m = _mask(input, p, training, rng)
    if m is None:
        return input, {"m": None, "p": p}
    return jnp.where(m, input * _scale(p), 0), {"m": pack(m), "p": p}


@dropout.def_backward
def _(saved, dy):
    if saved["m"] is None:
        return dy, None
    return jnp.where(unpack(saved["m"], dy.shape), dy * _scale(saved["p"]), 0), None


def _scale(p):
    return 1.0 / (1.0 - p) if p < 1 else 0.0


def _mask(x, p, training, rng):
    """What is kept; None where everything is."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: p must lie in [0, 1], got {p}")
    if not training or p == 0:
        return None
    if rng is None:
        raise ValueError("dropout: training needs rng=, a key such as jax.random.key(0)")
    # a float32 uniform, so that every precision draws the same mask (jax.random.bernoulli does not)
    return jax.random.uniform(rng, x.shape, jnp.float32) >= p
