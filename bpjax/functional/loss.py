"""Losses. Each takes PyTorch's arguments; `size_average` and `reduce` are PyTorch's deprecated ones, kept for the order."""

import math

import jax.numpy as jnp
from jax import lax

from ..engine import op


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
    return _reduced(d * d, size_average, reduce, reduction)


@mse_loss.def_forward
def _(input, target, size_average, reduce, reduction):
    saved = {"x": input, "t": target, "how": _how(size_average, reduce, reduction)}
    return mse_loss.formula(input, target, size_average, reduce, reduction), saved


@mse_loss.def_backward
def _(saved, dy):
    x, t = saved["x"], saved["t"]
    return _both(2 * (x - t) * _spread(dy, x.size, saved["how"]), x, t)


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
    return _reduced(d * jnp.sign(d), size_average, reduce, reduction)  # as |d|, with derivative 0 at 0


@l1_loss.def_forward
def _(input, target, size_average, reduce, reduction):
    saved = {"x": input, "t": target, "how": _how(size_average, reduce, reduction)}
    return l1_loss.formula(input, target, size_average, reduce, reduction), saved


@l1_loss.def_backward
def _(saved, dy):
    x, t = saved["x"], saved["t"]
    return _both(jnp.sign(x - t) * _spread(dy, x.size, saved["how"]), x, t)


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
    return _reduced(jnp.where(size <= delta, 0.5 * d * d, delta * (size - 0.5 * delta)), None, None, reduction)


@huber_loss.def_forward
def _(input, target, reduction, delta):
    return huber_loss.formula(input, target, reduction, delta), {"x": input, "t": target, "how": reduction, "delta": delta}


@huber_loss.def_backward
def _(saved, dy):
    x, t, delta = saved["x"], saved["t"], saved["delta"]
    return _both(jnp.clip(x - t, -delta, delta) * _spread(dy, x.size, saved["how"]), x, t)


@op(static=("size_average", "ignore_index", "reduce", "reduction", "label_smoothing"))
def cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0):
    """l = -Σ_c w_c q_c log softmax(z)_c, reduced, with q = (1 - ε) t + ε/C and ε = label_smoothing.

    `target` holds class indices (integers; t is then one-hot, and rows with ignore_index count nothing) or probabilities (floats).
    The mean divides by the sum of the weights of the targets for indices, by the number of rows for probabilities.

    Shapes: input z (C,), (N, C) or (N, C, d1, ...); target without the C axis for indices, as input for probabilities;
    weight (C,) or None -> scalar, or the target's shape without C with reduction="none".
    Backward: dz = (softmax(z) Σ_c w_c q_c - w q) dl, with softmax recomputed from z, its row maximum m and log Σ exp(z - m),
    kept separately: exp(z - m - log s) loses nothing, exp(z - lse) does.
    Errors: ValueError where the shapes do not fit. A class outside [0, C) that is not ignore_index gives NaN (PyTorch raises).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3]))), 4)
    1.3863
    """
    how = _how(size_average, reduce, reduction)
    axis = _class_axis("cross_entropy", input, target, weight)
    z = _at_least_float32(input)
    z = z - lax.stop_gradient(z.max(axis, keepdims=True))
    lp = z - jnp.log(jnp.exp(z).sum(axis, keepdims=True))
    return _cross_entropy_from(lp, target, weight, ignore_index, how, label_smoothing, axis).astype(input.dtype)


@cross_entropy.def_forward
def _(input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing):
    how = _how(size_average, reduce, reduction)
    axis = _class_axis("cross_entropy", input, target, weight)
    z = _at_least_float32(input)
    m = z.max(axis, keepdims=True)
    log_s = jnp.log(jnp.exp(z - m).sum(axis, keepdims=True))
    y = _cross_entropy_from(z - m - log_s, target, weight, ignore_index, how, label_smoothing, axis).astype(input.dtype)
    saved = {"z": input, "m": m, "log_s": log_s, "t": target, "w": weight}
    return y, {**saved, "ignore_index": ignore_index, "how": how, "eps": label_smoothing, "axis": axis}


@cross_entropy.def_backward
def _(saved, dy):
    z, t, w, eps, axis = (saved[k] for k in ("z", "t", "w", "eps", "axis"))
    lp = _at_least_float32(z) - saved["m"] - saved["log_s"]
    return _nll_backward(lp, z, t, w, saved["ignore_index"], saved["how"], eps, axis, dy, through_softmax=True)


@op(static=("size_average", "ignore_index", "reduce", "reduction"))
def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """l = -w_t x_t, reduced, x being log-probabilities. The mean divides by the sum of the weights of the targets.

    Shapes: input (C,), (N, C) or (N, C, d1, ...), target without the C axis, weight (C,) or None -> scalar, or the target's
    shape with reduction="none".
    Backward: dx = -w_t dl at the target class, 0 elsewhere and in rows with ignore_index.
    Errors: ValueError where the shapes do not fit, TypeError for a target that is not of integers. A class outside [0, C) gives NaN.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.nll_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.nll_loss(jnp.array([[-1.0, -2.0]]), jnp.array([1])))
    2.0
    """
    if not jnp.issubdtype(target.dtype, jnp.integer):
        raise TypeError(f"nll_loss: expected a target of class indices (integers), got {target.dtype}")
    how = _how(size_average, reduce, reduction)
    axis = _class_axis("nll_loss", input, target, weight)
    return _cross_entropy_from(_at_least_float32(input), target, weight, ignore_index, how, 0.0, axis).astype(input.dtype)


