"""Rounding, measured: what a program's numbers do where all that they are computed from is a little off."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import RULES
from ..program import jaxprs
from .oracles import numpy
from .traced import evaluate
from .widened import Widening

NOISE = 2.0**-30


class _Perturbed(Widening):
    """A program, in its own types, in which every floating number is off by a little, as if it had been rounded to fewer bits.

    Or only its constants: those that were rounded to `dtype` when they were written into it.
    """

    def __init__(self, settings, noise: float, dtype=None):
        super().__init__(settings, RULES)
        self.noise, self.dtype, self.number = noise, dtype, 0

    def type(self, dtype):
        return dtype

    def value(self, x):
        return self.off(x) if self.dtype is not None and is_rounded(x, self.dtype) else x

    def _cast(self, eqn, x):
        return jaxprs.evaluate(eqn, [x])[0]

    def _equation(self, eqn, values, active):
        outputs = super()._equation(eqn, values, active)
        return outputs if self.dtype is not None else [self.off(x) for x in outputs]

    def off(self, x):
        """The value, a little off."""
        if not (hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)):
            return x
        self.number += 1
        wave = jnp.cos(lax.iota(x.dtype, max(x.size, 1)) * 1.7 + 2.3 * self.number)[: x.size].reshape(x.shape)
        return x * (1 + self.noise * wave).astype(x.dtype)


def is_rounded(x: Any, dtype) -> bool:
    """Whether this is a constant with so many bits, and no more than `dtype` has, that it was rounded to it."""
    if not isinstance(x, np.ndarray | np.generic) or not jnp.issubdtype(x.dtype, jnp.floating):
        return False
    x = np.asarray(x, np.float64)
    x = x[np.isfinite(x)]
    with np.errstate(over="ignore"):
        fits = np.all(x == x.astype(dtype).astype(np.float64))
    return bool(fits and np.any(np.mod(np.frexp(x)[0] * 2**12, 1)))


def holds_rounded(jaxpr, dtype) -> bool:
    """Whether a constant of the program was rounded to this type."""
    atoms = (v for e in jaxprs.every_equation(jaxpr) for v in e.invars if isinstance(v, jaxprs.Literal))
    return any(is_rounded(jaxprs.literal(v), dtype) for v in atoms) or any(
        is_rounded(np.asarray(c), dtype) for c in jaxpr.consts if jaxprs.is_inexact(c)
    )


def rounding(f: Callable, settings, noise: float, *args, dtype=None) -> Any:
    """By how much each number that `f` gives changes where all that it is computed from is off by this relative noise: a pytree.

    In proportion, this is what a type's own rounding does; where the change is far more than in proportion, rounding decides which way `f`
    takes. With `dtype`, only constants that were rounded to it are off.
    """
    leaves, tree = jax.tree.flatten(args)
    out_tree = None

    def flat(*leaves):
        nonlocal out_tree
        out, out_tree = jax.tree.flatten(f(*jax.tree.unflatten(tree, leaves)))
        return out

    prog, consts = jaxprs.trace(flat, *leaves)

    @jax.jit
    def compared(*leaves):
        perturbed = _Perturbed(settings, noise, dtype)
        right = evaluate(prog, [*consts, *leaves])
        constants = [perturbed.value(np.asarray(c)) if jaxprs.is_inexact(c) else c for c in consts]
        off = perturbed.evaluate(prog, [*constants, *(leaves if dtype is not None else map(perturbed.off, leaves))])
        return [jnp.abs(a - b) for a, b in zip(off, right)]

    return jax.tree.unflatten(out_tree, numpy(compared(*leaves)))


def noise_for(eps: float) -> float:
    """The noise by which rounding to `eps` is measured: clear of it, and small."""
    return max(NOISE, 8 * eps)
