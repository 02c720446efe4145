"""Losses of classes. `size_average` and `reduce` are PyTorch's deprecated arguments, kept for the order.

Of inputs of 16 bits every loss is computed and returned in float32 (see `_shared/reduction.py`).
"""

import numbers

import jax.numpy as jnp
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, floating, refuse, wide
from ._shared.reduction import reduced, reduction_of

__all__ = ["cross_entropy", "nll_loss"]


@op(static=("size_average", "ignore_index", "reduce", "reduction", "label_smoothing"))
def cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0):
    """l = -Σ_c w_c q_c log softmax(z)_c, reduced, with q = (1 - ε) t + ε/C and ε = label_smoothing.

    `target` holds class indices (integers; t is then one-hot, and rows with ignore_index count nothing) or probabilities (floats).
    The mean divides by the sum of the weights of the targets for indices, by the number of rows for probabilities; over no rows, or
    over ignored ones alone, it is NaN, and the gradient 0.

    Shapes: input z (C,), (N, C) or (N, C, d1, ...); target without the C axis for indices, as input for probabilities;
    weight (C,) or None -> scalar, or the target's shape without C with reduction="none".
    Backward: dz = (softmax(z) Σ_c w_c q_c - w q) dl, with softmax recomputed as exp(z - m) / s from z, its row maximum m and
    s = Σ exp(z - m), kept separately: exp(z - m - log s) is off by the rounding of log s, and exp(z - lse) by that of lse.
    Errors: ValueError where the shapes do not fit, for ε outside [0, 1] and for an ignore_index >= 0 with probabilities; TypeError for
    an input that is not floating point, a target neither of integers nor floating point, and a weight of another dtype than the input
    (with probabilities the dtypes promote). A class outside [0, C) that is not ignore_index gives NaN (PyTorch raises).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3]))), 4)
    1.3863
    """
    how = reduction_of("cross_entropy", size_average, reduce, reduction)
    axis = class_axis("cross_entropy", input.shape, input.dtype, target, weight, ignore_index, label_smoothing)
    z = at_least_float32(input)
    z = z - lax.stop_gradient(z.max(axis, keepdims=True))
    lp = z - jnp.log(jnp.exp(z).sum(axis, keepdims=True))
    y, _ = class_reduced(*class_losses(lp, target, weight, ignore_index, label_smoothing, axis), how)
    return y.astype(loss_dtype(input, target, weight))


@cross_entropy.def_forward
def _(input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing):
    how = reduction_of("cross_entropy", size_average, reduce, reduction)
    axis = class_axis("cross_entropy", input.shape, input.dtype, target, weight, ignore_index, label_smoothing)
    z = at_least_float32(input)
    m = z.max(axis, keepdims=True)
    s = jnp.exp(z - m).sum(axis, keepdims=True)
    lp, _ = class_probabilities(z, m, s)
    y, total = class_reduced(*class_losses(lp, target, weight, ignore_index, label_smoothing, axis), how)
    arrays = {"z": input, "m": m, "s": s, "t": target, "w": weight, "y": None if how == "none" else y, "total": total}
    return y.astype(loss_dtype(input, target, weight)), {**arrays, "ignore_index": ignore_index, "eps": label_smoothing, "axis": axis}


@cross_entropy.def_backward
def _(saved, dy):
    z, t, w = (saved[k] for k in "ztw")
    lp, p = class_probabilities(at_least_float32(z), saved["m"], saved["s"])
    dl, d_total = class_spread(dy.astype(lp.dtype), saved["y"], saved["total"])
    dz, dt, dw = class_gradients(lp, p, t, w, saved["ignore_index"], saved["eps"], saved["axis"], dl)
    return as_dtype_of(z, dz), as_dtype_of(t, dt), as_dtype_of(w, through_divisor(dw, t, saved["ignore_index"], d_total))


@op(static=("size_average", "ignore_index", "reduce", "reduction"))
def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """l = -w_t x_t, reduced, x being log-probabilities. The mean divides by the sum of the weights of the targets.

    Shapes: input (C,), (N, C) or (N, C, d1, ...), target without the C axis, weight (C,) or None -> scalar, or the target's
    shape with reduction="none".
    Backward: dx = -w_t dl at the target class, 0 elsewhere and in rows with ignore_index. Without a weight the input is not kept.
    Errors: ValueError where the shapes do not fit, TypeError for a target that is not of integers, an input that is not floating
    point, and a weight of another dtype. A class outside [0, C) that is not ignore_index gives NaN (PyTorch raises).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.nll_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.nll_loss(jnp.array([[-1.0, -2.0]]), jnp.array([1])))
    2.0
    """
    how = reduction_of("nll_loss", size_average, reduce, reduction)
    y, _ = _nll_reduced(input, target, weight, ignore_index, how)
    return y


