"""A scan that takes so many rows at a time."""

import jax
import jax.numpy as jnp
from jax import lax

__all__ = ()  # no layers


def in_chunks(step, carry, rows, arrays):
    """`step(carry, chunk) -> carry, outputs` over the arrays in chunks of so many rows, the last one shorter; the outputs joined."""
    n = len(arrays[0])
    full = n - n % rows
    if n <= rows:
        return step(carry, arrays)
    chunks = jax.tree.map(lambda a: a[:full].reshape(-1, rows, *a.shape[1:]), arrays)
    carry, outputs = lax.scan(step, carry, chunks)
    outputs = jax.tree.map(lambda a: a.reshape(full, *a.shape[2:]), outputs)
    if full < n:
        carry, rest = step(carry, jax.tree.map(lambda a: a[full:], arrays))
        outputs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, rest)
    return carry, outputs
