"""Losses of regression and of likelihoods. `size_average` and `reduce` are PyTorch's deprecated arguments, kept for the order.

Of inputs of 16 bits every loss is computed and returned in float32 (see `_shared/reduction.py`).
"""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, broadcast_shape, floating, numbers, one_dtype, one_shape, refuse, wide
from ._shared.reduction import per_element, reduced, reduction_of, size_of, unbroadcast

# -- of a difference ---------------------------------------------------------------------------------------------------


@op(static=("size_average", "reduce", "reduction"))
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """l = w (x - t)², reduced. The mean of weighted values divides by Σw.

    Shapes: input, target and weight (or None) the same (*) -> scalar, or (*) with reduction="none".
    Backward: dx = 2 w (x - t) dl, dl being dy / n for the mean over n values, dy / Σw with weights;  dt = -dx;
    dw = (x - t)² dl, for the mean ((x - t)² - y) dl.
    Errors: ValueError where the shapes differ (PyTorch broadcasts, and warns), TypeError for an input that is not of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.mse_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.mse_loss(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])))
    2.0
    """
    d = _difference("mse_loss", input, target, weight)
    return _weighted(d * d, weight, reduction_of("mse_loss", size_average, reduce, reduction))


@mse_loss.def_forward
def _(input, target, size_average, reduce, reduction, weight):
    saved = {"x": input, "t": target, "w": weight, "how": reduction_of("mse_loss", size_average, reduce, reduction)}
    return mse_loss.formula(input, target, size_average, reduce, reduction, weight), saved


@mse_loss.def_backward
def _(saved, dy):
    d = _minus(saved["x"], saved["t"])
    return _weighted_backward(saved, dy, d * d, 2 * d)


@op(static=("size_average", "reduce", "reduction"))
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """l = w |x - t|, reduced; derivative 0 where x = t. The mean of weighted values divides by Σw.

    Shapes: input, target and weight (or None) the same (*) -> scalar, or (*) with reduction="none".
    Backward: dx = w sign(x - t) dl, dl being dy / n for the mean over n values, dy / Σw with weights;  dt = -dx;
    dw = |x - t| dl, for the mean (|x - t| - y) dl.
    Errors: ValueError where the shapes differ (PyTorch broadcasts, and warns), TypeError for an input that is not of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.l1_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.l1_loss(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])))
    1.0
    """
    d = _difference("l1_loss", input, target, weight)
    return _weighted(_abs(d), weight, reduction_of("l1_loss", size_average, reduce, reduction))


@l1_loss.def_forward
def _(input, target, size_average, reduce, reduction, weight):
    saved = {"x": input, "t": target, "w": weight, "how": reduction_of("l1_loss", size_average, reduce, reduction)}
    return l1_loss.formula(input, target, size_average, reduce, reduction, weight), saved


@l1_loss.def_backward
def _(saved, dy):
    d = _minus(saved["x"], saved["t"])
    return _weighted_backward(saved, dy, _abs(d), jnp.sign(d))


@op(static=("size_average", "reduce", "reduction", "beta"))
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """l = d² / (2β) where |d| < β, else |d| - β/2, with d = x - t; reduced. With β = 0 it is `l1_loss`.

    Shapes: input and target the same (*) -> scalar, or (*) with reduction="none".
    Backward: dx = clip(d/β, -1, 1) dl, dl being dy / n for the mean over n values;  dt = -dx.
    Errors: ValueError where the shapes differ (PyTorch broadcasts, and warns) or β is negative, TypeError for an input that is not of
    floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.smooth_l1_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.smooth_l1_loss(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])))
    0.75
    """
    refuse("smooth_l1_loss", not beta >= 0 and f"beta must not be negative, got {beta}")
    d = _difference("smooth_l1_loss", input, target)
    return reduced(_abs(d) if beta == 0 else _huber(d, beta) / beta, reduction_of("smooth_l1_loss", size_average, reduce, reduction))


@smooth_l1_loss.def_forward
def _(input, target, size_average, reduce, reduction, beta):
    saved = {"x": input, "t": target, "how": reduction_of("smooth_l1_loss", size_average, reduce, reduction), "beta": beta}
    return smooth_l1_loss.formula(input, target, size_average, reduce, reduction, beta), saved


