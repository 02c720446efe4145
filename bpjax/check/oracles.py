"""What is held against the hand-written gradient: jax.vjp, jax.jvp and finite differences, of one wide program."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import RULES, Hook, hooked, run, sweep
from ..program import jaxprs
from ..program.jaxprs import Program
from .report import norm
from .traced import Traced, evaluate, wide_array
from .widened import Widening, is_op

DIRECTIONS = 8
STEPS = tuple(2.0**-k for k in range(4, 27, 2))
EXACT, KINK, UNASKED = np.inf, -1.0, np.nan  # in the place of an order: no remainder stands clear of rounding; no slope; no answer
_AXIS = "base_or_moved"


def random(seed: int, shapes: Sequence[tuple]) -> list:
    """Random arrays, drawn once, outside of any compiled program: there XLA may draw twice, in two fusions, with other rounding."""
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(s)) for s in shapes]


def beside(seed: int, leaves: Sequence[Any], size: float) -> list:
    """Leaves a little off, so that none of them is zero."""
    out = []
    for x, noise in zip(map(np.asarray, leaves), random(seed, [x.shape for x in leaves])):
        scale = norm(x) / max(x.size, 1) ** 0.5 or 1.0
        out.append((x + size * noise * (0.5 * np.abs(np.nan_to_num(x, posinf=0, neginf=0)) + 0.5 * scale)).astype(x.dtype))
    return out


def cotangents(seed: int, outs: Sequence[Any]) -> list:
    """1 for a scalar function, else random ones."""
    if len(outs) == 1 and outs[0].shape == ():
        return [np.ones((), outs[0].dtype)]
    return [np.asarray(u, o.dtype) for u, o in zip(random(seed, [o.shape for o in outs]), outs)]


def directions(seed: int, leaves: Sequence[Any]) -> list:
    """For each leaf DIRECTIONS of them: signs, and sizes between a half and three halves."""
    rng, n = np.random.default_rng(seed), DIRECTIONS
    return [rng.uniform(0.5, 1.5, (n, *x.shape)) * rng.choice([-1.0, 1.0], (n, *x.shape)) for x in leaves]


class Gradients(NamedTuple):
    """The outputs and the gradient leaves, by hand and by jax.vjp, as NumPy arrays."""

    hand_value: list
    auto_value: list
    hand: list
    auto: list


def both(hand: Program, auto: Program, n: int) -> Callable[[list, list], tuple]:
    """A function of the inputs (the first `n` differentiated) and of the outputs' cotangents that gives `Gradients`."""

    def derivatives(inputs, u):
        (hand_value, by_rules), (auto_value, by_jax) = by_hand(hand, n)(inputs, u), automatic(auto, n)(inputs, u)
        return Gradients(hand_value, auto_value, by_rules, by_jax)

    return derivatives


def automatic(prog: Program, n: int) -> Callable[[list, list], tuple]:
    """The outputs and the gradient by jax.vjp."""

    def derivative(inputs, u):
        value, back = jax.vjp(lambda *leaves: evaluate(prog, [*leaves, *inputs[n:]]), *inputs[:n])
        return value, list(back(list(u)))

    return derivative


class _Formulas(Hook):
    """Collects the names of ops whose written backward is not asked where they stand."""

    def __init__(self, names: list[str]):
        self.names = names

    def replace(self, eqn, rule):
        if rule.is_inlined and is_op(eqn) and (name := jaxprs.function_name(eqn)) not in self.names:
            self.names.append(name)
        return rule


def through_formula(prog: Program, n: int, inputs: Sequence[Any]) -> list[str]:
    """The names of ops that stand vmapped or differentiated, so that not their written backward, but their formula is swept."""
    names: list[str] = []
    with hooked(_Formulas(names)):
        jax.eval_shape(lambda inputs: run(prog, inputs, [True] * n + [False] * (len(inputs) - n))[0], list(inputs))
    return names


def by_hand(prog: Program, n: int) -> Callable[[list, list], tuple]:
    """The outputs and the gradient by the written rules."""

    def derivative(inputs, u):
        value, tape = run(prog, inputs, [True] * n + [False] * (len(inputs) - n))
        grads = sweep(tape, [c if on else None for c, on in zip(u, tape.active_outputs)])[:n]
        return value, [jnp.zeros_like(x) if g is None else g for g, x in zip(grads, inputs)]

    return derivative


def numpy(tree) -> Any:
    """Every array of a pytree as NumPy's."""
    return jax.tree.map(np.asarray, tree)


class Moved(NamedTuple):
    """What a function says of each leaf moved alone, `u` its outputs' cotangents."""

    slopes: np.ndarray | None  # (leaves, DIRECTIONS): by jax.jvp, the slope of <f, u>; None: not asked
    values: np.ndarray  # (leaves, 1 + 2 len(STEPS)): <f, u> at the point, and at STEPS to both sides along the first direction


