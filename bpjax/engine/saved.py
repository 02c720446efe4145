"""What crosses from the run to the sweep: arrays, and what is no array beside them."""

from typing import Any

import jax


class Static:
    """Named things that are no arrays; equal only to itself, so that it can stand in a pytree's structure."""

    def __init__(self, **parts: Any):
        self.__dict__.update(parts)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class Saved:
    """A pytree: `arrays` (a pytree of them) are its leaves, `static` is its structure."""

    __slots__ = ("arrays", "static")

    def __init__(self, arrays: Any, static: Any):
        self.arrays, self.static = arrays, static


class Elided(Saved):
    """A record's saved leaves, some replaced by references; `static` is their tree. (Their owner's own nodes could not hold those.)"""

    __slots__ = ()


for _kind in (Saved, Elided):
    jax.tree_util.register_pytree_node(_kind, lambda s: ((s.arrays,), s.static), lambda static, arrays, kind=_kind: kind(*arrays, static))


class ResidualRef:
    """Stands for an output of an earlier record of the same run, which is recomputed on the way back. A pytree without leaves."""

    __slots__ = ("run", "number", "index")

    def __init__(self, run: object, number: int, index: int):
        self.run, self.number, self.index = run, number, index


jax.tree_util.register_pytree_node(ResidualRef, lambda r: ((), (r.run, r.number, r.index)), lambda aux, _: ResidualRef(*aux))


class RecomputeOnly:
    """In what an op saves: an array that is there for `def_recompute` alone, and only where it costs nothing, being recomputed itself.

    Elsewhere None takes its place, and the op's output is kept by whoever needs it.
    """

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array