@smooth_l1_loss.def_backward
def _(saved, dy):
    x, t, beta = saved["x"], saved["t"], saved["beta"]
    d = _minus(x, t)
    slope = jnp.sign(d) if beta == 0 else jnp.clip(d / beta, -1, 1)
    return _both(slope * per_element(dy, x.size, saved["how"]), x, t)


@op(static=("reduction", "delta"))
def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """l = w d²/2 where |d| <= δ, else w δ (|d| - δ/2), with d = x - t; reduced, the mean over the n values whatever the weights.

    Shapes: input, target and weight (or None) the same (*) -> scalar, or (*) with reduction="none".
    Backward: dx = w clip(d, -δ, δ) dl, dl being dy / n for the mean over n values;  dt = -dx;  dw = l/w dl.
    Errors: ValueError where the shapes differ (PyTorch broadcasts, and warns) or δ is not positive, TypeError for an input that is not
    of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.huber_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.huber_loss(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])))
    0.75
    """
    refuse("huber_loss", not delta > 0 and f"delta must be positive, got {delta}")
    loss = _huber(_difference("huber_loss", input, target, weight), delta)
    return reduced(loss if weight is None else loss * weight, reduction_of("huber_loss", None, None, reduction))


@huber_loss.def_forward
def _(input, target, reduction, delta, weight):
    saved = {"x": input, "t": target, "w": weight, "how": reduction, "delta": delta}
    return huber_loss.formula(input, target, reduction, delta, weight), saved


@huber_loss.def_backward
def _(saved, dy):
    x, t, w, delta = saved["x"], saved["t"], saved["w"], saved["delta"]
    d, dl = _minus(x, t), per_element(dy, x.size, saved["how"])
    slope = jnp.clip(d, -delta, delta)
    return *_both((slope if w is None else w * slope) * dl, x, t), unbroadcast(_huber(d, delta) * dl, w)


def _difference(name, input, target, weight=None):
    one_shape(name, input=input, target=target, weight=weight)
    floating(name, input=input)
    numbers(name, target=target)
    return _minus(input, target)


def _minus(x, t):
    return at_least_float32(x) - t  # a whole number or 16 bits become as wide


def _both(dx, x, t):
    return unbroadcast(dx, x), unbroadcast(-dx, t)


def _abs(d):
    return d * jnp.sign(d)  # with derivative 0 at 0, and NaN where d is


def _huber(d, delta):
    m = jnp.clip(d, -delta, delta)  # of d and not of |d|, or the curvature at 0 would be lost
    return 0.5 * m * m + (0 if math.isinf(delta) else delta * jnp.maximum(_abs(d) - delta, 0))  # m (|d| - m/2) has no derivative at ∞


def _weighted(loss, weight, how):
    """Reduced, the mean of weighted values divided by the sum of the weights."""
    if weight is None:
        return reduced(loss, how)
    loss = loss * weight
    return loss.sum() / at_least_float32(weight).sum() if how == "mean" else reduced(loss, how)


def _weighted_backward(saved, dy, loss, slope):
    """From the loss of each value of x - t and its slope to the cotangents of x, t and w."""
    x, t, w, how = (saved[k] for k in ("x", "t", "w", "how"))
    if w is None:
        return *_both(slope * per_element(dy, x.size, how), x, t), None
    dl = per_element(dy, at_least_float32(w).sum(), how)
    dw = (loss - _weighted(loss, w, how) if how == "mean" else loss) * dl
    return *_both(w * slope * dl, x, t), unbroadcast(dw, w)


# -- of a likelihood ---------------------------------------------------------------------------------------------------


