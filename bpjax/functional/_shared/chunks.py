"""A scan that takes so many rows at a time."""

import jax
import jax.numpy as jnp
from jax import lax

from ...engine import after, in_memory, scan
from .sizes import is_known

__all__ = ()  # no layers


MOST_UNROLLED = 16  # chunks elsewhere than on a CPU; more are a loop


def in_chunks(step, carry, rows, arrays, on_cpu=True):
    """`step(carry, chunk) -> carry, outputs` over the arrays in chunks of so many rows, the last one shorter; the outputs joined."""
    n = arrays[0].shape[0]
    if on_cpu or not is_known(n) or -(-n // max(rows, 1)) > MOST_UNROLLED:
        return _in_loop(step, carry, rows, arrays)
    return _one_by_one(step, carry, rows, arrays)


def _one_by_one(step, carry, rows, arrays):
    """Without a loop."""
    found, chunks = [], [jax.tree.map(lambda a: a[i : i + rows], arrays) for i in range(0, max(len(arrays[0]), 1), rows)]
    while chunks:
        carry, outputs = step(carry, chunks[0])
        (carry, found), chunks = in_memory((carry, [*found, outputs]), chunks[1:])
    joined = jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)
    return carry, in_memory(joined)[0]  # or XLA would do what comes after to each part


def _in_loop(step, carry, rows, arrays):
    """XLA would make the first carry and the memory of the outputs ready at the beginning of a program: they wait for the first array."""
    n = arrays[0].shape[0]
    full = n - n % rows
    if n <= rows:
        return step(carry, arrays)
    chunk = lambda i: jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, i * rows, rows), arrays)
    _, shapes = jax.eval_shape(lambda: step(carry, chunk(0)))
    zeros = jax.tree.map(lambda s: jnp.zeros((full, *s.shape[1:]), s.dtype), shapes)

    def place(state, i):
        carry, outputs = state
        carry, new = step(carry, chunk(i))
        return (carry, jax.tree.map(lambda a, b: lax.dynamic_update_slice_in_dim(a, b, i * rows, 0), outputs, new)), None

    (carry, outputs), _ = scan(place, after((carry, zeros), jax.tree.leaves(arrays)), jnp.arange(full // rows))
    if full < n:
        carry, rest = step(carry, jax.tree.map(lambda a: a[full:], arrays))
        outputs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, rest)
    return carry, outputs


def even_rows(n, values, most):
    """How many of n rows, which become so many values, make a chunk of about `most` values at most: about as many in each."""
    chunks = max(-(-values // most), 1)
    return max(-(-n // chunks), 1)
