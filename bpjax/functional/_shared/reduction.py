"""What the losses share: the mean, the sum or all of the values, and cotangents of what was broadcast.

Of inputs of 16 bits a loss is computed and returned in float32, whatever the reduction: a sum of many terms in bfloat16 has two digits,
and in float16 it overflows at 65504. PyTorch's autocast does the same; without it PyTorch returns the input's type. Cotangents have the
type of what they belong to.
"""

import math

import jax.numpy as jnp

from .checks import at_least_float32


def reduction_of(name, size_average, reduce, reduction, *also):
    """The reduction meant in a loss of this name, with PyTorch's deprecated arguments; `also` are those that it has beside the three."""
    if size_average is not None or reduce is not None:
        if reduce is not None and not reduce:
            return "none"
        return "mean" if size_average is None or size_average else "sum"
    allowed = ("none", "mean", "sum", *also)
    if reduction not in allowed:
        raise ValueError(f"{name}: reduction must be one of {', '.join(map(repr, allowed))}, got {reduction!r}")
    return reduction


def reduced(loss, how):
    """The loss of each value, reduced."""
    return {"none": lambda: loss, "mean": loss.mean, "sum": loss.sum}[how]()


def per_element(dy, n, how):
    """The cotangent of each of the n unreduced values; divided in float32, for in float16 an n of 65520 is infinite."""
    return at_least_float32(dy) / n if how == "mean" else dy


def size_of(*arrays):
    """How many values the arrays make together, spread over each other's shapes.

    >>> size_of(jnp.ones((2, 1)), jnp.ones(3))
    6
    """
    return math.prod(jnp.broadcast_shapes(*(a.shape for a in arrays)))


def unbroadcast(d, like):
    """The cotangent summed over the axes that broadcasting made, as `like`; None for None and for integers."""
    if like is None or not jnp.issubdtype(like.dtype, jnp.floating):
        return None
    d = jnp.broadcast_to(d, jnp.broadcast_shapes(d.shape, like.shape))
    extra = d.ndim - like.ndim
    d = d.sum((*range(extra), *(a + extra for a, n in enumerate(like.shape) if n == 1 and d.shape[a + extra] != 1)))
    return d.reshape(like.shape).astype(like.dtype)
