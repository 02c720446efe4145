"""A function and its backward pass run once, in the open: every equation with the values and the deltas that it saw."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import engine
from ..engine import Hook, Record, hooked, run, sweep
from ..program import jaxprs, tracing
from ..program.jaxprs import Literal
from ..program.modules import Modules, key_name, leaf_name, owner_of, owners
from ..program.unrolled import unrolled
from .unruled import Unruled


class Replay:
    """`f` at concrete arguments, as a straight line of equations.

    Attributes:
        value: what `f` returned (with `has_aux` the first of the pair).
        eqns, steps: the equations in the order of the forward pass, and for each the scan steps that it belongs to.
        at_the_root: the parameters that stand in no module but the model itself.
        names: what the function's inputs are called: parameters by path, other arguments by the name in the signature.
        modules: to which module each variable belongs.
        records: the differentiated equations, in the order of the forward pass.
        dys, dxs: by equation, where a cotangent arrives: the cotangents of its outputs and of its inputs.
        unruled: the equations that have no backward rule; the cotangents that they pass on are NaN.
        deltas: the cotangent of each variable; gradients: of each parameter, by name.
    """

    def __init__(self, f: Callable, args: Sequence[Any], kwargs: dict, argnums, has_aux: bool):
        numbers = engine.chosen_arguments(engine.argument_numbers(f, argnums), args)
        if any(map(jaxprs.is_traced, jax.tree.leaves((args, kwargs)))):
            raise TypeError("the function is run equation by equation at real values, but an argument is traced: call this outside of jit")
        flat, tree = jax.tree_util.tree_flatten_with_path([args[n] for n in numbers])
        floating = [jaxprs.is_inexact(x) for _, x in flat]
        signature = _argument_names(f, args, kwargs)
        self.bare = {f"argument {n}": signature[n] for n in numbers}  # arguments that are one array go by their name
        names = [self.bare.get(name, name) for name in (leaf_name(path, numbers) for path, _ in flat)]
        self.parameters = {name: jnp.asarray(x) for name, (_, x), on in zip(names, flat, floating) if on}
        self.at_the_root = {name.removesuffix(".value") for name in self.parameters} & {owner_of(name) for name in self.parameters}
        if not self.parameters:
            raise TypeError(f"argument {', '.join(map(str, numbers))} holds no floating array to differentiate; choose others by argnums=")

        def plain(*leaves):
            it = iter(leaves)
            full = list(args)
            for n, arg in zip(numbers, jax.tree.unflatten(tree, [next(it) if on else x for (_, x), on in zip(flat, floating)])):
                full[n] = arg
            out = f(*full, **kwargs)
            return jax.tree.leaves(engine.value_and_aux_of(out)[0] if has_aux else out)

        leaves = list(self.parameters.values())
        prog, consts = tracing.traced(plain, *leaves)
        self.inputs = [*consts, *leaves]
        line = unrolled(jaxprs.dce(prog), self.inputs)
        self.program, self.values, self.steps = line
        if (mesh := jaxprs.explicit_mesh_around()) is not None:
            self.values = {v: jaxprs.brought(x, mesh) for v, x in self.values.items()}
        self.eqns, self.invars = self.program.eqns, self.program.invars
        self.value = [self.of(v) for v in self.program.outvars]
        self.names = dict(zip(self.invars[len(consts) :], self.parameters))
        others = [*_other_leaves(signature, args, kwargs, numbers), *_closed_over(f)]
        for i, (v, x) in enumerate(zip(self.invars, consts)):
            self.names[v] = next((name for name, leaf in others if leaf is x), f"constant {i}")
        modules = owners([path for (path, _), on in zip(flat, floating) if on], numbers)
        modules = [self.bare.get(m, m) for m in modules]
        self.modules = Modules(self.program, {v: m for v, m in zip(self.invars[len(consts) :], modules) if m is not None})
        self.number_of_consts = len(consts)

    def of(self, atom) -> Any:
        """The value of a variable or a literal."""
        return jaxprs.literal(atom) if isinstance(atom, Literal) else self.values[atom]

    def back(self) -> None:
        """Run the written backward passes, from ones."""
        active = [False] * self.number_of_consts + [True] * len(self.parameters)
        self.dys: dict[Any, Sequence[Any]] = {}
        self.dxs: dict[Any, Sequence[Any]] = {}
        self.unruled = Unruled()

        outputs, tape = run(self.program, self.inputs, active)
        self.records = tape.records
        ones = [jnp.ones(jnp.shape(o), jnp.result_type(o)) for o in outputs]
        with hooked(_Cotangents(self), self.unruled):
            found = sweep(tape, ones)
        self.deltas = {v: d for v, d in zip(self.program.outvars, ones) if not isinstance(v, Literal)}
        for record in self.records:
            self.deltas.update((v, dy) for v, dy in zip(record.eqn.outvars, self.dys.get(record.eqn, ())) if dy is not None)
        leaves = zip(self.invars[self.number_of_consts :], found[self.number_of_consts :], self.parameters.items())
        self.gradients = {name: jnp.zeros_like(x) if d is None else d for _, d, (name, x) in leaves}
        self.deltas.update((v, self.gradients[name]) for v, name in self.names.items() if name in self.parameters)

    def where(self, eqn) -> str:
        """The module in which an equation stands; "after fc2": it follows the parameters of "fc2"; empty before any and at the root."""
        home = self.modules.home(eqn)
        if not home or home in self.bare.values() or home in self.at_the_root:
            return ""
        return home if self.modules.is_inside(eqn) else f"after {home}"


class _Cotangents(Hook):
    """Notes the cotangents of every equation."""

    def __init__(self, replay: Replay):
        self.replay = replay

    def observe(self, record: Record, dys, dxs):
        if dxs is not None:
            self.replay.dys[record.eqn], self.replay.dxs[record.eqn] = dys, dxs


def _argument_names(f, args, kwargs) -> list[str]:
    """The names of the positional arguments in the signature of `f`, as far as it tells them."""
    try:
        names = list(inspect.signature(f).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        names = []
    return [names[i] if i < len(names) else f"argument {i}" for i in range(len(args))]


def _closed_over(f) -> list[tuple[str, Any]]:
    """The arrays that the code of `f` takes from around it, with their names there."""
    try:
        around = inspect.getclosurevars(inspect.unwrap(f))
    except (TypeError, ValueError):
        return []
    given = [
        (name, x)
        for name, x in {**around.globals, **around.nonlocals}.items()
        if isinstance(x, jax.Array | np.ndarray | dict | list | tuple)
    ]
    leaves = [(name, path, leaf) for name, value in given for path, leaf in _leaves(value)]
    return [(".".join([name, *map(key_name, path)]), leaf) for name, path, leaf in leaves if jaxprs.is_arraylike(leaf)]


def _leaves(value) -> list[tuple]:
    """With their paths; none of what is no pytree for JAX (keys that cannot be sorted)."""
    try:
        return jax.tree_util.tree_leaves_with_path(value)
    except (TypeError, ValueError):
        return []


def _other_leaves(signature, args, kwargs, numbers) -> list[tuple[str, Any]]:
    """The leaves of the arguments that are not differentiated, with their names."""
    given = [(signature[i], arg) for i, arg in enumerate(args) if i not in numbers] + list(kwargs.items())
    leaves = [(name, path, leaf) for name, arg in given for path, leaf in jax.tree_util.tree_leaves_with_path(arg)]
    return [(".".join([name, *map(key_name, path)]), leaf) for name, path, leaf in leaves]