@nll_loss.def_forward
def _(input, target, weight, size_average, ignore_index, reduce, reduction):
    how = reduction_of("nll_loss", size_average, reduce, reduction)
    y, total = _nll_reduced(input, target, weight, ignore_index, how)
    saved = {"t": target, "w": weight, "x": None if weight is None else input, "y": None if how == "none" else y, "total": total}
    return y, {**saved, "shape": input.shape, "dtype": input.dtype, "ignore_index": ignore_index}


@nll_loss.def_backward
def _(saved, dy):
    w, shape = saved["w"], saved["shape"]
    axis = _axis_of(shape)
    dl, d_total = class_spread(at_least_float32(dy), saved["y"], saved["total"])
    t, valid = _indices(saved["t"], saved["ignore_index"], shape[axis])
    dl = jnp.where(valid, dl, 0)
    d_at_target = jnp.expand_dims(-_weight_at(t, w, shape[axis], dl.dtype) * dl, axis)
    dx = jnp.where(_is_target(t, shape, axis), d_at_target, 0).astype(saved["dtype"])
    if w is None:
        return dx, None, None
    x_t = _at_target(at_least_float32(saved["x"]), t, axis)
    return dx, None, _sum_by_class(t, jnp.where(valid, d_total - x_t * dl, 0), shape[axis]).astype(w.dtype)


def _nll_reduced(input, target, weight, ignore_index, how):
    if not jnp.issubdtype(target.dtype, jnp.integer):
        raise TypeError(f"nll_loss: expected a target of class indices (integers), got {target.dtype} of shape {target.shape}")
    axis = class_axis("nll_loss", input.shape, input.dtype, target, weight, ignore_index)
    return class_reduced(*class_losses(at_least_float32(input), target, weight, ignore_index, 0.0, axis), how)


# -- what the losses of classes share, `linear_cross_entropy` among them ------------------------------------------------


def class_axis(name, shape, dtype, target, weight, ignore_index, label_smoothing=0.0):
    """The axis of the classes of logits of this shape and dtype, once everything fits."""
    floating(name, weight=weight)
    if not isinstance(ignore_index, numbers.Integral):
        raise TypeError(f"{name}: ignore_index must be an int, got {ignore_index!r}")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"{name}: expected a floating-point input, got {dtype}: convert with .astype")
    if not shape or shape[_axis_of(shape)] == 0:
        raise ValueError(f"{name}: expected an input of shape (C,), (N, C) or (N, C, d1, ...) with at least one class, got {shape}")
    axis = _axis_of(shape)
    classes, of_indices = shape[axis], shape[:axis] + shape[axis + 1 :]
    is_index = jnp.issubdtype(target.dtype, jnp.integer)
    if not is_index and not jnp.issubdtype(target.dtype, jnp.floating):
        raise TypeError(f"{name}: expected a target of class indices (integers) or probabilities (floating point), got {target.dtype}")
    if is_index and weight is not None and weight.dtype != dtype:
        raise TypeError(f"{name}: expected one dtype, got input {dtype}, weight {weight.dtype}: convert with .astype")
    expected = f"a target of class indices (integers) of shape {of_indices}" + (
        "" if name == "nll_loss" else f" or of probabilities (floating point) of shape {shape}"
    )
    refuse(
        name,
        target.shape != (of_indices if is_index else shape)
        and f"for an input of shape {shape} expected {expected}, got {target.dtype} of shape {target.shape}",
        weight is not None and weight.shape != (classes,) and f"expected a weight of shape ({classes},), got {weight.shape}",
        not 0 <= label_smoothing <= 1 and f"label_smoothing must lie in [0, 1], got {label_smoothing}",
        not is_index and ignore_index >= 0 and f"ignore_index={ignore_index} has no meaning for a target of probabilities: leave it out",
    )
    return axis


def class_probabilities(z, m, s):
    """log softmax and softmax of logits with maximum m, s = Σ exp(z - m)."""
    return z - m - jnp.log(s), jnp.exp(z - m) / s


def class_losses(lp, target, weight, ignore_index, eps, axis):
    """-Σ_c w_c q_c lp_c of each row of log-probabilities, and what the row adds to the mean's divisor (None: it divides by the rows)."""
    classes = lp.shape[axis]
    weighted = lp if weight is None else lp * _on_axis(weight, lp.ndim, axis)
    if not jnp.issubdtype(target.dtype, jnp.integer):
        return -(weighted * (at_least_float32(target) * (1 - eps) + eps / classes)).sum(axis), None
    t, valid = _indices(target, ignore_index, classes)
    losses = -_weight_at(t, weight, classes, lp.dtype) * _at_target(lp, t, axis)
    if eps:
        losses = (1 - eps) * losses - eps / classes * weighted.sum(axis)
    return jnp.where(valid, losses, 0), row_weights(target, weight, ignore_index, classes, lp.dtype)


