"""BatchNorm and InstanceNorm: each channel normalised over the batch, or in each example for itself, and their running statistics."""

import math

import jax.numpy as jnp
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32
from ._shared.sizes import is_known
from ._shared.standardize import affine, check_on_channels, standardized


@op(static=("training", "momentum", "eps"))
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """y = (x - μ) r γ + β for each channel (axis 1), r = 1/√(var + ε).

    In training μ and the biased var are those of the batch; else they are running_mean and running_var.
    JAX's arrays do not change: the new running statistics come from `batch_norm_statistics`, and `momentum` is not used here.

    Shapes: input (N, C, *), all others (C,) or None -> the shape of input. An input of shape (0,) is taken as it is, as in PyTorch.
    Backward: with x̂ = (x - μ) r:  dβ = Σ dy, dγ = Σ dy x̂;  in training dx = γ r (dy - dβ/n - x̂ dγ/n), n the values of a channel;
    in evaluation dx = γ r dy, dμ = -γ r dβ, dvar = -γ r² dγ / 2.
    Errors: ValueError where a channel has one value in training, shapes do not fit, there are no statistics in evaluation, or ε is
    negative (or 0 in training); TypeError for several dtypes (parameters may have float32 where the input has 16 bits).
    Source: https://arxiv.org/abs/1502.03167, https://pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [round(v, 2) for v in F.batch_norm(jnp.array([[1.0], [3.0]]), None, None, training=True)[:, 0].tolist()]
    [-1.0, 1.0]
    """
    return _batch_norm(input, running_mean, running_var, weight, bias, training, eps)[0]


@batch_norm.def_forward
def _(input, running_mean, running_var, weight, bias, training, momentum, eps):
    y, saved = _batch_norm(input, running_mean, running_var, weight, bias, training, eps)
    return y, {**saved, "shape": input.shape}


@batch_norm.def_backward(recomputes="x")  # or XLA would keep the forward's x̂, which is the same as this one
def _(saved, dy):
    dx, *others = _backward(saved, dy.reshape(saved["x"].shape))
    return dx.reshape(saved["shape"]), *others


@batch_norm.def_recompute
def _(saved):
    return _again(saved).reshape(saved["shape"])


def _batch_norm(input, running_mean, running_var, weight, bias, training, eps):
    arrays = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    if input.shape == (0,):  # no values of any number of channels
        channels = next((a.size for a in arrays.values() if a is not None), 0)
        y, saved = _batch_norm(input.reshape(0, channels), **arrays, training=training, eps=eps)
        return y.reshape(0), saved
    _check("batch_norm", input, arrays, training)
    if training and _count(input, _but_channels(input)) == 1:
        raise ValueError(f"batch_norm: expected more than 1 value per channel when training, got input shape {input.shape}")
    if eps < 0 or training and eps == 0:
        raise ValueError(f"batch_norm: eps must be positive in training and not negative in evaluation, got {eps}")
    return _forward(input, **arrays, axes=_but_channels(input) if training else None, eps=eps)


@op(static=("use_input_stats", "momentum", "eps"))
def instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5):
    """y = (x - μ) r γ + β for each channel of each example, r = 1/√(var + ε).

    With `use_input_stats` μ and the biased var are those of the channel's values in the example; else they are running_mean and
    running_var. The new running statistics come from `instance_norm_statistics`, and `momentum` is not used here.

    Shapes: input (N, C, *), all others (C,) or None -> the shape of input.
    Backward: as `batch_norm`'s, dx with the sums Σ dy and Σ dy x̂ of each example; dβ and dγ are those summed over the batch.
    Errors: ValueError where a channel of an example has one value and is to be normalised by itself, shapes do not fit, or there are
    no statistics to use; TypeError for several dtypes (parameters may have float32 where the input has 16 bits).
    Source: https://arxiv.org/abs/1607.08022, https://pytorch.org/docs/stable/generated/torch.nn.functional.instance_norm.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [round(v, 2) for v in F.instance_norm(jnp.array([[[1.0, 3.0]]]))[0, 0].tolist()]
    [-1.0, 1.0]
    """
    return _instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, eps)[0]


@instance_norm.def_forward
def _(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps):
    return _instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, eps)


@instance_norm.def_backward(recomputes="x")
def _(saved, dy):
    return _backward(saved, dy)


@instance_norm.def_recompute
def _(saved):
    return _again(saved)


def _instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, eps):
    arrays = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    _check("instance_norm", input, arrays, use_input_stats)
    if use_input_stats and _count(input, _space(input)) == 1:
        raise ValueError(f"instance_norm: expected more than 1 value per channel and example, got input shape {input.shape}")
    return _forward(input, **arrays, axes=_space(input) if use_input_stats else None, eps=eps)


