"""Recomputation: what is made once more on the way back instead of being kept, and what makes it wait for the cotangents.

An op that saves all that its output follows from cheaply (gelu its input, layer_norm its input and two statistics) declares
`op.def_recompute`. Where a later equation would keep that output, its record holds a `ResidualRef` to the earlier record in its place.
An op whose output follows from an input that it has no other use for (relu) saves that input as `RecomputeOnly`. An op whose backward
itself recomputes from something saved names it: `def_backward(recomputes=...)`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..program import jaxprs
from ..program.places import standing_at
from .saved import Elided, RecomputeOnly, ResidualRef


class ElideResiduals:
    """During one run: which outputs need not be kept."""

    def __init__(self, run: object):
        self.run = run
        self.references: dict[int, ResidualRef] = {}  # by the identity of the output, which the run's environment keeps alive

    def offer(self, number: int, outputs: Sequence[Any]) -> None:
        """The outputs of this record can be recomputed."""
        self.references.update({id(output): ResidualRef(self.run, number, i) for i, output in enumerate(outputs)})

    def without(self, saved: Any) -> tuple[Any, bool]:
        """What a record saves, with references in the place of such outputs, and whether its own can be recomputed from it."""
        leaves, tree = jax.tree.flatten(saved)
        lean = [self._lean(leaf) for leaf in leaves]
        if any(isinstance(leaf, ResidualRef) for leaf in lean):
            saved = Elided(lean, tree)
        elif any(leaf is None for leaf in lean):
            saved = jax.tree.unflatten(tree, lean)
        return saved, all(leaf is not None for leaf in lean)

    def _lean(self, leaf):
        if isinstance(leaf, RecomputeOnly):
            return self.references.get(id(leaf.array))
        return self.references.get(id(leaf), leaf)


class Rematerializer:
    """During one sweep: the outputs that were recomputed, until their own record is swept.

    Of a chain of such outputs all are made from the first thing that was kept, when the last one is asked for.
    """

    def __init__(self, run: object, records: Sequence[Any]):
        self.run, self.records = run, records
        self.made: dict[int, Sequence[Any]] = {}

    def whole(self, record: Any, dys: Sequence[Any]) -> Any:
        """The record without references; they are recomputed when its cotangents are there, not before."""
        if not isinstance(record.saved, Elided):
            return record
        missing, found = set(), self._wanted(record)
        while found:
            missing |= found
            found = set().union(*(self._wanted(self.records[n]) for n in found)) - missing
        for number in sorted(missing):  # a record refers to earlier ones alone
            earlier = self._filled(self.records[number])
            with standing_at(earlier.eqn):
                self.made[number] = earlier.rule.recompute(earlier.with_saved(after(earlier.saved, dys)))
        return self._filled(record)

    def forget(self, number: int) -> None:
        self.made.pop(number, None)

    def _references(self, record) -> list[ResidualRef]:
        leaves = record.saved.arrays if isinstance(record.saved, Elided) else ()
        return [leaf for leaf in leaves if isinstance(leaf, ResidualRef) and leaf.run is self.run]

    def _wanted(self, record) -> set[int]:
        return {reference.number for reference in self._references(record)} - self.made.keys()

    def _filled(self, record):
        if not self._references(record):
            return record
        of = {id(r): self.made[r.number][r.index] for r in self._references(record)}
        return record.with_saved(jax.tree.unflatten(record.saved.static, [of.get(id(leaf), leaf) for leaf in record.saved.arrays]))


def after(arrays: Any, dys: Sequence[Any]) -> Any:
    """The same arrays, in a way that XLA can compute nothing from them before it has the cotangents.

    A barrier is not enough: XLA:CPU takes it away before it orders the work, makes everything again at once, and saves nothing. So a zero
    that comes from a cotangent's bits, of which there are fewer than 128, is taken away (added, it would make 0.0 of -0.0). It is taken
    from the same place where the shapes agree: where devices share the arrays, none then waits for a number of another. Where some arrays
    have the cotangent's shape they alone wait. (It costs nothing: LLVM knows that it is 0, and XLA does not.)
    """
    dy = next((dy for dy in dys if dy is not None and dy.size), None)
    if dy is None:
        return arrays
    if any(jax.typeof(dy).sharding.spec):  # a sharded array has no first element that all devices could read
        return jaxprs.barrier((arrays, dy))[0]
    dy = lax.real(dy) if jnp.iscomplexobj(dy) else dy
    leaves, tree = jax.tree.flatten(arrays)
    agree = [len(_axes_alike(dy.shape, a.shape)) if jnp.issubdtype(a.dtype, jnp.inexact) else -1 for a in leaves]
    least = max(dy.ndim, 1) if dy.ndim in agree and any(a.shape == dy.shape for a in leaves) else min(max(agree, default=0), 1)
    return tree.unflatten([_behind(a, dy) if n >= least else a for a, n in zip(leaves, agree)])


def _behind(a, dy):
    """a less 0 of the bits of dy, along axes of one size as they stand, and from the beginning of all others."""
    axes = _axes_alike(dy.shape, a.shape)
    some = dy[tuple(slice(None) if i in axes else 0 for i in range(dy.ndim))]
    bits = lax.bitcast_convert_type(some, f"uint{8 * dy.dtype.itemsize}")
    zero = lax.shift_right_logical(lax.population_count(bits), jnp.full_like(bits, 7)).astype(a.dtype)
    if not jaxprs.varying(zero) <= jaxprs.varying(a):
        return a
    return a - (lax.broadcast_in_dim(zero, a.shape, axes) if axes else zero)


def _axes_alike(shape, other):
    """The axes that have one size, as they stand."""
    return [i for i, (n, size) in enumerate(zip(shape, other)) if n == size]
