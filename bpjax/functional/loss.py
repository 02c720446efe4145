"""Losses. Each takes PyTorch's arguments; `size_average` and `reduce` are PyTorch's deprecated ones, kept for the order."""

import jax.numpy as jnp
from jax import lax

from ..engine import op
from .reduction import broadcast_size, reduced, reduction_of, spread, unbroadcast


@op(static=("size_average", "reduce", "reduction"))
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """l = (x - t)², reduced.

    Shapes: input and target the same (*) -> scalar, or (*) with reduction="none".
    Backward: dx = 2 (x - t) dl, dl being dy / n for the mean over n values;  dt = -dx.
    Errors: ValueError where the shapes differ (PyTorch broadcasts, and warns).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.mse_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.mse_loss(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])))
    2.0
    """
    d = _difference("mse_loss", input, target)
    return reduced(d * d, reduction_of(size_average, reduce, reduction))


@mse_loss.def_forward
def _(input, target, size_average, reduce, reduction):
    saved = {"x": input, "t": target, "how": reduction_of(size_average, reduce, reduction)}
    return mse_loss.formula(input, target, size_average, reduce, reduction), saved


@mse_loss.def_backward
def _(saved, dy):
    x, t = saved["x"], saved["t"]
    return _both(2 * (x - t) * spread(dy, x.size, saved["how"]), x, t)


@op(static=("size_average", "reduce", "reduction"))
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """l = |x - t|, reduced; derivative 0 where x = t.

    Shapes: input and target the same (*) -> scalar, or (*) with reduction="none".
    Backward: dx = sign(x - t) dl, dl being dy / n for the mean over n values;  dt = -dx.
    Errors: ValueError where the shapes differ (PyTorch broadcasts, and warns).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.l1_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.l1_loss(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])))
    1.0
    """
    d = _difference("l1_loss", input, target)
    return reduced(d * jnp.sign(d), reduction_of(size_average, reduce, reduction))  # as |d|, with derivative 0 at 0


@l1_loss.def_forward
def _(input, target, size_average, reduce, reduction):
    saved = {"x": input, "t": target, "how": reduction_of(size_average, reduce, reduction)}
    return l1_loss.formula(input, target, size_average, reduce, reduction), saved


@l1_loss.def_backward
def _(saved, dy):
    x, t = saved["x"], saved["t"]
    return _both(jnp.sign(x - t) * spread(dy, x.size, saved["how"]), x, t)


@op(static=("reduction", "delta"))
def huber_loss(input, target, reduction="mean", delta=1.0):
    """l = d²/2 where |d| <= δ, else δ (|d| - δ/2), with d = x - t; reduced.

    Shapes: input and target the same (*) -> scalar, or (*) with reduction="none".
    Backward: dx = clip(d, -δ, δ) dl, dl being dy / n for the mean over n values;  dt = -dx.
    Errors: ValueError where the shapes differ, or δ is not positive.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.huber_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.huber_loss(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])))
    0.75
    """
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta}")
    d = _difference("huber_loss", input, target)
    size = jnp.abs(d)
    return reduced(jnp.where(size <= delta, 0.5 * d * d, delta * (size - 0.5 * delta)), reduction)


@huber_loss.def_forward
def _(input, target, reduction, delta):
    return huber_loss.formula(input, target, reduction, delta), {"x": input, "t": target, "how": reduction, "delta": delta}


@huber_loss.def_backward
def _(saved, dy):
    x, t, delta = saved["x"], saved["t"], saved["delta"]
    return _both(jnp.clip(x - t, -delta, delta) * spread(dy, x.size, saved["how"]), x, t)


@op(static=("size_average", "reduce", "reduction"))
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """l = -w (t log x + (1 - t) log(1 - x)), reduced, x being probabilities; logarithms are cut off at -100.

    Shapes: input and target the same (*), weight broadcast to it or None -> scalar, or (*) with reduction="none".
    Backward: dx = w (x - t) / max(x (1 - x), 1e-12) dl;  dt = w (log(1 - x) - log x) dl;  dw = l/w dl.
    Errors: ValueError where the shapes differ.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.binary_cross_entropy(jnp.array([0.5]), jnp.array([1.0]))), 4)
    0.6931
    """
    _same_shape("binary_cross_entropy", input, target)
    at_edge, log_x, log_1_x = _bce_logs(input)
    # at the edges PyTorch's derivative is (x - t) / 1e-12, which no logarithm gives: a linear term of value 0 brings it
    edge = (input - lax.stop_gradient(input)) * lax.stop_gradient(input - target) * 1e12
    loss = jnp.where(at_edge, edge, 0) - (target * log_x + (1 - target) * log_1_x)
    return reduced(loss if weight is None else loss * weight, reduction_of(size_average, reduce, reduction))