def row_weights(target, weight, ignore_index, classes, dtype):
    """What each row adds to the mean's divisor; None where it divides by the rows."""
    if not jnp.issubdtype(target.dtype, jnp.integer):
        return None
    t, valid = _indices(target, ignore_index, classes)
    return jnp.where(valid, _weight_at(t, weight, classes, dtype), 0)


def class_reduced(losses, weights, how):
    """The losses, reduced, and what the mean divides by, which is None for the other reductions."""
    total = divisor(losses.size, weights, how)
    return (reduced(losses, how) if total is None else losses.sum() / total), total


def divisor(rows, weights, how):
    """What the mean divides by; None for the other reductions."""
    if how != "mean":
        return None
    return rows if weights is None else weights.sum()


def class_spread(dy, y, total):
    """The cotangents of each loss, and of each weight in the mean's divisor."""
    return (dy, 0) if total is None else (dy / total, -dy * y / total)


def class_gradients(lp, p, target, weight, ignore_index, eps, axis, dl):
    """The cotangents of logits with log softmax lp and softmax p, of target and weight, from those of the losses."""
    classes = lp.shape[axis]
    weight = None if weight is None else at_least_float32(weight)
    w, mean_w = (1, 1) if weight is None else (_on_axis(weight, lp.ndim, axis), weight.mean())
    dl = jnp.broadcast_to(dl, lp.shape[:axis] + lp.shape[axis + 1 :])
    others = tuple(a for a in range(lp.ndim) if a != axis)
    if not jnp.issubdtype(target.dtype, jnp.integer):
        q, dl = at_least_float32(target) * (1 - eps) + eps / classes, jnp.expand_dims(dl, axis)
        dz = (p * (w * q).sum(axis, keepdims=True) - w * q) * dl
        return dz, -(1 - eps) * w * lp * dl, None if weight is None else -(q * lp * dl).sum(others)
    t, valid = _indices(target, ignore_index, classes)
    dl = jnp.where(valid, dl, 0)
    d_at_target = (1 - eps) * _weight_at(t, weight, classes, lp.dtype) * dl
    d_sum = d_at_target + eps * mean_w * dl
    dz = p * jnp.expand_dims(d_sum, axis) - jnp.where(_is_target(t, lp.shape, axis), jnp.expand_dims(d_at_target, axis), 0)
    if eps:
        dz = dz - eps / classes * w * jnp.expand_dims(dl, axis)
    if weight is None:
        return dz, None, None
    dw = _sum_by_class(t, jnp.where(valid, -(1 - eps) * _at_target(lp, t, axis) * dl, 0), classes)
    return dz, None, dw - eps / classes * (lp * jnp.expand_dims(dl, axis)).sum(others) if eps else dw


def through_divisor(dw, target, ignore_index, d_total):
    """The cotangent of the weight with what comes to it through the mean's divisor; None stays None."""
    if dw is None or not jnp.issubdtype(target.dtype, jnp.integer):
        return dw
    t, valid = _indices(target, ignore_index, len(dw))
    return dw + _sum_by_class(t, jnp.where(valid, d_total, 0), len(dw))


def loss_dtype(input, target, weight):
    """That of the input, at least float32; with probabilities all three promote."""
    if jnp.issubdtype(target.dtype, jnp.integer):
        return wide(input.dtype)
    return wide(jnp.result_type(*(a.dtype for a in (input, target, weight) if a is not None)))


def as_dtype_of(a, d):
    """The cotangent in the dtype of what it belongs to; None is none."""
    return None if d is None else d.astype(a.dtype)


def _axis_of(shape):
    return 0 if len(shape) == 1 else 1


def _indices(target, ignore_index, classes):
    """The class of each row, `classes` where it is outside of [0, classes), and which rows count."""
    t = jnp.asarray(target, int)
    return jnp.where((t < 0) | (t > classes), classes, t), t != ignore_index


def _weight_at(t, weight, classes, dtype):
    """The weight of the target class; 0 for what is no class."""
    return (t < classes).astype(dtype) if weight is None else jnp.take(weight, t, mode="fill", fill_value=0).astype(dtype)


def _at_target(lp, t, axis):
    """The value of the target class; NaN for what is no class."""
    return jnp.take_along_axis(lp, jnp.expand_dims(t, axis), axis, mode="fill", fill_value=jnp.nan).squeeze(axis)


def _is_target(t, shape, axis):
    return jnp.expand_dims(t, axis) == jnp.arange(shape[axis]).reshape(_one_axis(shape[axis], len(shape), axis))


def _sum_by_class(t, values, classes):
    return jnp.zeros(classes, values.dtype).at[t].add(values, mode="drop")


def _one_axis(n, ndim, axis):
    return tuple(n if a == axis else 1 for a in range(ndim))


def _on_axis(a, ndim, axis):
    return a.reshape(_one_axis(a.size, ndim, axis))
