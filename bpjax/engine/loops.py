"""A loop that ends when it wants to, and can be differentiated; and a scan that may stand inside a `shard_map`."""

import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..program import jaxprs


def bounded_while(cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, max_steps: int) -> Any:
    """As `jax.lax.while_loop`, of at most `max_steps` steps, so that it has a backward: by hand and by `jax.grad`.

    Args:
        cond: a function of the state, a pytree of arrays, to one boolean: whether to go on.
        body: a function of the state to the next one, of the same structure, shapes and dtypes.
        init: the first state.
        max_steps: where to stop if `cond` has not said so; the state is then as far as it came.

    Steps that are not taken run no `body`. The backward keeps about √max_steps states, and runs each step a second time. Under `vmap`,
    where some loops end before others, `body` is run beyond their end and what it gives there is not used: if that may be infinite or
    NaN, so may be the gradient.
    Backward: that of the steps that were taken, the last one first.
    Errors: ValueError for max_steps below 1; TypeError where `cond` gives no boolean scalar, or `body` another type than the state's.

    >>> import jax.numpy as jnp, bpjax
    >>> root = lambda a: bpjax.bounded_while(lambda x: abs(x * x - a) > 1e-6, lambda x: (x + a / x) / 2, a, 30)  # by Newton
    >>> f"{root(4.0):.4f} {bpjax.grad(root)(4.0):.4f}"
    '2.0000 0.2500'
    """
    try:
        max_steps = operator.index(max_steps)
    except TypeError:
        raise TypeError(f"bounded_while: max_steps must be an integer, got {max_steps!r}") from None
    if max_steps < 1:
        raise ValueError(f"bounded_while: max_steps must be at least 1, got {max_steps}")
    init = jax.tree.map(jnp.asarray, init)
    _check(cond, body, init)
    length = math.isqrt(max_steps - 1) + 1

    def goes_on(counted):
        count, state = counted
        return (count < max_steps) & cond(state)

    def step(counted, _):
        taken = lambda counted: (counted[0] + 1, _typed(body(counted[1]), counted[1]))
        return lax.cond(goes_on(counted), taken, lambda counted: counted, counted), None

    @jax.checkpoint
    def stretch(counted):
        return lax.scan(step, counted, None, length)[0]

    def stretches(counted, _):
        return lax.cond(goes_on(counted), stretch, lambda counted: counted, counted), None

    return lax.scan(stretches, (jnp.int32(0), _typed(init, init)), None, -(-max_steps // length))[0][1]


def scan(step: Callable, start: Any, xs: Any, unroll: int = 1) -> tuple[Any, Any]:
    """`lax.scan`, whose start inside a `shard_map` varies over the same axes of the mesh as what its steps make of it."""
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return lax.scan(step, start, xs, unroll=unroll)
    first, was = jax.tree.map(lambda x: x[0], xs), None
    while was != (was := [jaxprs.varying(a) for a in jax.tree.leaves(start)]):
        start = jax.tree.map(jaxprs.varying_as, start, jax.eval_shape(step, start, first)[0])
    return lax.scan(step, start, xs, unroll=unroll)


def _typed(state, like):
    """Without weak types: a scan's carry keeps its type."""
    return jax.tree.map(lambda x, old: lax.convert_element_type(x, jnp.asarray(old).dtype), state, like)


def _check(cond, body, init) -> None:
    asked = jax.eval_shape(cond, init)
    if jax.tree.structure(asked) != jax.tree.structure(0) or asked.shape != () or asked.dtype != bool:
        raise TypeError(f"bounded_while: cond must return one boolean, got {_types(asked)}")
    new = jax.eval_shape(body, init)
    if jax.tree.structure(new) != jax.tree.structure(init):
        raise TypeError(
            f"bounded_while: body must return what it was given, {jax.tree.structure(init)}; it returned {jax.tree.structure(new)}"
        )
    for (path, old), now in zip(jax.tree_util.tree_flatten_with_path(init)[0], jax.tree.leaves(new)):
        if (old.shape, old.dtype) != (now.shape, now.dtype):
            where = f" at {jax.tree_util.keystr(path)}" if path else ""
            raise TypeError(
                f"bounded_while: body must return the state's types; it was given {_types(old)}{where} and returned {_types(now)}"
            )


def _types(tree) -> str:
    return ", ".join(f"{x.dtype}{list(x.shape)}" for x in jax.tree.leaves(tree)) or "nothing"
