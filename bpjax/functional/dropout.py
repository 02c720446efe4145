"""Dropout: of values, of whole channels, and the forms that keep mean and variance for SELU."""

import functools

import jax
import jax.numpy as jnp

from ..engine import op
from ._shared.checks import floating, refuse
from ._shared.masks import pack, unpack


def _drops(dropped_at_once, constants, expected="any shape"):
    """Makes the op, its formula and its forward, from a documented signature. The backward of all is the last function of this file.

    `dropped_at_once(x)` is the shape of the mask, one entry for all that is dropped at once, or None where the input has not the
    `expected` rank; `constants(p)` are a, b and c of the value: a x + b where the mask keeps, c where it drops.
    """

    def make(signature):
        name = signature.__name__

        def mask_of(x, p, training, rng):
            """What is kept; None where everything is."""
            shape = dropped_at_once(x)
            draws = training and p != 0
            refuse(
                name,
                not 0.0 <= p <= 1.0 and f"p must lie in [0, 1], got {p}",
                shape is None and f"expected input {expected}, got shape {x.shape}",
                draws and rng is None and "training needs rng=, a key such as jax.random.key(0)",
            )
            if not draws:
                return None
            floating(name, input=x)
            # a float32 uniform, so that every precision draws the same mask (jax.random.bernoulli does not)
            return jax.random.uniform(rng, shape, jnp.float32) >= p

        def masked(x, m, p):
            a, b, c = constants(p)
            return x if m is None else jnp.where(m, a * x + b, c)

        @op(static=("p", "training", "inplace"))
        @functools.wraps(signature)
        def dropping(input, p, training, inplace, rng):
            return masked(input, mask_of(input, p, training, rng), p)

        @dropping.def_forward
        def _(input, p, training, inplace, rng):
            m = mask_of(input, p, training, rng)
            return masked(input, m, p), {"m": None if m is None else pack(m), "shape": dropped_at_once(input), "a": constants(p)[0]}

        return dropping

    return make


def _each_value(x):
    return x.shape


def _first(n):
    """The mask over the first n axes, of which the input must have as many."""
    return lambda x: x.shape[:n] + (1,) * (x.ndim - n) if x.ndim >= n else None


def _channels_1d(x):
    return {2: _first(1), 3: _first(2)}.get(x.ndim, lambda x: None)(x)


def _channels_3d(x):
    return _first(2 if x.ndim == 5 else 1)(x)


def _scaled(p):
    return (1 / (1 - p) if p < 1 else 0.0), 0.0, 0.0


_AT_MINUS_INFINITY = -1.7580993408473766  # -λ α of `selu`


def _self_normalizing(p):
    """Dropped values become what SELU gives at -∞; then mean 0 and variance 1 are brought back."""
    if p == 1:
        return 0.0, 0.0, 0.0
    s = _AT_MINUS_INFINITY
    a = ((1 - p) * (1 + p * s * s)) ** -0.5
    return a, -a * p * s, a * (1 - p) * s


@_drops(_each_value, _scaled)
def dropout(input, p=0.5, training=True, inplace=False, *, rng=None):
    """y = x m / (1 - p), with m drawn as Bernoulli(1 - p) for each value; in evaluation y = x.

    Shapes: any, kept.
    `rng` is JAX's key (PyTorch's is hidden); `inplace` is accepted and means nothing here.
    Backward: dx = dy m / (1 - p), m kept 8 to the byte.
    Errors: ValueError for p outside [0, 1], or where training has no rng; TypeError for integers in training.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> set(F.dropout(jnp.ones(100), 0.5, rng=jax.random.key(0)).tolist()) == {0.0, 2.0}
    True
    """


@_drops(_channels_1d, _scaled, "(N, C, L) or (C, L)")
def dropout1d(input, p=0.5, training=True, inplace=False, *, rng=None):
    """`dropout` of whole channels of sequences.

    Shapes: (N, C, L) or (C, L), kept.
    `rng` is JAX's key (PyTorch's is hidden); `inplace` is accepted and means nothing here.
    Backward: dx = dy m / (1 - p), m kept 8 to the byte. One bit for each channel.
    Errors: ValueError for p outside [0, 1] or another rank, or where training has no rng; TypeError for integers in training.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.dropout1d.html

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> y = F.dropout1d(jnp.ones((3, 8, 2)), rng=jax.random.key(0))
    >>> set(y.reshape(24, -1).sum(1).tolist()) == {0.0, 4.0}
    True
    """


