"""Outputs that are made again on the way back instead of being kept.

An op that saves all that its output follows from cheaply (gelu its input, layer_norm its input and two statistics) declares
`op.def_again`. Where a later equation would keep that output, its record holds a `Reference` to the earlier record in its place.
An op whose output follows from an input that it has no other use for (relu) saves that input as `IfMadeAgain`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


class Reference:
    """Stands for an output of an earlier record of the same run. A pytree without leaves."""

    __slots__ = ("run", "number", "index")

    def __init__(self, run: object, number: int, index: int):
        self.run, self.number, self.index = run, number, index


jax.tree_util.register_pytree_node(Reference, lambda r: ((), (r.run, r.number, r.index)), lambda aux, _: Reference(*aux))


class IfMadeAgain:
    """In what an op saves: an array that is there for `def_again` alone, and only where it costs nothing, being made again itself.

    Elsewhere None takes its place, and the op's output is kept by whoever needs it.
    """

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array


class _Lean:
    """What a record saved, flat, with references among its leaves. (Their owner's own nodes could not hold references.)"""

    def __init__(self, leaves: Sequence[Any], tree):
        self.leaves, self.tree = list(leaves), tree


jax.tree_util.register_pytree_node(_Lean, lambda s: (s.leaves, s.tree), lambda tree, leaves: _Lean(leaves, tree))


class Forgetting:
    """During one run: which outputs need not be kept."""

    def __init__(self, run: object):
        self.run = run
        self.references: dict[int, Reference] = {}  # by the identity of the output, which the run's environment keeps alive

    def offer(self, number: int, outputs: Sequence[Any]) -> None:
        """The outputs of this record can be made again."""
        self.references.update({id(output): Reference(self.run, number, i) for i, output in enumerate(outputs)})

    def without(self, saved: Any) -> tuple[Any, bool]:
        """What a record saves, with references in the place of such outputs, and whether its own can be made again from it."""
        leaves, tree = jax.tree.flatten(saved)
        lean = [self._lean(leaf) for leaf in leaves]
        if any(isinstance(leaf, Reference) for leaf in lean):
            saved = _Lean(lean, tree)
        elif any(leaf is None for leaf in lean):
            saved = jax.tree.unflatten(tree, lean)
        return saved, all(leaf is not None for leaf in lean)

    def _lean(self, leaf):
        if isinstance(leaf, IfMadeAgain):
            return self.references.get(id(leaf.array))
        return self.references.get(id(leaf), leaf)


class Remembering:
    """During one sweep: the outputs that were made again, until their own record is swept.

    Of a chain of such outputs all are made from the first thing that was kept, when the last one is asked for.
    """

    def __init__(self, run: object, records: Sequence[Any]):
        self.run, self.records = run, records
        self.made: dict[int, Sequence[Any]] = {}

    def whole(self, record: Any, dys: Sequence[Any]) -> Any:
        """The record without references; they are made again when its cotangents are there, not before."""
        missing, found = set(), self._wanted(record)
        while found:
            missing |= found
            found = set().union(*(self._wanted(self.records[n]) for n in found)) - missing
        for number in sorted(missing):  # a record refers to earlier ones alone
            earlier = self._filled(self.records[number])
            self.made[number] = earlier.rule.again(earlier.with_saved(not_before(dys, earlier.saved)))
        return self._filled(record)

    def forget(self, number: int) -> None:
        self.made.pop(number, None)

    def _references(self, record) -> list[Reference]:
        leaves = record.saved.leaves if isinstance(record.saved, _Lean) else ()
        return [leaf for leaf in leaves if isinstance(leaf, Reference) and leaf.run is self.run]

    def _wanted(self, record) -> set[int]:
        return {reference.number for reference in self._references(record)} - self.made.keys()

    def _filled(self, record):
        if not self._references(record):
            return record
        of = {id(r): self.made[r.number][r.index] for r in self._references(record)}
        return record.with_saved(jax.tree.unflatten(record.saved.tree, [of.get(id(leaf), leaf) for leaf in record.saved.leaves]))


def not_before(dys: Sequence[Any], arrays: Any) -> Any:
    """The same arrays, in a way that XLA can compute nothing from them before it has the cotangents.

    A barrier is not enough: XLA:CPU takes it away before it orders the work, makes everything again at once, and saves nothing. So a zero
    that comes from a cotangent's bits, of which there are fewer than 128, is added.
    """
    dy = next((dy for dy in dys if dy is not None and dy.size), None)
    if dy is None:
        return arrays
    bits = lax.bitcast_convert_type(dy.ravel()[0], f"uint{8 * dy.dtype.itemsize}")
    zero = lax.shift_right_logical(lax.population_count(bits), jnp.full_like(bits, 7))
    return jax.tree.map(lambda a: a + zero.astype(a.dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, arrays)
