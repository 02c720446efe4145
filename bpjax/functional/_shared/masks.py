"""Masks and other numbers of a few bits, kept between forward and backward 8, 4 or 2 to the byte.

Packing is a reduction, so XLA keeps its result. A mask that is not packed XLA:CPU recomputes wherever it is read, from inputs that it
then keeps, and at each place of a window of its reader (max-pooling with its winners unpacked: 18 ms instead of 9).
"""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from .sizes import is_known


def pack(values, bits=1):
    """Booleans, or whole numbers below 2**bits, as bytes: 8 / bits to each, flat where the last axis has no whole number of bytes.

    Where a size is not known the last axis is filled up to whole bytes instead, and where that is the one, each value is a byte.
    """
    each = 8 // bits
    if not is_known(*values.shape[-1:]):
        return values.astype(jnp.uint8)
    if not is_known(*values.shape):
        values = jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % each)])
    elif not _fits(values.shape, each):
        values = values.reshape(-1)
        values = jnp.pad(values, (0, -len(values) % each))
    values = values.reshape(*values.shape[:-1], values.shape[-1] // each, each).astype(jnp.uint8)
    # their sum: jnp.packbits has 4 bytes for each, and XLA:CPU has no `or` over several devices
    return lax.reduce_sum(values << _places(bits), (values.ndim - 1,))


def unpack(packed, shape, bits=1):
    """The array of this shape that was packed."""
    if not is_known(*shape[-1:]):
        return packed.astype(bool) if bits == 1 else packed
    each = 8 // bits
    values = ((packed[..., None] >> _places(bits)) & np.uint8(2**bits - 1)).reshape(*packed.shape[:-1], packed.shape[-1] * each)
    if not is_known(*shape):
        values = values[..., : shape[-1]]
    else:
        values = values.reshape(shape) if _fits(shape, each) else values[: math.prod(shape)].reshape(shape)
    return values.astype(bool) if bits == 1 else values


def _places(bits):
    """Where in a byte the numbers begin."""
    return np.arange(0, 8, bits, dtype=np.uint8)


def _fits(shape, each):
    """Whether to pack along the last axis: where that wastes no bit, leading axes, and their sharding, stay."""
    return bool(shape) and shape[-1] % each == 0 and 0 not in shape and is_known(*shape)