@_drops(_first(2), _scaled, "(N, C, H, W)")
def dropout2d(input, p=0.5, training=True, inplace=False, *, rng=None):
    """`dropout` of whole channels of images.

    Shapes: (N, C, H, W) or (N, C, L), kept: as in PyTorch the first two axes count, in any rank from 2.
    `rng` is JAX's key (PyTorch's is hidden); `inplace` is accepted and means nothing here.
    Backward: dx = dy m / (1 - p), m kept 8 to the byte. One bit for each channel.
    Errors: ValueError for p outside [0, 1] or an input without two axes, or where training has no rng; TypeError for integers in training.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.dropout2d.html

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> y = F.dropout2d(jnp.ones((3, 8, 2, 2)), rng=jax.random.key(0))
    >>> set(y.reshape(24, -1).sum(1).tolist()) == {0.0, 8.0}
    True
    """


@_drops(_channels_3d, _scaled, "(N, C, D, H, W) or (C, D, H, W)")
def dropout3d(input, p=0.5, training=True, inplace=False, *, rng=None):
    """`dropout` of whole channels of volumes.

    Shapes: (N, C, D, H, W) or (C, D, H, W), kept: as in PyTorch the first axis alone counts in any rank but 5.
    `rng` is JAX's key (PyTorch's is hidden); `inplace` is accepted and means nothing here.
    Backward: dx = dy m / (1 - p), m kept 8 to the byte. One bit for each channel.
    Errors: ValueError for p outside [0, 1] or a scalar, or where training has no rng; TypeError for integers in training.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.dropout3d.html

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> y = F.dropout3d(jnp.ones((3, 8, 2, 1, 2)), rng=jax.random.key(0))
    >>> set(y.reshape(24, -1).sum(1).tolist()) == {0.0, 8.0}
    True
    """


@_drops(_each_value, _self_normalizing)
def alpha_dropout(input, p=0.5, training=False, inplace=False, *, rng=None):
    """y = a (x m + s (1 - m)) + b, m as in `dropout`, s = SELU(-∞), a and b such that mean 0 and variance 1 stay.

    Shapes: any, kept. In evaluation, and for p = 0, y = x; for p = 1, y = 0.
    `rng` is JAX's key (PyTorch's is hidden); `inplace` is accepted and means nothing here.
    Backward: dx = a dy m, m kept 8 to the byte.
    Errors: ValueError for p outside [0, 1], or where training has no rng; TypeError for integers in training.
    Source: https://arxiv.org/abs/1706.02515, https://pytorch.org/docs/stable/generated/torch.nn.functional.alpha_dropout.html

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> y = F.alpha_dropout(jnp.zeros(100), 0.5, True, rng=jax.random.key(0))
    >>> sorted({round(v, 4) for v in y.tolist()})
    [-0.7792, 0.7792]
    """


@_drops(_first(2), _self_normalizing, "(N, C, *)")
def feature_alpha_dropout(input, p=0.5, training=False, inplace=False, *, rng=None):
    """`alpha_dropout` of whole channels.

    Shapes: (N, C, *), kept: one draw for each of the first two axes.
    `rng` is JAX's key (PyTorch's is hidden); `inplace` is accepted and means nothing here.
    Backward: dx = a dy m, m kept 8 to the byte. One bit for each channel.
    Errors: ValueError for p outside [0, 1] or an input without two axes, or where training has no rng; TypeError for integers in training.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.feature_alpha_dropout.html

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> y = F.feature_alpha_dropout(jnp.zeros((3, 8, 2)), 0.5, True, rng=jax.random.key(0))
    >>> bool((y == y[..., :1]).all())
    True
    """


@dropout.def_backward
@dropout1d.def_backward
@dropout2d.def_backward
@dropout3d.def_backward
@alpha_dropout.def_backward
@feature_alpha_dropout.def_backward
def _(saved, dy):
    if saved["m"] is None:
        return dy, None
    return jnp.where(unpack(saved["m"], saved["shape"]), saved["a"] * dy, 0), None
