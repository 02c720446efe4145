"""Losses of classes. `size_average` and `reduce` are PyTorch's deprecated arguments, kept for the order."""

import jax.numpy as jnp
from jax import lax

from ..engine import op
from .checks import at_least_float32
from .reduction import reduced, reduction_of


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
    how = reduction_of(size_average, reduce, reduction)
    axis = _class_axis("cross_entropy", input, target, weight)
    z = at_least_float32(input)
    z = z - lax.stop_gradient(z.max(axis, keepdims=True))
    lp = z - jnp.log(jnp.exp(z).sum(axis, keepdims=True))
    return _cross_entropy_from(lp, target, weight, ignore_index, how, label_smoothing, axis).astype(input.dtype)


@cross_entropy.def_forward
def _(input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing):
    how = reduction_of(size_average, reduce, reduction)
    axis = _class_axis("cross_entropy", input, target, weight)
    z = at_least_float32(input)
    m = z.max(axis, keepdims=True)
    log_s = jnp.log(jnp.exp(z - m).sum(axis, keepdims=True))
    y = _cross_entropy_from(z - m - log_s, target, weight, ignore_index, how, label_smoothing, axis).astype(input.dtype)
    saved = {"z": input, "m": m, "log_s": log_s, "t": target, "w": weight}
    return y, {**saved, "ignore_index": ignore_index, "how": how, "eps": label_smoothing, "axis": axis}


@cross_entropy.def_backward
def _(saved, dy):
    z, t, w, eps, axis = (saved[k] for k in ("z", "t", "w", "eps", "axis"))
    lp = at_least_float32(z) - saved["m"] - saved["log_s"]
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
    how = reduction_of(size_average, reduce, reduction)
    axis = _class_axis("nll_loss", input, target, weight)
    return _cross_entropy_from(at_least_float32(input), target, weight, ignore_index, how, 0.0, axis).astype(input.dtype)


@nll_loss.def_forward
def _(input, target, weight, size_average, ignore_index, reduce, reduction):
    y = nll_loss.formula(input, target, weight, size_average, ignore_index, reduce, reduction)
    axis = _class_axis("nll_loss", input, target, weight)
    return y, {
        "x": input,
        "t": target,
        "w": weight,
        "ignore_index": ignore_index,
        "how": reduction_of(size_average, reduce, reduction),
        "axis": axis,
    }


@nll_loss.def_backward
def _(saved, dy):
    x, t, w, axis = (saved[k] for k in ("x", "t", "w", "axis"))
    return _nll_backward(at_least_float32(x), x, t, w, saved["ignore_index"], saved["how"], 0.0, axis, dy, through_softmax=False)


def _cross_entropy_from(lp, target, weight, ignore_index, how, eps, axis):
    """-Σ_c w_c q_c lp_c of log-probabilities, reduced."""
    C = lp.shape[axis]
    w = None if weight is None else _on_axis(weight, lp.ndim, axis)
    weighted = lp if w is None else lp * w
    if not jnp.issubdtype(target.dtype, jnp.integer):
        loss = -(weighted * (target * (1 - eps) + eps / C)).sum(axis)
        return loss.sum() / max(loss.size, 1) if how == "mean" else reduced(loss, how)
    valid = target != ignore_index
    t = jnp.where(valid, target, 0)
    t = jnp.where(t < 0, C, t)  # outside: NaN, instead of counting from the end
    loss = -jnp.take_along_axis(weighted, jnp.expand_dims(t, axis), axis, mode="fill", fill_value=jnp.nan).squeeze(axis)
    if eps:
        loss = (1 - eps) * loss - (eps / C) * weighted.sum(axis)
    loss = jnp.where(valid, loss, 0)
    return loss.sum() / _total_weight(t, valid, weight, loss.dtype) if how == "mean" else reduced(loss, how)


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
