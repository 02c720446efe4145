"""Weights made of other parameters: weight norm and spectral norm."""

import jax.numpy as jnp
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, floating, one_dtype, refuse
from .normalization import normalize


@op(static=("dim",))
def weight_norm(v, g, dim=0):
    """w = g v / ‖v‖, the norm over all axes but `dim`; over all for None (or -1, as in PyTorch).

    Shapes: v any, g as `norm_except_dim(v, dim)`: 1 in all axes but `dim`, or () -> the shape of v.
    Backward: with n = ‖v‖:  dg = Σ dw v / n;  dv = g/n (dw - v Σ dw v / n²), the sums over the axes of the norm.
    Errors: ValueError where there is no such axis, or g has another shape; TypeError for integers or several dtypes. v = 0 has no
    direction: w is NaN there, as in PyTorch.
    Source: https://arxiv.org/abs/1602.07868, https://pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> [round(w, 2) for w in F.weight_norm(jnp.array([[3.0, 4.0]]), jnp.array([[10.0]]))[0].tolist()]
    [6.0, 8.0]
    """
    return _weight_norm(v, g, dim)[0]


@weight_norm.def_forward
def _(v, g, dim):
    w, n = _weight_norm(v, g, dim)
    return w, {"v": v, "g": g, "n": n, "dim": dim}


@weight_norm.def_backward
def _(saved, dw):
    v, g, dw, n = (at_least_float32(a) for a in (saved["v"], saved["g"], dw, saved["n"]))
    along = (dw * v).sum(_axes_but(v, saved["dim"]), keepdims=g.ndim > 0) / n
    dv = g / n * (dw - v * (along / n))
    return dv.astype(saved["v"].dtype), along.astype(saved["g"].dtype)


def _weight_norm(v, g, dim):
    floating("weight_norm", v=v, g=g)
    one_dtype("weight_norm", v=v, g=g)
    n = _norm_except_dim("weight_norm", v, dim)
    if g.shape != n.shape:
        raise ValueError(f"weight_norm: expected g of shape {n.shape} for v of shape {v.shape} and dim={dim}, got {g.shape}")
    return (at_least_float32(v) * (at_least_float32(g) / n)).astype(v.dtype), n


def norm_except_dim(v, dim=0):
    """‖v‖ over all axes but `dim`; over all for None (or -1, as in PyTorch): the g of which `weight_norm(v, g, dim)` is v.

    Shapes: v any -> 1 in all axes but `dim`, or ().
    Errors: ValueError where there is no such axis; TypeError for integers.

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.norm_except_dim(jnp.array([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [[5.0], [1.0]]
    """
    floating("norm_except_dim", v=v)
    return _norm_except_dim("norm_except_dim", v, dim).astype(v.dtype)


def _norm_except_dim(name, v, dim):
    if not (_is_whole(dim) or -v.ndim <= dim < v.ndim):
        raise ValueError(f"{name}: dim must be None or an axis of an array of shape {v.shape}, got {dim}")
    v = at_least_float32(v)
    return jnp.sqrt((v * v).sum(_axes_but(v, dim), keepdims=not _is_whole(dim)))


def _is_whole(dim):
    return dim is None or dim == -1


def _axes_but(v, dim):
    return tuple(a for a in range(v.ndim) if _is_whole(dim) or a != dim % v.ndim)


@op(static=("dim",))
def spectral_norm(weight, u, v, dim=0):
    """W / σ, σ = uᵀ W v, W being the weight as a matrix: the axis `dim` by all others.

    u and v, near W's first singular vectors, are constants; `power_iteration` brings them nearer. σ is then W's largest singular value.

    Shapes: weight any, u (h,), v (w,) where W is (h, w) -> the shape of weight.
    Backward: dW = (dy - (Σ dy W) / σ u vᵀ) / σ;  du = dv = 0.
    Errors: ValueError where there is no such axis, or u and v do not fit; TypeError for integers or several dtypes.
    Source: https://arxiv.org/abs/1802.05957, https://pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.spectral_norm(jnp.diag(jnp.array([2.0, 1.0])), jnp.array([1.0, 0.0]), jnp.array([1.0, 0.0])).tolist()
    [[1.0, 0.0], [0.0, 0.5]]
    """
    return _spectral_norm(weight, u, v, dim)[0]


