"""LayerNorm, RMSNorm, GroupNorm, local response norm, and vectors of norm 1."""

import math

import jax.numpy as jnp
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, floating, refuse
from ._shared.standardize import affine, check_dtypes, check_on_channels, standardized
from ._shared.vector_norm import norm_axes, slope, vector_norm


@op(static=("normalized_shape", "eps"))
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """y = (x - μ) r γ + β over the last axes, r = 1/√(var + ε), var the biased variance.

    Shapes: input (*, *normalized_shape), weight γ and bias β of normalized_shape or None -> the shape of input.
    Backward: with x̂ = (x - μ) r and h = γ dy:  dx = r (h - mean h - x̂ mean(h x̂));  dγ = Σ dy x̂;  dβ = Σ dy.
    Errors: ValueError where the input does not end in normalized_shape, or the parameters have another shape; TypeError for several
    dtypes (parameters may have float32 where the input has 16 bits).
    Source: https://arxiv.org/abs/1607.06450, https://pytorch.org/docs/stable/generated/torch.nn.functional.layer_norm.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [round(v, 2) for v in F.layer_norm(jnp.array([1.0, 3.0]), (2,)).tolist()]
    [-1.0, 1.0]
    """
    return _layer_norm(input, normalized_shape, weight, bias, eps)[0]


@layer_norm.def_forward
def _(input, normalized_shape, weight, bias, eps):
    y, mu, r = _layer_norm(input, normalized_shape, weight, bias, eps)
    return y, {"x": input, "mu": mu, "r": r, "gamma": weight, "beta": bias, "shape": normalized_shape}


@layer_norm.def_backward(recomputes="x")  # or XLA would keep the forward's x̂, which is the same as this one
def _(saved, dy):
    x, mu, r, gamma = saved["x"], saved["mu"], saved["r"], saved["gamma"]
    axes, leading = _axes(saved["shape"], x.ndim)
    g = at_least_float32(dy)
    h = g if gamma is None else g * gamma
    x_hat = (at_least_float32(x) - mu) * r
    dx = r * (h - h.mean(axes, keepdims=True) - x_hat * (h * x_hat).mean(axes, keepdims=True))
    dgamma = None if gamma is None else (g * x_hat).sum(leading).astype(gamma.dtype)
    dbeta = None if saved["beta"] is None else g.sum(leading).astype(saved["beta"].dtype)
    return dx.astype(x.dtype), dgamma, dbeta


@layer_norm.def_recompute
def _(saved):
    x = saved["x"]
    return affine((at_least_float32(x) - saved["mu"]) * saved["r"], saved["gamma"], saved["beta"], x.dtype)


@layer_norm.def_vmap
def _(size, mapped, input, normalized_shape, weight, bias, eps):
    return None if mapped["weight"] or mapped["bias"] else layer_norm(input, normalized_shape, weight, bias, eps)


