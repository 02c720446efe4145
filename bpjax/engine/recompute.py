"""Recomputation: what is made once more on the way back instead of being kept, and what makes it wait for the cotangents.

An op that saves all that its output follows from cheaply (gelu its input, layer_norm its input and two statistics) declares
`op.def_recompute`. Where a later equation would keep that output, its record holds a `ResidualRef` to the earlier record in its place.
An op whose output follows from an input that it has no other use for (relu) saves that input as `RecomputeOnly`. An op whose backward
itself recomputes from something saved names it: `def_backward(recomputes=...)`.
"""

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..program import jaxprs
from ..program.places import has_64_bits, standing_at
from .platforms import in_memory
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
        if missing and record.rule.by_kernel:
            dys = [None if dy is None else in_memory(dy)[0] for dy in dys]
        for number in sorted(missing):  # a record refers to earlier ones alone
            earlier = self._filled(self.records[number])
            waiting = after_each_its_own(earlier.saved, dys)
            with standing_at(earlier.eqn):
                outputs = earlier.rule.recompute(earlier.with_saved(waiting))
            kept = {id(w): saved for w, saved in zip(jax.tree.leaves(waiting), jax.tree.leaves(earlier.saved))}
            self.made[number] = [kept.get(id(output), output) for output in outputs]  # what is there waits for nothing
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
    from the same place as far as the shapes agree: where devices share the arrays, none then waits for a number of another. (It costs
    nothing: LLVM knows that it is 0, and XLA does not.)
    """
    dy = next((dy for dy in dys if dy is not None and dy.size), None)
    if dy is None:
        return arrays
    if any(jax.typeof(dy).sharding.spec):  # a sharded array has no first element that all devices could read
        return jaxprs.barrier((arrays, dy))[0]
    dy = lax.real(dy) if jnp.iscomplexobj(dy) else dy
    return jax.tree.map(lambda a: _behind(a, dy) if jnp.issubdtype(a.dtype, jnp.inexact) else a, arrays)


def after_each_its_own(arrays: Any, dys: Sequence[Any]) -> Any:
    """`after`, but only those arrays wait that agree with the cotangent in most axes: not weights, of which each device may have all."""
    dy = next((dy for dy in dys if dy is not None and dy.size), None)
    leaves, tree = jax.tree.flatten(arrays)
    agree = [len(_axes_alike(dy, a)) if dy is not None and jnp.issubdtype(a.dtype, jnp.inexact) else -1 for a in leaves]
    most = [n == max(agree) for n in agree]
    waiting = iter(after([a for a, on in zip(leaves, most) if on], dys))
    return tree.unflatten([next(waiting) if on else a for a, on in zip(leaves, most)])


def _behind(a, dy):
    """a less 0 of the bits of dy, along axes that agree as they stand, and from the beginning of all others."""
    if not jaxprs.varying(dy) <= jaxprs.varying(a):
        return a
    axes = _axes_alike(dy, a)
    places = list(axes.values())
    order = sorted(range(len(places)), key=places.__getitem__)
    with jax.enable_x64(True) if has_64_bits(dy.dtype) or has_64_bits(a.dtype) else contextlib.nullcontext():
        some = dy[tuple(slice(None) if i in axes else 0 for i in range(dy.ndim))].transpose(order)
        bits = lax.bitcast_convert_type(some, f"uint{8 * dy.dtype.itemsize}")
        zero = lax.shift_right_logical(lax.population_count(bits), lax.full_like(bits, 7)).astype(a.dtype)
        return a - (lax.broadcast_in_dim(zero, a.shape, sorted(places)) if axes else zero)


def _axes_alike(dy, a) -> dict:
    """Which axis of a each axis of dy agrees with: those of the same place, or the first of its size, whichever are more values."""
    in_place = {i: i for i, (n, size) in enumerate(zip(dy.shape, a.shape)) if n == size}
    if dy.shape == a.shape or not all(isinstance(n, int) for n in (*dy.shape, *a.shape)):
        return in_place
    by_size: dict[int, int] = {}
    for i, n in enumerate(dy.shape):
        found = next((k for k, size in enumerate(a.shape) if size == n and k not in by_size.values()), None)
        by_size |= {} if found is None else {i: found}
    values = lambda places: math.prod(dy.shape[i] for i in places)
    return by_size if values(by_size) > values(in_place) else in_place
