"""LayerNorm, RMSNorm, BatchNorm.

Statistics are computed in float32 where the input has less.
"""

import jax.numpy as jnp
from jax import lax

from ..engine import op
from .checks import at_least_float32


@op(static=("normalized_shape", "eps"))
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """y = (x - μ) r γ + β over the last axes, r = 1/√(var + ε), var the biased variance.

    Shapes: input (*, *normalized_shape), weight γ and bias β of normalized_shape or None -> the shape of input.
    Backward: with x̂ = (x - μ) r and h = γ dy:  dx = r (h - mean h - x̂ mean(h x̂));  dγ = Σ dy x̂;  dβ = Σ dy.
    Errors: ValueError where the input does not end in normalized_shape.
    Source: https://arxiv.org/abs/1607.06450, https://pytorch.org/docs/stable/generated/torch.nn.functional.layer_norm.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [round(v, 2) for v in F.layer_norm(jnp.array([1.0, 3.0]), (2,)).tolist()]
    [-1.0, 1.0]
    """
    return _layer_norm(input, normalized_shape, weight, bias, eps)[0]


@layer_norm.def_forward
def _(input, normalized_shape, weight, bias, eps):
    y, mu, r = _layer_norm(input, normalized_shape, weight, bias, eps)
    return y, {"x": input, "mu": mu, "r": r, "gamma": weight, "beta": None if bias is None else bias.dtype, "shape": normalized_shape}


@layer_norm.def_backward
def _(saved, dy):
    x, mu, r, gamma = saved["x"], saved["mu"], saved["r"], saved["gamma"]
    axes, leading = _axes(saved["shape"], x.ndim)
    g = at_least_float32(dy)
    h = g if gamma is None else g * gamma
    x_hat = (at_least_float32(x) - mu) * r
    dx = r * (h - h.mean(axes, keepdims=True) - x_hat * (h * x_hat).mean(axes, keepdims=True))
    dgamma = None if gamma is None else (g * x_hat).sum(leading).astype(gamma.dtype)
    dbeta = None if saved["beta"] is None else g.sum(leading).astype(saved["beta"])
    return dx.astype(x.dtype), dgamma, dbeta


def _layer_norm(input, normalized_shape, weight, bias, eps):
    axes, _ = _axes(_checked("layer_norm", input, normalized_shape), input.ndim)
    x = at_least_float32(input)
    mu = x.mean(axes, keepdims=True)
    centred = x - mu
    r = lax.rsqrt((centred * centred).mean(axes, keepdims=True) + eps)
    return _affine(centred * r, weight, bias, input.dtype), mu, r


@op(static=("normalized_shape", "eps"))
def rms_norm(input, normalized_shape, weight=None, eps=None):
    """y = x r γ over the last axes, r = 1/√(mean x² + ε); ε is the machine epsilon of the input where None.

    Shapes: input (*, *normalized_shape), weight γ of normalized_shape or None -> the shape of input.
    Backward: dx = r (γ dy - x r² mean(γ dy x));  dγ = Σ dy x r.
    Errors: ValueError where the input does not end in normalized_shape.
    Source: https://arxiv.org/abs/1910.07467, https://pytorch.org/docs/stable/generated/torch.nn.functional.rms_norm.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.rms_norm(jnp.array([2.0, -2.0]), (2,)).tolist()
    [1.0, -1.0]
    """
    return _rms_norm(input, normalized_shape, weight, eps)[0]


@rms_norm.def_forward
def _(input, normalized_shape, weight, eps):
    y, r = _rms_norm(input, normalized_shape, weight, eps)
    return y, {"x": input, "r": r, "gamma": weight, "shape": normalized_shape}


@rms_norm.def_backward
def _(saved, dy):
    r, gamma = saved["r"], saved["gamma"]
    axes, leading = _axes(saved["shape"], dy.ndim)
    x, g = at_least_float32(saved["x"]), at_least_float32(dy)
    h = g if gamma is None else g * gamma
    dx = r * (h - x * (r * r * (h * x).mean(axes, keepdims=True)))
    dgamma = None if gamma is None else (g * x * r).sum(leading).astype(gamma.dtype)
    return dx.astype(saved["x"].dtype), dgamma


def _rms_norm(input, normalized_shape, weight, eps):
    axes, _ = _axes(_checked("rms_norm", input, normalized_shape), input.ndim)
    x = at_least_float32(input)
    eps = float(jnp.finfo(input.dtype).eps) if eps is None else eps
    r = lax.rsqrt((x * x).mean(axes, keepdims=True) + eps)
    return _affine(x * r, weight, None, input.dtype), r