@nll_loss.def_forward
def _(input, target, weight, size_average, ignore_index, reduce, reduction):
    y = nll_loss.formula(input, target, weight, size_average, ignore_index, reduce, reduction)
    axis = _class_axis("nll_loss", input, target, weight)
    return y, {
        "x": input,
        "t": target,
        "w": weight,
        "ignore_index": ignore_index,
        "how": _how(size_average, reduce, reduction),
        "axis": axis,
    }


@nll_loss.def_backward
def _(saved, dy):
    x, t, w, axis = (saved[k] for k in ("x", "t", "w", "axis"))
    return _nll_backward(_at_least_float32(x), x, t, w, saved["ignore_index"], saved["how"], 0.0, axis, dy, through_softmax=False)


def _cross_entropy_from(lp, target, weight, ignore_index, how, eps, axis):
    """-Σ_c w_c q_c lp_c of log-probabilities, reduced."""
    C = lp.shape[axis]
    w = None if weight is None else _on_axis(weight, lp.ndim, axis)
    weighted = lp if w is None else lp * w
    if not jnp.issubdtype(target.dtype, jnp.integer):
        loss = -(weighted * (target * (1 - eps) + eps / C)).sum(axis)
        return loss.sum() / max(loss.size, 1) if how == "mean" else _reduced(loss, None, None, how)
    valid = target != ignore_index
    t = jnp.where(valid, target, 0)
    t = jnp.where(t < 0, C, t)  # outside: NaN, instead of counting from the end
    loss = -jnp.take_along_axis(weighted, jnp.expand_dims(t, axis), axis, mode="fill", fill_value=jnp.nan).squeeze(axis)
    if eps:
        loss = (1 - eps) * loss - (eps / C) * weighted.sum(axis)
    loss = jnp.where(valid, loss, 0)
    return loss.sum() / _total_weight(t, valid, weight, loss.dtype) if how == "mean" else _reduced(loss, None, None, how)


def _nll_backward(lp, input, target, weight, ignore_index, how, eps, axis, dy, through_softmax):
    """With q the target's distribution: dlp = -w q dl; through the softmax dz = (p Σ w q - w q) dl, p = exp(lp)."""
    C = lp.shape[axis]
    w = jnp.ones((), lp.dtype) if weight is None else _on_axis(weight, lp.ndim, axis)
    is_index = jnp.issubdtype(target.dtype, jnp.integer)
    dy = dy.astype(lp.dtype)
    if is_index:
        valid = target != ignore_index
        total = _total_weight(jnp.where(valid, target, 0), valid, weight, lp.dtype)
        classes = jnp.arange(C, dtype=target.dtype).reshape(_one_axis(C, lp.ndim, axis))
        hit = classes == jnp.expand_dims(target, axis)
        q = jnp.where(hit, 1 - eps + eps / C, eps / C)
        dl = jnp.where(valid, dy / total if how == "mean" else dy, 0)
    else:
        rows = lp.size // max(C, 1)
        q = target * (1 - eps) + eps / C
        dl = jnp.broadcast_to(dy / rows if how == "mean" else dy, lp.shape[:axis] + lp.shape[axis + 1 :])
    dl = jnp.expand_dims(dl, axis)
    wq = w * q
    dz = (jnp.exp(lp) * wq.sum(axis, keepdims=True) - wq) * dl if through_softmax else -wq * dl
    dz = dz.astype(input.dtype)
    dt = None if is_index else (-(1 - eps) * w * lp * dl).astype(target.dtype)
    if weight is None:
        return dz, dt, None
    others = tuple(a for a in range(lp.ndim) if a != axis)
    dw = -(q * lp * dl).sum(others)
    if is_index and how == "mean":  # the weights stand in the divisor too
        valid = jnp.expand_dims(valid, axis)
        loss = -(jnp.where(valid, wq * lp, 0)).sum() / total
        dw = dw - dy * loss / total * (hit & valid).sum(others)
    return dz, dt, dw.astype(weight.dtype)


def _total_weight(t, valid, weight, dtype):
    """The sum of the weights of the targets that count."""
    each = jnp.ones((), dtype) if weight is None else jnp.take(weight, t, mode="fill", fill_value=0).astype(dtype)
    return jnp.where(valid, each, 0).sum()