def mover(f: Callable, along: Sequence[np.ndarray], forward: bool, numeric: bool) -> Callable[[list, list, list], Moved]:
    """A function that moves each of the leaves of `f(leaves, given)` in its directions `along`.

    In all of them by jax.jvp, in the first by finite steps; all by one program, compiled when it is first asked.
    """
    n, shapes, rows = len(along), [v.shape[1:] for v in along], np.concatenate([v.reshape(DIRECTIONS, -1) for v in along], 1)
    kinds = [(k, 0.0) for k in range(DIRECTIONS if forward else 1)]
    kinds += [(0, t) for t in (*STEPS, *(-s for s in STEPS))] if numeric else []
    which, steps = (np.array(a) for a in zip(*kinds))
    first = len(kinds) - 2 * len(STEPS) if numeric else len(kinds)
    ends = np.cumsum(list(map(math.prod, shapes)))
    leaf_of = np.repeat(np.arange(n), np.diff(ends, prepend=0))

    @jax.jit
    def everywhere(leaves, given, u, rows):
        types = list(map(jax.typeof, leaves))
        dtype = jnp.result_type(*leaves)
        flat = jnp.concatenate([jnp.ravel(jaxprs.typed(x, jaxprs.replicated(a))).astype(dtype) for x, a in zip(leaves, types)])

        def value(flat):
            parts = jnp.split(flat, ends[:-1])
            outputs = f([jaxprs.typed(part.reshape(a.shape).astype(a.dtype), a) for part, a in zip(parts, types)], given)
            return sum(jnp.sum(a * b) for a, b in zip(outputs, u))

        def at(number):
            leaf, kind = number // len(kinds), number % len(kinds)
            v = jnp.where(jnp.asarray(leaf_of) == leaf, rows[jnp.asarray(which)[kind]], 0.0).astype(flat.dtype)
            point = flat + jnp.asarray(steps, flat.dtype)[kind] * v
            return jax.jvp(value, (point,), (v,)) if forward else (value(point), 0.0)

        return lax.map(at, jnp.arange(n * len(kinds)))

    def moved(leaves, given, u):
        values, slopes = (np.asarray(a).reshape(n, len(kinds)) for a in everywhere(list(leaves), list(given), list(u), rows))
        return Moved(slopes[:, :first] if forward else None, values[:, [0, *range(first, len(kinds))]])

    return moved


def adjoint_error(slopes: np.ndarray, along: np.ndarray, hand: np.ndarray) -> tuple[float, float]:
    """The largest |<J v, u> - <v, g>| of the directions v of a leaf, and the largest sum of |v g| beside it; `slopes`: <J v, u>."""
    products = along.reshape(DIRECTIONS, -1) * hand.ravel()
    error = np.max(np.abs(slopes - products.sum(1)))
    return float(error), float(max(np.max(np.abs(products).sum(1)), np.max(np.abs(slopes))))


def frozen(traced: Traced) -> Callable[[list, list], list]:
    """The function in float64 in which what stands under `stop_gradient` keeps the value that it has at the point itself.

    Its derivative is the one that the program means. Evaluated at the point and beside it, under one `vmap`.
    """
    base = list(map(wide_array, traced.leaves))

    def stop(x):
        return lax.psum(jnp.where(lax.axis_index(_AXIS) == 0, x, jnp.zeros_like(x)), _AXIS)

    def f(leaves, given):
        widening = Widening(traced.settings, RULES, stop=stop)
        pair = [jnp.stack([a, b]) for a, b in zip(base, leaves)]
        both = jax.vmap(lambda *moved: widening.evaluate(traced.program, [*moved, *given]), axis_name=_AXIS)
        return [y[1] for y in both(*pair)]

    return f


def order(values: np.ndarray, slope: float, noise: float, eps: float) -> tuple[float, float]:
    """Order of |f(x+tv) - f(x) - t slope| as t shrinks, on the last four steps clear of rounding; and the sensitivity.

    The order is KINK where the one-sided slopes do not meet, and UNASKED where something is not finite.
    """
    n, h = len(STEPS), np.array(STEPS)
    f0, plus, minus = values[0], values[1 : n + 1], values[n + 1 :]
    if not np.all(np.isfinite(values)) or not np.isfinite(slope):
        return UNASKED, np.nan
    floor = max(64 * eps * np.max(np.abs(values)), noise) + np.finfo(np.float64).tiny
    smallest = 16 * floor / (h[-1] * max(abs(slope), floor))
    remainder = np.maximum(np.abs(plus - f0 - h * slope), np.abs(minus - f0 + h * slope))
    clear = np.flatnonzero(remainder > 16 * floor)
    if len(clear) < 4:
        return EXACT, smallest
    last, after = clear[-4:], clear[-1] + 1
    if after < n and remainder[last[-1]] * h[after] / h[last[-1]] > 64 * floor:
        return EXACT, smallest  # what is left is no slope, which would shrink with the step: jumps, which small steps do not meet
    order = float(np.polyfit(np.log2(h[last]), np.log2(remainder[last]), 1)[0])
    if order < 1.5:
        right, left = (plus - f0)[last[-1]] / h[last[-1]], (f0 - minus)[last[-1]] / h[last[-1]]
        if abs(right - left) > 0.01 * max(abs(right - slope), abs(left - slope)):
            return KINK, smallest
        return max(order, 0.0), smallest
    return order, smallest
