"""Three independent derivatives to hold against the hand-written one: jax.vjp, jax.jvp, and finite differences."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

DIRECTIONS = 8
STEPS = tuple(2.0**-k for k in range(4, 27))


def compiled(f: Callable) -> Callable:
    """`jax.jit` for what runs once or twice: on a CPU, LLVM's optimisation costs more than it saves (a small CNN: 21 s to 8 s)."""
    on_cpu = jax.default_backend() == "cpu"
    return jax.jit(f, compiler_options={"xla_backend_optimization_level": 0} if on_cpu else None)


class Answers(NamedTuple):
    """What each oracle says of a function of flat arrays, as NumPy arrays."""

    hand_value: list
    auto_value: list
    hand: list  # gradient leaves of the rule under test
    auto: list  # gradient leaves of jax.vjp of the plain formulas
    jvp_error: np.ndarray  # per leaf: |<J v, u> - <v, J^T u>| / sum |v g|, the worst direction; nan: not asked
    order: np.ndarray  # per leaf: order of the Taylor remainder; nan: nothing to judge; -1: a kink
    smallest: float  # the smallest relative mistake that finite differences could have seen


def cotangents(key, outs: Sequence[Any]) -> list:
    """1 for a scalar function, else random ones."""
    if len(outs) == 1 and outs[0].shape == ():
        return [jnp.ones((), outs[0].dtype)]
    return [jax.random.normal(k, o.shape, o.dtype) for k, o in zip(jax.random.split(key, len(outs)), outs)]


def ask(hand_vjp: Callable, plain: Callable, leaves: Sequence[Any], key, forward: bool, numeric: bool) -> Answers:
    """Ask every oracle; `hand_vjp` and `plain` take flat leaves and return a flat list of outputs.

    `forward` says whether the function has a jvp, `numeric` whether finite differences are asked.
    """

    def signed(leaf, k):
        """A direction: signs, and sizes between a half and three halves."""
        sign = jnp.where(jax.random.bernoulli(k, 0.5, leaf.shape), 1, -1)
        return (sign * jax.random.uniform(jax.random.fold_in(k, 1), leaf.shape, minval=0.5, maxval=1.5)).astype(leaf.dtype)

    # Drawn here, once: in a compiled program XLA may draw twice, in two fusions, with other rounding.
    u = cotangents(key, jax.eval_shape(plain, *leaves))
    directions = [signed(x, jax.random.fold_in(key, j)) for j, x in enumerate(leaves)]

    @compiled
    def derivatives(leaves, u):
        hand_value, hand_back = hand_vjp(*leaves)
        auto_value, auto_back = jax.vjp(plain, *leaves)
        return hand_value, auto_value, hand_back(u), auto_back(u)

    @compiled
    def adjoint_errors(leaves, hand, u, several):
        def of_leaf(i):
            def of_direction(v):
                v = [d * (i == j) for j, d in enumerate(v)]
                _, jv = jax.jvp(plain, tuple(leaves), tuple(x.astype(p.dtype) for x, p in zip(v, leaves)))
                forward = sum(jnp.sum(a * b) for a, b in zip(jv, u))
                backward = sum(jnp.sum(a * b) for a, b in zip(v, hand))
                scale = sum(jnp.sum(jnp.abs(a * b)) for a, b in zip(v, hand))
                return jnp.abs(forward - backward), jnp.maximum(scale, jnp.abs(forward))

            errors, scales = jax.vmap(of_direction)(several)
            return jnp.max(errors / jnp.maximum(scales, jnp.finfo(errors.dtype).tiny))

        return lax.map(of_leaf, jnp.arange(len(leaves)))

    @compiled
    def remainders(leaves, hand, u, v):

        def at(i, t):
            moved = [x + t * (i == j) * d for j, (x, d) in enumerate(zip(leaves, v))]
            return sum(jnp.sum(a * b) for a, b in zip(plain(*moved), u))

        def of_leaf(i):
            steps = jnp.array([0.0, *STEPS, *(-s for s in STEPS)])
            slope = jnp.stack([jnp.sum(a * b) for a, b in zip(v, hand)])[i]
            return lax.map(lambda t: at(i, t), steps), slope

        return lax.map(of_leaf, jnp.arange(len(leaves)))

    hand_value, auto_value, hand, auto = derivatives(list(leaves), u)
    several = [jnp.stack([signed(x, jax.random.fold_in(k, j)) for k in jax.random.split(key, DIRECTIONS)]) for j, x in enumerate(leaves)]
    jvp_error = adjoint_errors(list(leaves), hand, u, several) if forward else np.full(len(leaves), np.nan)
    order, smallest = np.full(len(leaves), np.nan), np.nan
    if numeric:
        values, slopes = (np.asarray(a) for a in remainders(list(leaves), hand, u, directions))
        judged = [_order(v, s) for v, s in zip(values, slopes)]
        order = np.array([o for o, _ in judged])
        smallest = max((s for _, s in judged if np.isfinite(s)), default=np.nan)

    def numpy(arrays):
        return [np.asarray(a) for a in arrays]

    return Answers(numpy(hand_value), numpy(auto_value), numpy(hand), numpy(auto), np.asarray(jvp_error), order, smallest)


def _order(values: np.ndarray, slope: float) -> tuple[float, float]:
    """Order of |f(x+tv) - f(x) - t slope| as t shrinks, on the last four steps clear of rounding; and the sensitivity."""
    n, h = len(STEPS), np.array(STEPS)
    f0, plus, minus = values[0], values[1 : n + 1], values[n + 1 :]
    if not np.all(np.isfinite(values)):
        return np.nan, np.nan
    floor = 64 * np.finfo(np.float64).eps * np.max(np.abs(values)) + np.finfo(np.float64).tiny
    smallest = 16 * floor / (h[-1] * max(abs(slope), floor))
    remainder = np.maximum(np.abs(plus - f0 - h * slope), np.abs(minus - f0 + h * slope))
    clear = np.flatnonzero(remainder > 16 * floor)
    if len(clear) < 4:
        return np.nan, smallest
    last = clear[-4:]
    order = np.polyfit(np.log2(h[last]), np.log2(remainder[last]), 1)[0]
    if order < 1.5:
        right, left = (plus - f0)[last[-1]] / h[last[-1]], (f0 - minus)[last[-1]] / h[last[-1]]
        if abs(right - left) > 0.01 * max(abs(right - slope), abs(left - slope)):
            return -1.0, smallest  # a kink: the one-sided slopes do not meet
    return order, smallest
