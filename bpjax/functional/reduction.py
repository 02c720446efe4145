"""What the losses share: the mean, the sum or all of the values, and cotangents of what was broadcast."""

import math

import jax.numpy as jnp


def reduction_of(size_average, reduce, reduction):
    """The reduction meant, with PyTorch's deprecated arguments."""
    if size_average is not None or reduce is not None:
        if reduce is False:
            return "none"
        return "sum" if size_average is False else "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    return reduction


def reduced(loss, how):
    """The loss of each value, reduced."""
    return {"none": lambda: loss, "mean": loss.mean, "sum": loss.sum}[how]()


def spread(dy, n, how):
    """The cotangent of each of the n unreduced values."""
    return dy / n if how == "mean" else dy


def broadcast_size(*arrays):
    """How many values the arrays have together; None is no array."""
    return math.prod(jnp.broadcast_shapes(*(a.shape for a in arrays if a is not None)))


def unbroadcast(d, like):
    """The cotangent summed over the axes that broadcasting made, as `like`."""
    extra = d.ndim - like.ndim
    d = jnp.broadcast_to(d, jnp.broadcast_shapes(d.shape, like.shape))
    d = d.sum((*range(extra), *(a + extra for a, n in enumerate(like.shape) if n == 1 and d.shape[a + extra] != 1)))
    return d.reshape(like.shape).astype(like.dtype)