@op(static=("log_input", "full", "size_average", "eps", "reduce", "reduction"))
def poisson_nll_loss(input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
    """l = exp(x) - t x, or x - t log(x + ε) where log_input is False; reduced.

    `full` adds Stirling's t log t - t + log(2πt)/2 where t > 1.

    Shapes: input and target, which broadcast to each other -> scalar, or what they broadcast to with reduction="none".
    Backward: dx = (exp(x) - t) dl, or (1 - t/(x + ε)) dl;  dt = -x dl, or -log(x + ε) dl, to which `full` adds (log t + 1/(2t)) dl
    where t > 1.
    Errors: ValueError where the shapes do not fit, TypeError for an input that is not of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.poisson_nll_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.poisson_nll_loss(jnp.zeros(2), jnp.array([1.0, 3.0])))
    1.0
    """
    broadcast_shape("poisson_nll_loss", input=input, target=target)
    floating("poisson_nll_loss", input=input)
    numbers("poisson_nll_loss", target=target)
    x, t = at_least_float32(input), _as_float(target, input)
    loss = jnp.exp(x) - t * x if log_input else x - t * jnp.log(x + eps)
    if full:
        n = _above_1(t)
        loss = loss + jnp.where(t > 1, n * jnp.log(n) - n + 0.5 * jnp.log(2 * math.pi * n), 0)
    return reduced(loss, reduction_of("poisson_nll_loss", size_average, reduce, reduction))


@poisson_nll_loss.def_forward
def _(input, target, log_input, full, size_average, eps, reduce, reduction):
    y = poisson_nll_loss.formula(input, target, log_input, full, size_average, eps, reduce, reduction)
    saved = {"x": input, "t": target, "how": reduction_of("poisson_nll_loss", size_average, reduce, reduction)}
    return y, {**saved, "log_input": log_input, "full": full, "eps": eps}


@poisson_nll_loss.def_backward(recomputes=("x", "t"))
def _(saved, dy):
    x, t, eps = at_least_float32(saved["x"]), _as_float(saved["t"], saved["x"]), saved["eps"]
    dl = per_element(dy, size_of(x, t), saved["how"])
    dx, dt = (jnp.exp(x) - t, -x) if saved["log_input"] else (1 - t / (x + eps), -jnp.log(x + eps))
    if saved["full"]:
        n = _above_1(t)
        dt = dt + jnp.where(t > 1, jnp.log(n) + 0.5 / n, 0)
    return unbroadcast(dx * dl, saved["x"]), unbroadcast(dt * dl, saved["t"])


def _as_float(t, like):
    """In at least float32; whole numbers as wide as the input."""
    return at_least_float32(t) if jnp.issubdtype(t.dtype, jnp.floating) else t.astype(wide(like.dtype))


def _above_1(t):
    return jnp.where(t > 1, t, 1)


@op(static=("full", "eps", "reduction"))
def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """l = (log v + (x - t)² / v) / 2, reduced, with v = max(var, ε); `full` adds log(2π)/2. The derivative in var is that in v.

    Shapes: input (*); target broadcasts with it; var as the input, or with one axis of size 1, or without the last axis, or a scalar
    -> scalar, or what input and target broadcast to with reduction="none".
    Backward: dx = (x - t)/v dl, dl being dy / n for the mean over n values;  dt = -dx;  dvar = (1 - (x - t)²/v) / (2v) dl;
    each summed over the axes that were per_element.
    Errors: ValueError where the shapes do not fit, TypeError for an input or var that is not of floats.
    A negative var gives NaN (PyTorch raises).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.gaussian_nll_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.gaussian_nll_loss(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0]), 1.0))
    1.0
    """
    dtype = wide(jnp.result_type(input, target, var))
    d, v = _gaussian(input, target, jnp.asarray(var), eps)
    loss = 0.5 * (jnp.log(v) + d * d / v) + (0.5 * math.log(2 * math.pi) if full else 0)
    return reduced(loss, reduction_of("gaussian_nll_loss", None, None, reduction)).astype(dtype)


@gaussian_nll_loss.def_forward
def _(input, target, var, full, eps, reduction):
    y = gaussian_nll_loss.formula(input, target, var, full, eps, reduction)
    return y, {"x": input, "t": target, "var": jnp.asarray(var), "eps": eps, "how": reduction}


@gaussian_nll_loss.def_backward
def _(saved, dy):
    x, t, var = saved["x"], saved["t"], saved["var"]
    d, v = _gaussian(x, t, var, saved["eps"])
    dl = per_element(dy, d.size, saved["how"])
    dvar = unbroadcast((1 - d * d / v) / (2 * v) * dl, v)
    return *_both(d / v * dl, x, t), dvar.reshape(var.shape).astype(var.dtype)


def _gaussian(input, target, var, eps):
    """x - t, and v in the shape that spreads to it."""
    floating("gaussian_nll_loss", input=input, var=var)
    numbers("gaussian_nll_loss", target=target)
    shape = _variance_shape(input.shape, var.shape)
    broadcast_shape("gaussian_nll_loss", input=input, target=target)
    expected = f"for an input of shape {input.shape} expected a"
    refuse(
        "gaussian_nll_loss",
        shape is None and f"{expected} var of that shape, with one axis of size 1, without the last axis, or a scalar, got {var.shape}",
    )
    var = at_least_float32(var).reshape(shape)
    cut = jnp.where(var < 0, jnp.nan, eps) + (var - lax.stop_gradient(var))  # PyTorch's derivative passes the cut
    return at_least_float32(input) - target, jnp.where(var >= eps, var, cut)


def _variance_shape(input, var):
    """The variance's shape, ready to per_element over the input's; None where it does not."""
    if var in ((), input):
        return var
    if var == input[:-1]:
        return (*var, 1)
    return var if len(var) == len(input) and [v for v, n in zip(var, input) if v != n] == [1] else None


@op(static=("size_average", "reduce", "reduction", "log_target"))
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """l = t (log t - x), x being log-probabilities, or exp(t) (t - x) with log_target; reduced, "batchmean" being the sum / N.

    N is the size of the first axis.

    Shapes: input and target, which broadcast to each other -> scalar, or what they broadcast to with reduction="none".
    Backward: dx = -t dl;  dt = (log t + 1 - x) dl, and -x dl where t = 0 (PyTorch: NaN). With log_target:
    dx = -exp(t) dl;  dt = exp(t) (t + 1 - x) dl.
    Errors: ValueError where the shapes do not fit, TypeError for what is not of floats. A negative target gives NaN.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.kl_div.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.kl_div(jnp.log(jnp.array([0.5, 0.5])), jnp.array([0.0, 1.0]), reduction="sum")), 4)
    0.6931
    """
    broadcast_shape("kl_div", input=input, target=target)
    floating("kl_div", input=input, target=target)
    input, target = at_least_float32(input), at_least_float32(target)
    if log_target:
        loss = jnp.exp(target) * (target - input)
    else:
        loss = jnp.where(target == 0, 0, target * jnp.log(_not_0(target))) - target * input
    how = reduction_of("kl_div", size_average, reduce, reduction, "batchmean")
    return loss.sum() / _first_size(input) if how == "batchmean" else reduced(loss, how)


@kl_div.def_forward
def _(input, target, size_average, reduce, reduction, log_target):
    how = reduction_of("kl_div", size_average, reduce, reduction, "batchmean")
    saved = {"x": input, "t": target, "how": how, "log_target": log_target}
    return kl_div.formula(input, target, size_average, reduce, reduction, log_target), saved


@kl_div.def_backward
def _(saved, dy):
    x, t, how = at_least_float32(saved["x"]), at_least_float32(saved["t"]), saved["how"]
    dl = per_element(dy, _first_size(x), "mean") if how == "batchmean" else per_element(dy, size_of(x, t), how)
    if saved["log_target"]:
        p = jnp.exp(t)
        return unbroadcast(-p * dl, saved["x"]), unbroadcast(p * (t + 1 - x) * dl, saved["t"])
    dt = jnp.where(t == 0, 0, jnp.log(_not_0(t)) + 1) - x
    return unbroadcast(-t * dl, saved["x"]), unbroadcast(dt * dl, saved["t"])


def _first_size(x):
    return x.shape[0] if x.ndim else 1


def _not_0(t):
    return jnp.where(t == 0, 1, t)


@op(static=("size_average", "reduce", "reduction"))
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """l = -w (t log x + (1 - t) log(1 - x)), reduced, x being probabilities; logarithms are cut off at -100.

    Shapes: input and target the same (*), weight per_element over it or None -> scalar, or (*) with reduction="none".
    Backward: dx = w (x - t) / max(x (1 - x), 1e-12) dl;  dt = w (log(1 - x) - log x) dl;  dw = l/w dl.
    Errors: ValueError where the shapes do not fit, TypeError where input and target are not of one floating dtype.
    A probability outside [0, 1] gives NaN (PyTorch raises).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.binary_cross_entropy(jnp.array([0.5]), jnp.array([1.0]))), 4)
    0.6931
    """
    one_shape("binary_cross_entropy", input=input, target=target)
    one_dtype("binary_cross_entropy", input=input, target=target)
    floating("binary_cross_entropy", input=input)
    _spreads("binary_cross_entropy", input, weight=weight)
    x, t = at_least_float32(input), _probability(target)
    # at the edges PyTorch's derivative is (x - t) / 1e-12, which no logarithm gives: a linear term of value 0 brings it
    at_edge = x * (1 - x) < _EPS
    edge = (x - lax.stop_gradient(x)) * lax.stop_gradient(x - t) / _EPS
    logs = zip(_bce_logs(lax.stop_gradient(x)), _bce_logs(jnp.where(at_edge, 0.5, x)))
    loss = jnp.where(at_edge, edge, 0) + _bce(t, *(jnp.where(at_edge, constant, log) for constant, log in logs))
    how = reduction_of("binary_cross_entropy", size_average, reduce, reduction)
    return reduced(loss if weight is None else loss * weight, how).astype(wide(input.dtype))


@binary_cross_entropy.def_forward
def _(input, target, weight, size_average, reduce, reduction):
    how = reduction_of("binary_cross_entropy", size_average, reduce, reduction)
    loss = _bce(_probability(target), *_bce_logs(at_least_float32(input)))
    y = reduced(loss if weight is None else loss * weight, how).astype(wide(input.dtype))
    return y, {"x": input, "t": target, "w": weight, "how": how}


@binary_cross_entropy.def_backward(recomputes=("x", "t"))
def _(saved, dy):
    x, t, w = at_least_float32(saved["x"]), _probability(saved["t"]), saved["w"]
    dl = per_element(dy, x.size, saved["how"])
    weighted = dl if w is None else w * dl
    dx = (x - t) / jnp.maximum(x * (1 - x), _EPS) * weighted
    log_x, log_1_x = _bce_logs(x)
    dt = (log_1_x - log_x) * weighted
    return unbroadcast(dx, saved["x"]), unbroadcast(dt, saved["t"]), unbroadcast(_bce(t, log_x, log_1_x) * dl, w)


_EPS = float(np.float32(1e-12))  # as PyTorch has it, for float64 too


def _probability(t):
    """In at least float32; NaN outside [0, 1]."""
    t = at_least_float32(t)
    return t + jnp.where((t < 0) | (t > 1), jnp.nan, 0)


def _bce_logs(x):
    """log x and log(1 - x), cut off."""
    return jnp.maximum(jnp.log(x), -100), jnp.maximum(jnp.log1p(-x), -100)


def _bce(t, log_x, log_1_x):
    return -(t * log_x + (1 - t) * log_1_x)


@op(static=("size_average", "reduce", "reduction"))
def binary_cross_entropy_with_logits(input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
    """l = w ((1 - t) z + (1 + (p - 1) t) log(1 + exp(-z))), reduced: `binary_cross_entropy` of σ(z), p = pos_weight on the ones.

    Shapes: input z and target t the same (*), weight and pos_weight per_element over it or None -> scalar, or (*) with reduction="none".
    Backward: dz = w ((1 - t) - (1 + (p - 1) t) σ(-z)) dl, which is w (σ(z) - t) dl for p = 1;  with s = log(1 + exp(-z)):
    dt = w ((p - 1) s - z) dl;  dw = l/w dl;  dp = w t s dl.
    Errors: ValueError where the shapes do not fit, TypeError for an input or target that is not of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.binary_cross_entropy_with_logits(jnp.zeros(1), jnp.ones(1))), 4)
    0.6931
    """
    one_shape("binary_cross_entropy_with_logits", input=input, target=target)
    floating("binary_cross_entropy_with_logits", input=input, target=target)
    numbers("binary_cross_entropy_with_logits", pos_weight=pos_weight)
    _spreads("binary_cross_entropy_with_logits", input, weight=weight, pos_weight=pos_weight)
    loss = _bce_of_logits(input, target, pos_weight)
    how = reduction_of("binary_cross_entropy_with_logits", size_average, reduce, reduction)
    return reduced(loss if weight is None else loss * weight, how).astype(wide(jnp.result_type(input, target)))


@binary_cross_entropy_with_logits.def_forward
def _(input, target, weight, size_average, reduce, reduction, pos_weight):
    y = binary_cross_entropy_with_logits.formula(input, target, weight, size_average, reduce, reduction, pos_weight)
    how = reduction_of("binary_cross_entropy_with_logits", size_average, reduce, reduction)
    return y, {"z": input, "t": target, "w": weight, "p": pos_weight, "how": how}


@binary_cross_entropy_with_logits.def_backward
def _(saved, dy):
    w, p = saved["w"], saved["p"]
    z, t = at_least_float32(saved["z"]), at_least_float32(saved["t"])
    dl = per_element(dy, z.size, saved["how"])
    weighted = dl if w is None else w * dl
    if p is None:
        dz, dt, dp = lax.logistic(z) - t, -z, None
    else:
        s, p = _softplus_of_minus(z), at_least_float32(p)
        dz = (1 - t) - (1 + (p - 1) * t) * lax.logistic(-z)
        dt, dp = (p - 1) * s - z, unbroadcast(t * s * weighted, saved["p"])
    dw = unbroadcast(_bce_of_logits(z, t, p) * dl, w)
    return unbroadcast(dz * weighted, saved["z"]), unbroadcast(dt * weighted, saved["t"]), dw, dp


def _bce_of_logits(z, t, p):
    z, t, p = (None if a is None else at_least_float32(a) for a in (z, t, p))
    s = _softplus_of_minus(z)
    return (1 - t) * z + (s if p is None else (1 + (p - 1) * t) * s)


def _softplus_of_minus(z):
    return jnp.logaddexp(-z, 0)  # written with max and abs, the formula's derivative would be off by 1/2 at z = 0


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """`binary_cross_entropy_with_logits` of each class, averaged over the classes (the last axis); the averages reduced.

    Shapes: input and target, which broadcast to each other, (*, C), weight spread over it or None -> scalar, or (*) with
    reduction="none".
    Backward: that of `binary_cross_entropy_with_logits`, divided by C.
    Errors: ValueError where the shapes do not fit, TypeError for an input that is not of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.multilabel_soft_margin_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.multilabel_soft_margin_loss(jnp.zeros((1, 3)), jnp.array([[1, 0, 1]]))), 4)
    0.6931
    """
    refuse("multilabel_soft_margin_loss", input.ndim == 0 and "expected an input of shape (*, C), got a scalar")
    broadcast_shape("multilabel_soft_margin_loss", input=input, target=target)
    floating("multilabel_soft_margin_loss", input=input)
    numbers("multilabel_soft_margin_loss", target=target)
    _spreads("multilabel_soft_margin_loss", input, weight=weight)
    how = reduction_of("multilabel_soft_margin_loss", size_average, reduce, reduction)
    input, target = jnp.broadcast_arrays(input, _as_float(target, input))
    if weight is not None:  # which promotes here, and does not in `binary_cross_entropy_with_logits`
        input = input.astype(jnp.result_type(input, weight))
    return reduced(binary_cross_entropy_with_logits(input, target, weight, reduction="none").mean(-1), how)


def _spreads(name, input, **weights):
    """Refuse weights that do not broadcast to the input's shape; None is no weight."""
    for n, w in weights.items():
        if w is not None:
            pairs = zip(w.shape[::-1], input.shape[::-1])
            fits = w.ndim <= input.ndim and all(size in (1, m) for size, m in pairs)
            refuse(name, not fits and f"expected a {n} that broadcasts to the input's shape {input.shape}, got {w.shape}")