@op(static=("training", "momentum", "eps"))
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """y = (x - μ) r γ + β for each channel (axis 1), r = 1/√(var + ε).

    In training μ and the biased var are those of the batch; else they are running_mean and running_var.
    JAX's arrays do not change: the new running statistics come from `batch_norm_statistics`, and `momentum` is not used here.

    Shapes: input (N, C, *), all others (C,) or None -> the shape of input.
    Backward: with x̂ = (x - μ) r:  dβ = Σ dy, dγ = Σ dy x̂;  in training dx = γ r (dy - dβ/n - x̂ dγ/n), n the values of a channel;
    in evaluation dx = γ r dy, dμ = -γ r dβ, dvar = -γ r² dγ / 2.
    Errors: ValueError where a channel has one value in training, or there are no statistics in evaluation.
    Source: https://arxiv.org/abs/1502.03167, https://pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [round(v, 2) for v in F.batch_norm(jnp.array([[1.0], [3.0]]), None, None, training=True)[:, 0].tolist()]
    [-1.0, 1.0]
    """
    return _batch_norm(input, running_mean, running_var, weight, bias, training, eps)[0]


@batch_norm.def_forward
def _(input, running_mean, running_var, weight, bias, training, momentum, eps):
    y, mu, r = _batch_norm(input, running_mean, running_var, weight, bias, training, eps)
    dtypes = [None if a is None else a.dtype for a in (running_mean, running_var, bias)]
    return y, {"x": input, "mu": mu, "r": r, "gamma": weight, "dtypes": dtypes, "training": training}


@batch_norm.def_backward
def _(saved, dy):
    x, mu, r, gamma, (mean_dtype, var_dtype, bias_dtype) = (saved[k] for k in ("x", "mu", "r", "gamma", "dtypes"))
    axes, n = _but_channels(x)
    g = at_least_float32(dy)
    x_hat = (at_least_float32(x) - mu) * r
    dbeta, dgamma = g.sum(axes, keepdims=True), (g * x_hat).sum(axes, keepdims=True)
    scale = r if gamma is None else r * _on_channels(gamma, x)
    if saved["training"]:
        dx = scale * (g - dbeta / n - x_hat * (dgamma / n))
        dmean, dvar = jnp.zeros_like(r), jnp.zeros_like(r)
    else:
        dx, dmean, dvar = scale * g, -scale * dbeta, -0.5 * scale * r * dgamma
    cotangents = [(dmean, mean_dtype), (dvar, var_dtype), (dgamma, None if gamma is None else gamma.dtype), (dbeta, bias_dtype)]
    return dx.astype(x.dtype), *(None if dtype is None else d.reshape(-1).astype(dtype) for d, dtype in cotangents)


def _batch_norm(input, running_mean, running_var, weight, bias, training, eps):
    if input.ndim < 2:
        raise ValueError(f"batch_norm: expected an input of shape (N, C, *), got {input.shape}")
    axes, n = _but_channels(input)
    x = at_least_float32(input)
    if training:
        if n <= 1:
            raise ValueError(f"batch_norm: expected more than 1 value per channel when training, got input shape {input.shape}")
        mu = x.mean(axes, keepdims=True)
        var = ((x - mu) * (x - mu)).mean(axes, keepdims=True)
    else:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: running_mean and running_var must be given when training=False")
        mu, var = _on_channels(running_mean, x), _on_channels(running_var, x)
    r = lax.rsqrt(var + eps)
    weight, bias = (None if a is None else _on_channels(a, x) for a in (weight, bias))
    return _affine((x - mu) * r, weight, bias, input.dtype), mu, r


def batch_norm_statistics(input, running_mean, running_var, momentum=0.1):
    """The running statistics after this batch: (1 - m) old + m new, with the batch's mean and unbiased variance. No gradient.

    Shapes: input (N, C, *), running_mean and running_var (C,) -> two of (C,).

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [v.tolist() for v in F.batch_norm_statistics(jnp.array([[1.0], [3.0]]), jnp.zeros(1), jnp.ones(1), 0.5)]
    [[1.0], [1.5]]
    """
    axes, n = _but_channels(input)
    x = at_least_float32(lax.stop_gradient(input))
    mean, var = x.mean(axes), x.var(axes) * (n / max(n - 1, 1))
    new = ((1 - momentum) * old + momentum * now for old, now in ((running_mean, mean), (running_var, var)))
    return tuple(v.astype(old.dtype) for v, old in zip(new, (running_mean, running_var)))


def _affine(x_hat, weight, bias, dtype):
    y = x_hat if weight is None else x_hat * weight
    return (y if bias is None else y + bias).astype(dtype)


def _checked(name, x, normalized_shape):
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(f"{name}: expected an input of shape (*, {', '.join(map(str, shape))}), got {x.shape}")
    return shape


def _axes(normalized_shape, ndim):
    """The normalised axes and the leading ones."""
    k = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    return tuple(range(ndim - k, ndim)), tuple(range(ndim - k))


def _but_channels(x):
    """All axes but the channels, and how many values a channel has."""
    return (0, *range(2, x.ndim)), x.size // max(x.shape[1], 1)


def _on_channels(a, x):
    return a.reshape(1, -1, *[1] * (x.ndim - 2))
