"""Distances between vectors, and the cosine of their angle."""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, floating, numbers
from ._shared.reduction import unbroadcast
from ._shared.vector_norm import absolute, norm_axes, slope, vector_norm


@op(static=("p", "eps", "keepdim"))
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """y = ‖x1 - x2 + ε‖_p over the last axis.

    Shapes: x1 and x2 (*, D), broadcast to each other -> (*), or (*, 1) with `keepdim`.
    Backward: with d = x1 - x2 + ε:  dx1 = sign(d) (|d| / y)ᵖ⁻¹ dy, 0 where d = 0 and for p = 0; values that tie for p = ±∞ share dy;
    dx2 = -dx1. Each is summed over what was broadcast.
    Errors: ValueError where the shapes do not fit, or the norm of no values is not defined; TypeError for booleans and complex numbers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.pairwise_distance.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.pairwise_distance(jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2)), eps=0.0).tolist()
    [5.0]
    """
    return _pairwise_distance(x1, x2, p, eps, keepdim)[0]


@pairwise_distance.def_forward
def _(x1, x2, p, eps, keepdim):
    y, n = _pairwise_distance(x1, x2, p, eps, keepdim)
    return y, {"x1": x1, "x2": x2, "n": n, "p": p, "eps": eps}


@pairwise_distance.def_backward
def _(saved, dy):
    x1, x2, n, p = (saved[k] for k in ("x1", "x2", "n", "p"))
    d = at_least_float32(x1) - at_least_float32(x2) + saved["eps"]
    dd = dy.reshape(n.shape) * slope(d, n, p, norm_axes("pairwise_distance", d, p, -1))
    return _cotangent(dd, x1), _cotangent(-dd, x2)


def _pairwise_distance(x1, x2, p, eps, keepdim):
    _check_broadcast("pairwise_distance", x1, x2)
    numbers("pairwise_distance", x1=x1, x2=x2)
    d = at_least_float32(x1) - at_least_float32(x2) + eps
    axes = norm_axes("pairwise_distance", d, p, -1)
    n = vector_norm(d, p, axes)
    return (n if keepdim else n.squeeze(axes)).astype(jnp.result_type(x1, x2, 1.0)), n


@op(static=("dim", "eps"))
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """s = Σ x̂1 x̂2 over the axis `dim`, x̂ = x / max(‖x‖, ε).

    Shapes: x1 and x2 broadcast to each other; `dim`, an axis of what that gives, is removed.
    Backward: dx1 = (x̂2 - s x1 / ‖x1‖) / max(‖x1‖, ε) dy, and dx2 likewise; x / ‖x‖ is 0 where x = 0. As in PyTorch, the derivative is
    taken through the norm also where it is below ε and does not count.
    Errors: ValueError where the shapes do not fit, or there is no such axis; TypeError for integers (one of two may be).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.cosine_similarity.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.cosine_similarity(jnp.array([1.0, 0.0]), jnp.array([3.0, 4.0]), dim=0)), 4)
    0.6
    """
    s, _, _, axes = _cosine_similarity(x1, x2, dim, eps)
    return s.squeeze(axes).astype(jnp.result_type(x1, x2))


@cosine_similarity.def_forward
def _(x1, x2, dim, eps):
    s, n1, n2, axes = _cosine_similarity(x1, x2, dim, eps)
    saved = {"x1": x1, "x2": x2, "n1": n1, "n2": n2, "s": s, "axes": axes, "eps": eps}
    return s.squeeze(axes).astype(jnp.result_type(x1, x2)), saved


@cosine_similarity.def_backward
def _(saved, dy):
    n1, n2, s, axes, eps = (saved[k] for k in ("n1", "n2", "s", "axes", "eps"))
    (x1, m1), (x2, m2) = ((at_least_float32(saved[x]), _at_least(eps, n)) for x, n in (("x1", n1), ("x2", n2)))
    ds = dy.reshape(s.shape)
    dx1 = ds / m1 * (x2 / m2 - s * slope(x1, n1, 2, axes))
    dx2 = ds / m2 * (x1 / m1 - s * slope(x2, n2, 2, axes))
    return _cotangent(dx1, saved["x1"]), _cotangent(dx2, saved["x2"])