@spectral_norm.def_forward
def _(weight, u, v, dim):
    y, sigma = _spectral_norm(weight, u, v, dim)
    return y, {"W": weight, "u": u, "v": v, "sigma": sigma, "dim": dim}


@spectral_norm.def_backward
def _(saved, dy):
    W, sigma, dim, dy = saved["W"], saved["sigma"], saved["dim"], at_least_float32(dy)
    u, v = (lax.stop_gradient(saved[k]) for k in "uv")
    dsigma = -(dy * W).sum() / (sigma * sigma)
    outer = (at_least_float32(u)[:, None] * v).reshape(jnp.moveaxis(W, dim, 0).shape)
    dW = dy / sigma + dsigma * jnp.moveaxis(outer, 0, dim)
    return dW.astype(W.dtype), jnp.zeros_like(u), jnp.zeros_like(v)


def _spectral_norm(weight, u, v, dim):
    W = _as_matrix("spectral_norm", weight, u, v, dim)
    u, v = (at_least_float32(lax.stop_gradient(a)) for a in (u, v))
    sigma = u @ (W @ v)
    return (at_least_float32(weight) / sigma).astype(weight.dtype), sigma


def power_iteration(weight, u, v, n_power_iterations=1, dim=0, eps=1e-12, v_first=False):
    """(u, v) brought nearer to the first singular vectors of W, the weight as a matrix: the axis `dim` by all others. No gradient.

    Each iteration is u = W v / ‖W v‖, then v = Wᵀ u / ‖Wᵀ u‖, as of PyTorch's parametrizations; with `v_first` the other way
    round, as of its older `torch.nn.utils.spectral_norm`.

    Shapes: weight any, u (h,), v (w,) where W is (h, w) -> (h,) and (w,).
    Errors: ValueError where there is no such axis, u and v do not fit, or there are no iterations; TypeError for integers or several
    dtypes.
    Source: https://arxiv.org/abs/1802.05957

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> u, v = F.power_iteration(jnp.diag(jnp.array([2.0, 1.0])), jnp.ones(2), jnp.ones(2), n_power_iterations=20)
    >>> [round(x, 4) for x in (*u.tolist(), *v.tolist())]
    [1.0, 0.0, 1.0, 0.0]
    """
    if n_power_iterations < 1:
        raise ValueError(f"power_iteration: n_power_iterations must be positive, got {n_power_iterations}")
    W = lax.stop_gradient(_as_matrix("power_iteration", weight, u, v, dim))
    dtype, (u, v) = u.dtype, (at_least_float32(lax.stop_gradient(a)) for a in (u, v))
    for _ in range(n_power_iterations):
        if v_first:
            v = normalize(u @ W, dim=0, eps=eps)
        u = normalize(W @ v, dim=0, eps=eps)
        if not v_first:
            v = normalize(u @ W, dim=0, eps=eps)
    return u.astype(dtype), v.astype(dtype)


def _as_matrix(name, weight, u, v, dim):
    """The axis `dim` by all others, checked against u and v."""
    if not -weight.ndim <= dim < weight.ndim:
        raise ValueError(f"{name}: dim must be an axis of a weight of shape {weight.shape}, got {dim}")
    h = weight.shape[dim]
    w = weight.size // max(h, 1)
    refuse(
        name,
        u.shape != (h,) and f"expected u of shape {(h,)} for a weight of shape {weight.shape} and dim={dim}, got {u.shape}",
        v.shape != (w,) and f"expected v of shape {(w,)} for a weight of shape {weight.shape} and dim={dim}, got {v.shape}",
    )
    floating(name, weight=weight, u=u, v=v)
    one_dtype(name, weight=weight, u=u, v=v)
    return jnp.moveaxis(at_least_float32(weight), dim, 0).reshape(h, w)