def _layer_norm(input, normalized_shape, weight, bias, eps):
    _check_shapes("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    check_dtypes("layer_norm", input, weight=weight, bias=bias)
    x_hat, mu, r = standardized(input, _axes(normalized_shape, input.ndim)[0], eps)
    return affine(x_hat, weight, bias, input.dtype), mu, r


@op(static=("normalized_shape", "eps"))
def rms_norm(input, normalized_shape, weight=None, eps=None):
    """y = x r γ over the last axes, r = 1/√(mean x² + ε); where ε is None it is the machine epsilon of what is computed in.

    That is the input's type, or float32 where the input has less.

    Shapes: input (*, *normalized_shape), weight γ of normalized_shape or None -> the shape of input.
    Backward: with x̂ = x r and h = γ dy:  dx = r (h - x̂ mean(h x̂));  dγ = Σ dy x̂.
    Errors: ValueError where the input does not end in normalized_shape, or the weight has another shape.
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


@rms_norm.def_backward(recomputes="x")  # as layer_norm's
def _(saved, dy):
    r, gamma = saved["r"], saved["gamma"]
    axes, leading = _axes(saved["shape"], dy.ndim)
    x, g = at_least_float32(saved["x"]), at_least_float32(dy)
    h = g if gamma is None else g * gamma
    x_hat = x * r
    dx = r * (h - x_hat * (h * x_hat).mean(axes, keepdims=True))
    dgamma = None if gamma is None else (g * x_hat).sum(leading).astype(gamma.dtype)
    return dx.astype(saved["x"].dtype), dgamma


@rms_norm.def_recompute
def _(saved):
    x = saved["x"]
    return affine(at_least_float32(x) * saved["r"], saved["gamma"], None, x.dtype)


@rms_norm.def_vmap
def _(size, mapped, input, normalized_shape, weight, eps):
    return None if mapped["weight"] else rms_norm(input, normalized_shape, weight, eps)


def _rms_norm(input, normalized_shape, weight, eps):
    _check_shapes("rms_norm", input, normalized_shape, weight=weight)
    floating("rms_norm", input=input, weight=weight)
    x = at_least_float32(input)
    eps = float(jnp.finfo(x.dtype).eps) if eps is None else eps
    r = lax.rsqrt((x * x).mean(_axes(normalized_shape, x.ndim)[0], keepdims=True) + eps)
    return affine(x * r, weight, None, input.dtype), r


def _shape(normalized_shape):
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


def _check_shapes(name, input, normalized_shape, **parameters):
    shape = _shape(normalized_shape)
    if not shape:
        raise ValueError(f"{name}: expected a normalized_shape of at least one axis, got ()")
    wrong = [f"{n} of shape {shape}, got {a.shape}" for n, a in parameters.items() if a is not None and a.shape != shape]
    if input.shape[-len(shape) :] != shape:
        wrong.insert(0, f"an input of shape (*, {', '.join(map(str, shape))}), got {input.shape}")
    refuse(name, *(f"expected {w}" for w in wrong))


def _axes(normalized_shape, ndim):
    """The normalised axes and the leading ones."""
    k = len(_shape(normalized_shape))
    return tuple(range(ndim - k, ndim)), tuple(range(ndim - k))


@op(static=("num_groups", "eps"))
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """y = (x - μ) r γ + β, μ and r = 1/√(var + ε) of each example and group of channels (axis 1), var the biased variance.

    Shapes: input (N, C, *), weight γ and bias β (C,) or None -> the shape of input; the C channels are num_groups groups in order.
    Backward: with x̂ = (x - μ) r, and b = Σ dy, c = Σ dy x̂ over the space of each channel of each example: dβ = Σ b and dγ = Σ c
    over the batch;  dx = r (γ dy - (Σ γ b + x̂ Σ γ c) / n), the sums over the channels of a group and n its values.
    Errors: ValueError where num_groups does not divide the channels, all groups together have one value, or shapes do not fit;
    TypeError for several dtypes (parameters may have float32 where the input has 16 bits).
    Source: https://arxiv.org/abs/1803.08494, https://pytorch.org/docs/stable/generated/torch.nn.functional.group_norm.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [round(v, 2) for v in F.group_norm(jnp.array([[1.0, 3.0, 5.0, 9.0]]), 2)[0].tolist()]
    [-1.0, 1.0, -1.0, 1.0]
    """
    return _group_norm(input, num_groups, weight, bias, eps)[0]


@group_norm.def_forward
def _(input, num_groups, weight, bias, eps):
    y, mu, r = _group_norm(input, num_groups, weight, bias, eps)
    return y, {"x": input, "mu": mu, "r": r, "gamma": weight, "beta": bias}


@group_norm.def_backward(recomputes="x")
def _(saved, dy):
    mu, r, gamma = saved["mu"], saved["r"], saved["gamma"]
    split = _split(dy.shape, mu.shape[1])
    x, g = (at_least_float32(a).reshape(split) for a in (saved["x"], dy))
    x_hat = (x - mu) * r
    b, c = g.sum(3, keepdims=True), (g * x_hat).sum(3, keepdims=True)
    weight = 1 if gamma is None else _of_groups(gamma, split)
    n = split[2] * split[3]
    dx = r * (weight * g - (weight * b).sum(2, keepdims=True) / n - x_hat * ((weight * c).sum(2, keepdims=True) / n))
    dgamma = None if gamma is None else c.sum(0).reshape(gamma.shape).astype(gamma.dtype)
    dbeta = None if saved["beta"] is None else b.sum(0).reshape(-1).astype(saved["beta"].dtype)
    return dx.reshape(dy.shape).astype(saved["x"].dtype), dgamma, dbeta


@group_norm.def_recompute
def _(saved):
    x, mu = saved["x"], saved["mu"]
    split = _split(x.shape, mu.shape[1])
    x_hat = (at_least_float32(x).reshape(split) - mu) * saved["r"]
    return affine(x_hat, _of_groups(saved["gamma"], split), _of_groups(saved["beta"], split), x.dtype).reshape(x.shape)


@group_norm.def_vmap
def _(size, mapped, input, num_groups, weight, bias, eps):
    if mapped["weight"] or mapped["bias"]:
        return None
    merged = input.reshape(input.shape[0] * input.shape[1], *input.shape[2:])
    return group_norm(merged, num_groups, weight, bias, eps).reshape(input.shape)


def _group_norm(input, num_groups, weight, bias, eps):
    if input.ndim < 2 or not hasattr(num_groups, "__index__") or num_groups < 1 or input.shape[1] % num_groups:
        expected = "an input of shape (N, C, *) and a num_groups that divides C"
        raise ValueError(f"group_norm: expected {expected}, got {input.shape} and {num_groups}")
    split = _split(input.shape, num_groups)
    one_value = split[0] * split[2] * split[3] == 1 and f"expected more than 1 value in a group, got {num_groups} groups of {input.shape}"
    check_on_channels("group_norm", input, one_value, weight=weight, bias=bias)
    x_hat, mu, r = standardized(input.reshape(split), (2, 3), eps)
    return affine(x_hat, _of_groups(weight, split), _of_groups(bias, split), input.dtype).reshape(input.shape), mu, r


def _of_groups(a, split):
    """One number for each channel beside the axes of the split; None stays None."""
    return None if a is None else a.reshape(split[1], split[2], 1)


def _split(shape, num_groups):
    """(N, groups, channels of a group, values of a channel)"""
    return shape[0], num_groups, shape[1] // num_groups, math.prod(shape[2:])


@op(static=("size", "alpha", "beta", "k"))
def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """y = x / dᵝ, d = k + α/size Σ x² over `size` neighbouring channels (axis 1); beyond the ends x is 0.

    The neighbours of channel c are c - size//2 to c + (size-1)//2.

    Shapes: input (N, C, *) of at least 3 axes, kept.
    Backward: dx = dy / dᵝ - 2 α β / size x Σ dy x / dᵝ⁺¹, the sum over the channels that c is a neighbour of. x and d are kept.
    Errors: ValueError for fewer axes, or a size below 1; TypeError for integers.
    Source: https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks,
    https://pytorch.org/docs/stable/generated/torch.nn.functional.local_response_norm.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.local_response_norm(jnp.array([[[1.0], [2.0]]]), 2, alpha=2.0, beta=1.0)[0, :, 0].tolist()
    [0.5, 0.3333333432674408]
    """
    return _local_response_norm(input, size, alpha, beta, k)[0]


@local_response_norm.def_forward
def _(input, size, alpha, beta, k):
    y, d = _local_response_norm(input, size, alpha, beta, k)
    return y, {"x": input, "d": d, "size": size, "alpha": alpha, "beta": beta}


@local_response_norm.def_backward
def _(saved, dy):
    d, size, alpha, beta = (saved[n] for n in ("d", "size", "alpha", "beta"))
    x, g = at_least_float32(saved["x"]), at_least_float32(dy)
    share = g * d**-beta
    dx = share - (2 * alpha * beta / size) * x * _sum_of_neighbours(share * x / d, (size - 1) // 2, size // 2)
    return (dx.astype(saved["x"].dtype),)


def _local_response_norm(input, size, alpha, beta, k):
    refuse(
        "local_response_norm",
        input.ndim < 3 and f"expected an input of shape (N, C, *) of at least 3 axes, got {input.shape}",
        not (hasattr(size, "__index__") and size > 0) and f"size must be a positive whole number, got {size}",
    )
    floating("local_response_norm", input=input)
    x = at_least_float32(input)
    d = k + (alpha / size) * _sum_of_neighbours(x * x, size // 2, (size - 1) // 2)
    return (x * d**-beta).astype(input.dtype), d


def _sum_of_neighbours(a, before, after):
    """For each channel the sum over the channels from `before` ones before it to `after` ones after it."""
    one, none = [1] * (a.ndim - 2), [(0, 0)] * (a.ndim - 2)
    window, padding = (1, before + 1 + after, *one), ((0, 0), (before, after), *none)
    return lax.reduce_window(a, a.dtype.type(0), lax.add, window, (1,) * a.ndim, padding)


@op(static=("p", "dim", "eps"))
def normalize(input, p=2.0, dim=1, eps=1e-12):
    """y = x / max(‖x‖_p, ε) over the axes `dim`: one, several, or all for None.

    Shapes: any, kept.
    Backward: with n = ‖x‖_p, m = max(n, ε):  dx = (dy - n' Σ dy y) / m, n' = sign(x) (|x| / n)ᵖ⁻¹ being the norm's derivative, and
    0 where n < ε. At n = ε it counts; where x = 0 it is 0, and largest values that tie share it for p = ∞.
    Errors: ValueError for axes that are not there or not distinct, or a norm that an axis of size 0 does not have; TypeError for
    integers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.normalize.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [round(v, 2) for v in F.normalize(jnp.array([3.0, 4.0]), dim=0).tolist()]
    [0.6, 0.8]
    """
    return _normalize(input, p, dim, eps)[0]


@normalize.def_forward
def _(input, p, dim, eps):
    y, n, m = _normalize(input, p, dim, eps)
    return y, {"x": input, "n": n, "p": p, "dim": dim, "eps": eps}


@normalize.def_backward
def _(saved, dy):
    n, p, eps = saved["n"], saved["p"], saved["eps"]
    x, g = at_least_float32(saved["x"]), at_least_float32(dy)
    axes, m = norm_axes("normalize", x, p, saved["dim"]), _at_least(n, eps)
    through_n = jnp.where(n < eps, 0, (g * x).sum(axes, keepdims=True) / m)
    return (((g - through_n * slope(x, n, p, axes)) / m).astype(saved["x"].dtype),)


def _normalize(input, p, dim, eps):
    floating("normalize", input=input)
    x = at_least_float32(input)
    n = vector_norm(x, p, norm_axes("normalize", x, p, dim))
    m = _at_least(n, eps)
    return (x / m).astype(input.dtype), n, m


def _at_least(n, eps):
    return jnp.where(n < eps, eps, n)  # the derivative at n = ε is 1, and NaN stays NaN
