"""Masks kept between forward and backward, 8 to the byte."""

import math

import jax.numpy as jnp


def pack(mask):
    """A boolean array as bytes: 1/8 of the memory. (The pack is a reduction, so XLA keeps it and not its inputs.)"""
    return jnp.packbits(mask, axis=_axis(mask.shape))


def unpack(packed, shape):
    """The boolean array of this shape that was packed."""
    axis = _axis(shape)
    count = shape[-1] if axis == -1 else math.prod(shape)
    return jnp.unpackbits(packed, axis=axis, count=count).reshape(shape).astype(bool)


def _axis(shape):
    """Along the last axis where that wastes no bit (leading axes, and their sharding, stay), otherwise flat."""
    return -1 if shape and shape[-1] % 8 == 0 and 0 not in shape else None
