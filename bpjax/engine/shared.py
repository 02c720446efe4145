"""A function of arrays that several devices share, under `jit`: what each of them does with its own part.

XLA cuts a program up for the devices one equation after the other, and only then is it known how the arrays lie. A loop over blocks of
rows that are split it cannot cut: each block would be gathered, and a sum over the blocks be added up among the devices at each step.
So a function may say how it is done in parts; it is asked while XLA cuts the program.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.experimental.custom_partitioning import ArrayMapping, SdyShardingRule, custom_partitioning
from jax.extend import core
from jax.sharding import NamedSharding, PartitionSpec

from ..program import jaxprs
from ..program.call import Call, Head
from .written import spread

Axes = Any  # a name for each axis of an array, None for one that no devices share; or ... for an array that each device sees as it lies


def shared(f: Callable, arguments: Sequence[Any], axes: Sequence[Axes], axes_of_results: Sequence[Axes]) -> list:
    """`f(over, *arguments)`, a sequence of arrays; devices that share the arguments along named axes do each its own part.

    An argument or a result may be None. `over[name]` are the axes of the mesh along which the arguments' axes of this name are split, ()
    where they are not: there `f` sees a part of each, and says what is to be added up (`lax.psum(x, over["rows"])`). The results are laid
    out by their names. One axis of the mesh splits one name: that which stands first in the arguments.
    """
    there = [i for i, a in enumerate(arguments) if a is not None]
    axes, arrays = [axes[i] for i in there], [arguments[i] for i in there]
    is_there: list[bool] = []

    def of(over, *arrays):
        results = f(defaultdict(tuple, over), *spread(arrays, there, len(arguments)))
        is_there[:] = [r is not None for r in results]
        return [r for r in results if r is not None]

    found = lambda: [names for names, on in zip(axes_of_results, is_there) if on]
    head = _Shared(getattr(f, "func", f).__name__, of, axes, found, jaxprs.Settings.now())
    results = iter(Call(lambda *arrays: of({}, *arrays), list(map(jax.typeof, arrays)), head)(*arrays))
    return [next(results) if on else None for on in is_there]


def along(name: str | None, *arrays: Any) -> list:
    """The axes of arrays whose first one has this name; None for None."""
    return [None if a is None else (name, *[None] * a.ndim)[: a.ndim] for a in arrays]


def added_up(x: Any, axes: tuple) -> Any:
    """The sum over the devices along these axes of the mesh."""
    return lax.psum(x, axes) if axes else x


class _Shared(Head):
    """A call that stands for its equations, and beside them says how devices share it."""

    def __init__(self, name: str, f: Callable, axes: Sequence[Axes], axes_of_results: Callable[[], list], settings: jaxprs.Settings):
        self.name, self.f, self.axes, self.axes_of_results, self.settings = name, f, axes, axes_of_results, settings

    def mapped(self, dims, out_dims, axis):
        return Head()

    def widened(self, widening, avals, out_avals):
        return Head()

    def with_consts(self, number):
        return Head() if number else self

    def on_devices(self, jaxpr):
        inner = jaxprs.open_jaxpr(jaxpr)
        if not jaxprs.may_be_split(inner):
            return None
        function = custom_partitioning(lambda *arrays: core.jaxpr_as_fun(jaxpr)(*arrays))
        function.def_partition(self._parts, sharding_rule=self._rule(inner))
        return jax.make_jaxpr(function)(*(v.aval for v in inner.invars))

    def _rule(self, inner):
        """Axes of one name lie alike. XLA's names are letters and numbers, and those of unnamed axes must differ."""

        def names(prefix, variables, all_axes):
            named = [[None] * v.aval.ndim if axes is ... else axes for v, axes in zip(variables, all_axes)]
            return tuple(ArrayMapping(*(n or f"{prefix}{i}axis{k}" for k, n in enumerate(axes))) for i, axes in enumerate(named))

        return SdyShardingRule(names("argument", inner.invars, self.axes), names("result", inner.outvars, self.axes_of_results()))

    def _parts(self, mesh, arguments, results):
        over: dict[str, tuple] = {}
        for axes, argument in zip(self.axes, arguments):
            for name, size, names in () if axes is ... else zip(axes, argument.shape, argument.sharding.spec):
                names = names if isinstance(names, tuple) else () if names is None else (names,)
                is_taken = name in over or any(n in taken for taken in over.values() for n in names)
                if name and names and not is_taken and size % jaxprs.devices_along(mesh, names) == 0:
                    over[name] = names
        lie = lambda axes: NamedSharding(mesh, PartitionSpec(*(over.get(name) for name in axes)))

        def part(*arrays):
            with self.settings.applied(), jax.sharding.use_abstract_mesh(jaxprs.NO_MESH):  # whatever mesh its caller stands on
                return self.f(over, *arrays)

        of_arguments = tuple(a.sharding if axes is ... else lie(axes) for a, axes in zip(arguments, self.axes))
        return mesh, part, list(map(lie, self.axes_of_results())), of_arguments