def _at_least(eps, n):
    """max(n, ε), with the derivative of n also where it is ε, as PyTorch has it."""
    return jnp.where(n < eps, eps + (n - lax.stop_gradient(n)), n)


def _cosine_similarity(x1, x2, dim, eps):
    """s and the norms with the axis kept, and the axis."""
    shape = _check_broadcast("cosine_similarity", x1, x2)
    if not jnp.issubdtype(jnp.result_type(x1, x2), jnp.floating):
        raise TypeError(f"cosine_similarity: expected a floating-point x1 or x2, got {x1.dtype} and {x2.dtype}: convert with .astype")
    x1, x2 = (jnp.broadcast_to(at_least_float32(x), shape) for x in (x1, x2))
    axes = norm_axes("cosine_similarity", x1, 2, dim)
    n1, n2 = vector_norm(x1, 2, axes), vector_norm(x2, 2, axes)
    m1, m2 = _at_least(eps, n1), _at_least(eps, n2)
    return (x1 / m1 * (x2 / m2)).sum(axes, keepdims=True), n1, n2, axes


@op(static=("p",))
def pdist(input, p=2.0):
    """y = ‖x_i - x_j‖_p for all pairs of rows i < j, in the order (0, 1), (0, 2), ..., (1, 2), ...

    Shapes: input (N, D) -> (N (N - 1) / 2,).
    Backward: with d = x_i - x_j:  dx_i += sign(d) (|d| / y)ᵖ⁻¹ dy and dx_j -= the same, 0 where d = 0 and for p = 0; for p = ∞ each of
    the largest values gets dy, also where several tie.
    Errors: ValueError for another number of axes, or a negative p; TypeError for integers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.pdist.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.pdist(jnp.array([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]])).tolist()
    [5.0, 4.0, 3.0]
    """
    return _pdist(input, p)[0]


@pdist.def_forward
def _(input, p):
    y, n = _pdist(input, p)
    return y, {"x": input, "n": n, "p": p}


@pdist.def_backward
def _(saved, dy):
    x, n, p = at_least_float32(saved["x"]), saved["n"], saved["p"]
    d, first, second = _differences(x)
    along = jnp.sign(d) * (jnp.abs(d) == n) if p == math.inf else slope(d, n, p, (1,))
    dd = dy[:, None] * along
    return (jnp.zeros_like(x).at[first].add(dd).at[second].add(-dd).astype(saved["x"].dtype),)


def _pdist(input, p):
    if input.ndim != 2:
        raise ValueError(f"pdist: expected an input of shape (N, D), got {input.shape}")
    if not p >= 0:
        raise ValueError(f"pdist: p must not be negative, got {p}")
    floating("pdist", input=input)
    d, _, _ = _differences(at_least_float32(input))
    if p == math.inf:
        size = absolute(d)
        top = lax.stop_gradient(size).max(1, keepdims=True, initial=0)
        n = top + jnp.where(size == top, size - lax.stop_gradient(size), 0).sum(1, keepdims=True)  # derivative 1 at each that ties
    else:
        n = vector_norm(d, p, (1,))
    return n[:, 0].astype(input.dtype), n


def _differences(x):
    """x_i - x_j of all pairs i < j, and the i and j."""
    first, second = np.triu_indices(x.shape[0], 1)
    return x[first] - x[second], first, second


def _check_broadcast(name, x1, x2):
    """The shape that both have together."""
    try:
        return jnp.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        raise ValueError(f"{name}: expected x1 and x2 of shapes that broadcast to each other, got {x1.shape} and {x2.shape}") from None


def _cotangent(d, like):
    return unbroadcast(d, like) if jnp.issubdtype(like.dtype, jnp.floating) else None
