"""The p-norm of vectors and its derivative, as PyTorch has it at every kink."""

import math

import jax.numpy as jnp
from jax import lax

__all__ = []  # nothing of it is part of `bpjax.functional`


def norm_axes(name, x, p, dim):
    """The axes that `dim` names: one, several, or all for None; refused where the norm over them is not defined."""
    given = range(x.ndim) if dim is None or dim == () else dim if isinstance(dim, tuple) else (dim,)
    size = max(x.ndim, 1)  # a scalar has axis 0, as in PyTorch
    if not isinstance(p, int | float) or math.isnan(p):
        raise ValueError(f"{name}: p must be a number, got {p!r}")
    if any(not (hasattr(a, "__index__") and -size <= a < size) for a in given) or len({a % size for a in given}) < len(given):
        raise ValueError(f"{name}: dim must name distinct axes of an array of shape {x.shape}, got {dim}")
    axes = tuple(a % size for a in given if x.ndim)
    if (p < 0 or p == math.inf) and not all(x.shape[a] for a in axes):
        raise ValueError(f"{name}: the norm p={p} is not defined for no values, got shape {x.shape} and dim {dim}")
    return axes


def vector_norm(x, p, axes):
    """n = ‖x‖_p over the axes, which stay with size 1: the count of what is not 0 for p = 0, the largest |x| for ∞, the smallest for -∞.

    The derivative that JAX takes of it is `slope`.
    """
    is_zero, size = x == 0, absolute(x)
    if p == 0:
        return (~is_zero).sum(axes, keepdims=True).astype(x.dtype)
    if abs(p) == math.inf:
        return (jnp.max if p > 0 else jnp.min)(size, axes, keepdims=True)
    if p == 1:
        return size.sum(axes, keepdims=True)
    powers = x * x if p == 2 else jnp.where(is_zero, 0 if p > 0 else math.inf, jnp.where(is_zero, 1, size) ** p)
    total = powers.sum(axes, keepdims=True)
    inside = (total > 0) & (total < math.inf)
    return jnp.where(inside, _root(jnp.where(inside, total, 1), p), _root(lax.stop_gradient(total), p))


def slope(x, n, p, axes):
    """dn/dx = sign(x) (|x| / n)ᵖ⁻¹ of n = ‖x‖_p: 0 where x = 0; values that tie for ±∞ share 1; 0 for p = 0."""
    if p == 0:
        return jnp.zeros_like(x)
    if p == 1:
        return jnp.sign(x)
    if abs(p) == math.inf:
        wins = jnp.abs(x) == n
        return jnp.sign(x) * wins / wins.sum(axes, keepdims=True)
    inside = (n > 0) & (n < math.inf)
    if p == 2:
        return jnp.where(inside, x, 0) / jnp.where(inside, n, 1)
    inside &= x != 0
    return jnp.where(inside, jnp.sign(x) * (jnp.where(inside, jnp.abs(x), 1) / jnp.where(inside, n, 1)) ** (p - 1), 0)


def absolute(x):
    """|x| with derivative 0 at 0, where JAX's is 1."""
    return x * jnp.sign(x)


def _root(total, p):
    return jnp.sqrt(total) if p == 2 else total ** (1 / p)