def _class_axis(name, input, target, weight):
    if input.ndim == 0:
        raise ValueError(f"{name}: expected an input of shape (C,), (N, C) or (N, C, d1, ...), got a scalar")
    axis = 0 if input.ndim == 1 else 1
    expected = input.shape[:axis] + input.shape[axis + 1 :] if jnp.issubdtype(target.dtype, jnp.integer) else input.shape
    if target.shape != expected:
        raise ValueError(
            f"{name}: for an input of shape {input.shape} expected a {target.dtype} target of shape {expected}, got {target.shape}"
        )
    if weight is not None and weight.shape != (input.shape[axis],):
        raise ValueError(f"{name}: expected a weight of shape ({input.shape[axis]},), got {weight.shape}")
    return axis


def _one_axis(n, ndim, axis):
    return tuple(n if a == axis else 1 for a in range(ndim))


def _on_axis(a, ndim, axis):
    return a.reshape(_one_axis(a.size, ndim, axis))


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
    return _reduced(loss if weight is None else loss * weight, size_average, reduce, reduction)


@binary_cross_entropy.def_forward
def _(input, target, weight, size_average, reduce, reduction):
    y = binary_cross_entropy.formula(input, target, weight, size_average, reduce, reduction)
    return y, {"x": input, "t": target, "w": weight, "how": _how(size_average, reduce, reduction)}


@binary_cross_entropy.def_backward
def _(saved, dy):
    x, t, w = saved["x"], saved["t"], saved["w"]
    dl = _spread(dy, _broadcast_size(x, w), saved["how"])
    weighted = dl if w is None else w * dl
    _, log_x, log_1_x = _bce_logs(x)
    dx = (x - t) / jnp.maximum(x * (1 - x), 1e-12) * weighted
    dt = (log_1_x - log_x) * weighted
    dw = None if w is None else _unbroadcast(-(t * log_x + (1 - t) * log_1_x) * dl, w)
    return _unbroadcast(dx, x), _unbroadcast(dt, t), dw


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
    return _reduced(loss if weight is None else loss * weight, size_average, reduce, reduction)


@binary_cross_entropy_with_logits.def_forward
def _(input, target, weight, size_average, reduce, reduction, pos_weight):
    y = binary_cross_entropy_with_logits.formula(input, target, weight, size_average, reduce, reduction, pos_weight)
    return y, {"z": input, "t": target, "w": weight, "p": pos_weight, "how": _how(size_average, reduce, reduction)}


@binary_cross_entropy_with_logits.def_backward
def _(saved, dy):
    z, t, w, p = (saved[k] for k in "ztwp")
    dl = _spread(dy, _broadcast_size(z, w, p), saved["how"])
    weighted = dl if w is None else w * dl
    s = _softplus_of_minus(z)
    if p is None:
        dz, dt, dp = (lax.logistic(z) - t) * weighted, -z * weighted, None
    else:
        dz = ((1 - t) - (1 + (p - 1) * t) * lax.logistic(-z)) * weighted
        dt, dp = ((p - 1) * s - z) * weighted, _unbroadcast(t * s * weighted, p)
    dw = None if w is None else _unbroadcast(_bce_of_logits(z, t, p) * dl, w)
    return _unbroadcast(dz, z), _unbroadcast(dt, t), dw, dp


def _bce_of_logits(z, t, p):
    s = _softplus_of_minus(z)
    return (1 - t) * z + (s if p is None else (1 + (p - 1) * t) * s)


def _softplus_of_minus(z):
    return jnp.logaddexp(-z, 0)  # written with max and abs, the formula's derivative would be off by 1/2 at z = 0


# -- what the losses share ----------------------------------------------------------------------------------------------


def _how(size_average, reduce, reduction):
    """The reduction meant, with PyTorch's deprecated arguments."""
    if size_average is not None or reduce is not None:
        if reduce is False:
            return "none"
        return "sum" if size_average is False else "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    return reduction


def _reduced(loss, size_average, reduce, reduction):
    how = _how(size_average, reduce, reduction)
    return {"none": lambda: loss, "mean": loss.mean, "sum": loss.sum}[how]()


def _spread(dy, n, how):
    """The cotangent of each unreduced value."""
    return dy / n if how == "mean" else dy


def _same_shape(name, input, target):
    if input.shape != target.shape:
        raise ValueError(f"{name}: input and target must have one shape, got {input.shape} and {target.shape}")


def _difference(name, input, target):
    _same_shape(name, input, target)
    return input - target


def _both(dx, x, t):
    return dx.astype(x.dtype), (-dx).astype(t.dtype)


def _broadcast_size(*arrays):
    return math.prod(jnp.broadcast_shapes(*(a.shape for a in arrays if a is not None)))


def _unbroadcast(d, like):
    """The cotangent summed over the axes that broadcasting made, as `like`."""
    extra = d.ndim - like.ndim
    d = jnp.broadcast_to(d, jnp.broadcast_shapes(d.shape, like.shape))
    d = d.sum((*range(extra), *(a + extra for a, n in enumerate(like.shape) if n == 1 and d.shape[a + extra] != 1)))
    return d.reshape(like.shape).astype(like.dtype)


def _at_least_float32(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