@binary_cross_entropy.def_forward
def _(input, target, weight, size_average, reduce, reduction):
    y = binary_cross_entropy.formula(input, target, weight, size_average, reduce, reduction)
    return y, {"x": input, "t": target, "w": weight, "how": reduction_of(size_average, reduce, reduction)}


@binary_cross_entropy.def_backward
def _(saved, dy):
    x, t, w = saved["x"], saved["t"], saved["w"]
    dl = spread(dy, broadcast_size(x, w), saved["how"])
    weighted = dl if w is None else w * dl
    _, log_x, log_1_x = _bce_logs(x)
    dx = (x - t) / jnp.maximum(x * (1 - x), 1e-12) * weighted
    dt = (log_1_x - log_x) * weighted
    dw = None if w is None else unbroadcast(-(t * log_x + (1 - t) * log_1_x) * dl, w)
    return unbroadcast(dx, x), unbroadcast(dt, t), dw


def _bce_logs(x):
    """Whether x is 0 or 1 within 1e-12, log x and log(1 - x); at the edges cut off at -100 and without derivative."""
    at_edge = x * (1 - x) < 1e-12
    inside, outside = jnp.where(at_edge, 0.5, x), lax.stop_gradient(x)
    log_x = jnp.where(at_edge, jnp.maximum(jnp.log(outside), -100), jnp.log(inside))
    log_1_x = jnp.where(at_edge, jnp.maximum(jnp.log1p(-outside), -100), jnp.log1p(-inside))
    return at_edge, log_x, log_1_x


@op(static=("size_average", "reduce", "reduction"))
def binary_cross_entropy_with_logits(input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
    """l = w ((1 - t) z + (1 + (p - 1) t) log(1 + exp(-z))), reduced: `binary_cross_entropy` of σ(z), p = pos_weight on the ones.

    Shapes: input z and target t the same (*), weight and pos_weight broadcast to it or None -> scalar, or (*) with reduction="none".
    Backward: dz = w ((1 - t) - (1 + (p - 1) t) σ(-z)) dl, which is w (σ(z) - t) dl for p = 1;  with s = log(1 + exp(-z)):
    dt = w ((p - 1) s - z) dl;  dw = l/w dl;  dp = w t s dl.
    Errors: ValueError where the shapes differ.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.binary_cross_entropy_with_logits(jnp.zeros(1), jnp.ones(1))), 4)
    0.6931
    """
    _same_shape("binary_cross_entropy_with_logits", input, target)
    loss = _bce_of_logits(input, target, pos_weight)
    return reduced(loss if weight is None else loss * weight, reduction_of(size_average, reduce, reduction))


@binary_cross_entropy_with_logits.def_forward
def _(input, target, weight, size_average, reduce, reduction, pos_weight):
    y = binary_cross_entropy_with_logits.formula(input, target, weight, size_average, reduce, reduction, pos_weight)
    return y, {"z": input, "t": target, "w": weight, "p": pos_weight, "how": reduction_of(size_average, reduce, reduction)}


@binary_cross_entropy_with_logits.def_backward
def _(saved, dy):
    z, t, w, p = (saved[k] for k in "ztwp")
    dl = spread(dy, broadcast_size(z, w, p), saved["how"])
    weighted = dl if w is None else w * dl
    s = _softplus_of_minus(z)
    if p is None:
        dz, dt, dp = (lax.logistic(z) - t) * weighted, -z * weighted, None
    else:
        dz = ((1 - t) - (1 + (p - 1) * t) * lax.logistic(-z)) * weighted
        dt, dp = ((p - 1) * s - z) * weighted, unbroadcast(t * s * weighted, p)
    dw = None if w is None else unbroadcast(_bce_of_logits(z, t, p) * dl, w)
    return unbroadcast(dz, z), unbroadcast(dt, t), dw, dp


def _bce_of_logits(z, t, p):
    s = _softplus_of_minus(z)
    return (1 - t) * z + (s if p is None else (1 + (p - 1) * t) * s)


def _softplus_of_minus(z):
    return jnp.logaddexp(-z, 0)  # written with max and abs, the formula's derivative would be off by 1/2 at z = 0


# -- what the losses of two equal shapes share -------------------------------------------------------------------------


def _same_shape(name, input, target):
    if input.shape != target.shape:
        raise ValueError(f"{name}: input and target must have one shape, got {input.shape} and {target.shape}")


def _difference(name, input, target):
    _same_shape(name, input, target)
    return input - target


def _both(dx, x, t):
    return dx.astype(x.dtype), (-dx).astype(t.dtype)