def batch_norm_statistics(input, running_mean, running_var, momentum=0.1):
    """The running statistics after this batch: (1 - m) old + m new, with the batch's mean and unbiased variance. No gradient.

    A batch of no values changes nothing. They are computed in at least float32, and keep the type that they come in: float32, unless
    they were made otherwise.

    Shapes: input (N, C, *), running_mean and running_var (C,) -> two of (C,).
    Errors: ValueError where shapes do not fit.

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [v.tolist() for v in F.batch_norm_statistics(jnp.array([[1.0], [3.0]]), jnp.zeros(1), jnp.ones(1), 0.5)]
    [[1.0], [1.5]]
    """
    return _statistics("batch_norm_statistics", input, running_mean, running_var, momentum, _but_channels(input))


def instance_norm_statistics(input, running_mean, running_var, momentum=0.1):
    """The running statistics after this batch, as `batch_norm_statistics`, but new is the mean over the examples of their statistics.

    Shapes: input (N, C, *), running_mean and running_var (C,) -> two of (C,).
    Errors: ValueError where shapes do not fit.

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [v.tolist() for v in F.instance_norm_statistics(jnp.array([[[1.0, 3.0]], [[5.0, 5.0]]]), jnp.zeros(1), jnp.ones(1), 0.5)]
    [[1.75], [1.0]]
    """
    return _statistics("instance_norm_statistics", input, running_mean, running_var, momentum, _space(input))


# -- what both share: statistics over `axes` of the input, or given ones -----------------------------------------------


def _forward(input, running_mean, running_var, weight, bias, axes, eps):
    """The value, and what the backward needs; `axes` None: by the running statistics."""
    if axes is None:
        mu, var = (at_least_float32(_on_channels(a, input)) for a in (running_mean, running_var))
        r = lax.rsqrt(var + eps)
        x_hat = (at_least_float32(input) - mu) * r
    else:
        x_hat, mu, r = standardized(input, axes, eps)
    y = affine(x_hat, _on_channels(weight, input), _on_channels(bias, input), input.dtype)
    dtypes = [None if a is None else a.dtype for a in (running_mean, running_var, weight, bias)]
    return y, {"x": input, "mu": mu, "r": r, "gamma": weight, "beta": bias, "dtypes": dtypes, "axes": axes}


def _again(saved):
    x, gamma, beta = (saved[k] for k in ("x", "gamma", "beta"))
    return affine((at_least_float32(x) - saved["mu"]) * saved["r"], _on_channels(gamma, x), _on_channels(beta, x), x.dtype)


def _backward(saved, dy):
    x, mu, r, gamma, axes = (saved[k] for k in ("x", "mu", "r", "gamma", "axes"))
    over = _but_channels(x) if axes is None else axes
    g = at_least_float32(dy)
    x_hat = (at_least_float32(x) - mu) * r
    sum_g, sum_gx = g.sum(over, keepdims=True), (g * x_hat).sum(over, keepdims=True)
    dbeta, dgamma = sum_g.sum(0, keepdims=True), sum_gx.sum(0, keepdims=True)
    scale = r if gamma is None else r * _on_channels(gamma, x)
    if axes is None:
        dx, dmean, dvar = scale * g, -scale * dbeta, -0.5 * scale * r * dgamma
    else:
        n = _count(x, axes)
        dx = scale * (g - sum_g / n - x_hat * (sum_gx / n))
        dmean = dvar = jnp.zeros_like(dbeta)
    cotangents = zip((dmean, dvar, dgamma, dbeta), saved["dtypes"])
    return dx.astype(x.dtype), *(None if dtype is None else d.reshape(-1).astype(dtype) for d, dtype in cotangents)


def _statistics(name, input, running_mean, running_var, momentum, axes):
    if input.shape == (0,) and name == "batch_norm_statistics":
        return running_mean, running_var
    _check(name, input, {"running_mean": running_mean, "running_var": running_var}, False)
    if input.size == 0:
        return running_mean, running_var
    x, n = at_least_float32(lax.stop_gradient(input)), _count(input, axes)
    means, variances = (
        x.mean(axes, keepdims=True),
        x.var(axes, keepdims=True) * (n / (max(n - 1, 1) if is_known(n) else jnp.maximum(n - 1, 1))),
    )
    pairs = (running_mean, means), (running_var, variances)
    return tuple(((1 - momentum) * at_least_float32(old) + momentum * now.mean(0).reshape(-1)).astype(old.dtype) for old, now in pairs)


def _check(name, input, arrays, own_statistics):
    """`own_statistics`: whether the input is normalised by itself."""
    if input.ndim < 2:
        raise ValueError(f"{name}: expected an input of shape (N, C, *), got {input.shape}")
    mean, var = arrays["running_mean"], arrays["running_var"]
    check_on_channels(
        name,
        input,
        (mean is None) != (var is None) and "expected both running_mean and running_var or neither, got one of them",
        mean is var is None and not own_statistics and "running_mean and running_var must be given where the input's own are not used",
        **arrays,
    )


def _but_channels(x):
    return (0, *range(2, x.ndim))


def _space(x):
    return tuple(range(2, x.ndim))


def _count(x, axes):
    return math.prod(x.shape[a] for a in axes)


def _on_channels(a, x):
    return None if a is None else a.reshape(1, -1, *[1] * (x.ndim - 2))
