"""`cost`: what a backward pass costs, module by module: operations, bytes kept for it, and the memory of the compiled programs."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .. import engine
from ..engine import Hook, Rule, Wrapped, hooked, run, sweep
from ..program import jaxprs, tracing
from ..program.jaxprs import Literal, Program
from ..program.modules import Modules, leaf_name, owner_of, owners
from ..program.straight import inlined
from .tables import aligned
from .unruled import Unruled

OUTSIDE = "(before any module)"
_FREE = {
    "reshape",
    "transpose",
    "broadcast_in_dim",
    "squeeze",
    "expand_dims",
    "slice",
    "dynamic_slice",
    "dynamic_update_slice",
    "gather",
    "concatenate",
    "stack",
    "pad",
    "rev",
    "iota",
    "copy",
    "convert_element_type",
    "bitcast_convert_type",
    "stop_gradient",
    "name",
    "split",
    "optimization_barrier",
    "select_n",
    "random_wrap",
    "random_unwrap",
}  # fmt: skip  they move numbers, and compute none


class ModuleCost(NamedTuple):
    """One module: how many parameters, operations forward and backward, and bytes of its values that are kept for the backward."""

    module: str
    parameters: int
    forward: int
    backward: int
    saved_hand: int
    saved_auto: int


class Cost(NamedTuple):
    """What `cost` returns; `str` is the table.

    Attributes:
        modules: one `ModuleCost` for each, in the order in which values meet them.
        temporary_hand, temporary_auto: bytes that the compiled value and gradient need beside inputs and outputs.
        without_rule: equations that have no backward rule, with their places: their backward is not counted.
        borrowed: those for which JAX's own was borrowed, with their places.
        auto_fails: what `jax.grad` says where it cannot differentiate the function either; its numbers are 0 then.
    """

    modules: list[ModuleCost]
    temporary_hand: int
    temporary_auto: int
    without_rule: tuple[str, ...] = ()
    auto_fails: str = ""
    borrowed: tuple[str, ...] = ()

    def __str__(self):
        total = ModuleCost("all", *(sum(column) for column in zip(*(m[1:] for m in self.modules))))
        head = ("module", "parameters", "FLOPs forward", "FLOPs backward", "saved, hand", "saved, auto")
        rows = [head, *([m.module, *(f"{n:,}" for n in m[1:])] for m in [*self.modules, total])]
        hand, auto = self.temporary_hand, self.temporary_auto
        ratio = f", {hand / auto:.3f} of it" if auto else ""
        notes = [f"no backward rule, and not counted: {', '.join(self.without_rule)}"] if self.without_rule else []
        notes += [f"borrowed from JAX: {', '.join(self.borrowed)}"] if self.borrowed else []
        notes += [f"jax.grad cannot differentiate it either: {self.auto_fails}"] if self.auto_fails else []
        return "\n".join([*aligned(rows), *notes, f"compiled value and gradient, temporary bytes: hand {hand:,}, auto {auto:,}{ratio}"])


def cost(f: Callable, *args, argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs) -> Cost:
    """FLOPs, saved bytes and temporary bytes of the gradient of `f`, by the written rules and by automatic differentiation.

    Args:
        f: a scalar loss, any that `bpjax.grad` takes.
        args, kwargs: its arguments (arrays; nothing is computed with them, but two programs are compiled).
        argnums: those that hold the parameters; has_aux: whether `f` returns `(value, aux)`.

    A FLOP is one addition or multiplication (2 m n k for a product of matrices), or one elementwise function; the body of a `while`
    counts once. Saved bytes stand at the module that made the value; parameters, arguments and constants are there anyway, and not counted.
    Temporary bytes are XLA's, for this backend.

    >>> import jax.numpy as jnp, bpjax
    >>> costs = bpjax.cost(lambda p, x: jnp.sum(jnp.tanh(x @ p["fc"]["w"])), {"fc": {"w": jnp.ones((4, 2))}}, jnp.ones((3, 4)))
    >>> [(m.module, m.parameters, m.saved_hand) for m in costs.modules]
    [('fc', 8, 24)]
    """
    numbers = engine.chosen_arguments(engine.argument_numbers(f, argnums), args)
    traced = _Traced(f, args, kwargs, numbers, has_aux)
    unruled = Unruled()

    def temporary(differentiate):
        return jax.jit(differentiate(traced.scalar)).lower(traced.parameters).compile().memory_analysis().temp_size_in_bytes

    with engine.lent() as borrowed:
        with hooked(unruled):
            hand = temporary(engine.value_and_grad)
        modules = traced.modules_costs()
    auto, auto_fails = 0, traced.auto_fails
    try:
        auto = 0 if auto_fails else temporary(jax.value_and_grad)
    except (ValueError, NotImplementedError) as error:
        auto_fails = _first_line(error)
    return Cost(modules, hand, auto, tuple(unruled.met), auto_fails, tuple(dict.fromkeys(borrowed)))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def module_costs(f, args, kwargs, argnums=0, has_aux=False) -> list[ModuleCost]:
    """The modules' part of `cost`: nothing is compiled."""
    return _Traced(f, args, kwargs, engine.chosen_arguments(engine.argument_numbers(f, argnums), args), has_aux).modules_costs()


def saved_bytes(f, args, kwargs, argnums, has_aux) -> dict[str, tuple[int, int]]:
    """For each module the bytes of its values that are kept for the backward: by hand, and automatically."""
    traced = _Traced(f, args, kwargs, engine.chosen_arguments(engine.argument_numbers(f, argnums), args), has_aux)
    hand, auto = traced.saved_by_hand(), traced.saved_automatically()
    return {module: (hand.get(module, 0), auto.get(module, 0)) for module in traced.modules.order}


class _Traced:
    """A loss as a program in its parameters, and the homes of its values."""

    def __init__(self, f, args, kwargs, numbers, has_aux):
        chosen = [args[n] for n in numbers]
        flat, self.tree = jax.tree_util.tree_flatten_with_path(chosen)
        self.names = [leaf_name(path, numbers) for path, _ in flat]
        for name, (_, x) in zip(self.names, flat):
            if not jaxprs.is_inexact(x):
                kind = jnp.result_type(x) if jaxprs.is_arraylike(x) else type(x).__name__
                raise TypeError(f"cost: {name} is {kind}, and no gradient is taken of it: choose other arguments by argnums=")
        self.parameters = [jnp.asarray(x) for _, x in flat]
        self.owners = owners([path for path, _ in flat], numbers)

        def scalar(leaves):
            full = list(args)
            for n, arg in zip(numbers, jax.tree.unflatten(self.tree, leaves)):
                full[n] = arg
            out = f(*full, **kwargs)
            return engine.value_and_aux_of(out)[0] if has_aux else out

        self.scalar = scalar
        self.program, self.consts = tracing.traced(lambda *leaves: jax.tree.leaves(scalar(leaves)), *self.parameters)
        if len(self.program.outvars) != 1 or self.program.outvars[0].aval.shape:
            shapes = [v.aval.shape for v in self.program.outvars]
            raise TypeError(f"cost: expected a scalar loss, but the function returned {shapes}: reduce it by .sum() or .mean()")
        self.program = inlined(self.program)
        self.modules = self._modules(self.program)

    def _modules(self, prog: Program) -> Modules:
        of = prog.invars[len(prog.invars) - len(self.owners) :]
        return Modules(prog, {v: owner for v, owner in zip(of, self.owners) if owner is not None})

    def modules_costs(self) -> list[ModuleCost]:
        """One for each module, and one for what stands before any, where that costs something."""
        forward, backward = self.forward_flops(), self.backward_flops()
        hand, auto = self.saved_by_hand(), self.saved_automatically()
        sizes: dict[str, int] = {}
        for name, leaf in zip(self.names, self.parameters):
            sizes[owner_of(name)] = sizes.get(owner_of(name), 0) + leaf.size
        rows = [
            ModuleCost(m, sizes.get(m, 0), *(part.get(m, 0) for part in (forward, backward, hand, auto)))
            for m in dict.fromkeys([*self.modules.order, *filter(None, self.owners), OUTSIDE])
        ]
        return [row for row in rows if row.module != OUTSIDE or any(row[1:])]

    def _active(self) -> list[bool]:
        return [False] * len(self.consts) + [True] * len(self.parameters)

    def saved_by_hand(self) -> dict[str, int]:
        """Bytes on the tape, by the module that made them."""
        return self._kept(lambda *leaves: run(self.program, [*self.consts, *leaves], self._active())[1])

    def saved_automatically(self) -> dict[str, int]:
        """Bytes of JAX's residuals, by the module that made them; none where JAX has no derivative of a part."""
        self.auto_fails = ""
        try:
            return self._kept(lambda *leaves: jax.vjp(lambda *inner: self.scalar(inner), *leaves)[1])
        except (ValueError, NotImplementedError) as error:
            self.auto_fails = _first_line(error)
            return {}

    def _kept(self, forward: Callable) -> dict[str, int]:
        """Of a function from parameters to a pytree that a backward pass needs: bytes by module, each array once."""
        traced, _ = tracing.traced(lambda *leaves: jax.tree.leaves(forward(*leaves)), *self.parameters)
        traced = inlined(traced)
        modules = self._modules(traced)
        kept = {v for v in traced.outvars if not isinstance(v, Literal) and v not in traced.invars and modules.values[v].kind != "neutral"}
        sums: dict[str, int] = {}
        for v in kept:
            home = modules.values[v].home or OUTSIDE
            sums[home] = sums.get(home, 0) + v.aval.size * v.aval.dtype.itemsize
        return sums

    def forward_flops(self) -> dict[str, int]:
        """Operations of the plain formulas, by module."""
        sums: dict[str, int] = {}

        def add(prog: Program, times: int):
            for eqn in prog.eqns:
                if any(v in self.modules.regions for v in eqn.outvars):
                    for inner in jaxprs.inner_programs(eqn):
                        add(inner, times * _repeats(eqn))
                else:
                    home = self.modules.home(eqn) or OUTSIDE
                    sums[home] = sums.get(home, 0) + times * flops(eqn)

        add(self.program, 1)
        return sums

    def backward_flops(self) -> dict[str, int]:
        """Operations of the written backward passes, by the module of the equation that each belongs to."""
        marks: list[str] = []

        def back(*leaves):
            with hooked(_Marking(self.modules, marks), Unruled()):
                outputs, tape = run(self.program, [*self.consts, *leaves], self._active())
                return [d for d in sweep(tape, [jnp.ones(jnp.shape(o), jnp.result_type(o)) for o in outputs]) if d is not None]

        traced, _ = jaxprs.trace(back, *self.parameters)
        sums: dict[str, int] = {}

        def add(prog: Program, times: int, outer: str):
            for eqn in prog.eqns:
                scope = f"{outer}/{eqn.source_info.name_stack}"
                if inner := jaxprs.inner_programs(eqn):
                    if eqn.primitive.name == "cond":
                        inner = [max(inner, key=lambda branch: sum(map(flops, branch.eqns)))]
                    for part in inner:
                        add(part, times * _repeats(eqn), scope)
                elif _MARK in scope:
                    home = marks[int(scope.rsplit(_MARK, 1)[1].split("/")[0].rstrip(")"))]
                    sums[home] = sums.get(home, 0) + times * flops(eqn)

        traced = inlined(traced)
        add(jaxprs.dce(traced), 1, "")  # what nobody asked for, such as dL/d(data), XLA drops too
        return sums


_MARK = "bpjax.cost."


class _Marking(Hook):
    """Traces each rule's backward under a scope of its own; `marks` holds the module of each."""

    def __init__(self, modules: Modules, marks: list[str]):
        self.modules, self.marks = modules, marks

    def replace(self, eqn, rule: Rule) -> Rule:
        if rule.is_inlined:
            return rule
        value = self.modules.values.get(eqn.outvars[0])
        self.marks.append(value.home if value and value.home else OUTSIDE)
        return _Marked(rule, f"{_MARK}{len(self.marks) - 1}")


class _Marked(Wrapped):
    """A rule whose backward is traced under a scope of its own."""

    def __init__(self, rule: Rule, mark: str):
        super().__init__(rule)
        self.mark = mark

    def backward(self, record, dys):
        with jax.named_scope(self.mark):
            dxs = self.rule.backward(record, dys)
            return [dx() if on and callable(dx) and not hasattr(dx, "dtype") else dx for dx, on in zip(dxs, record.active)]


def _repeats(eqn) -> int:
    return jaxprs.scan_parts(eqn).length if eqn.primitive.name == "scan" else 1


def flops(eqn) -> int:
    """Additions, multiplications and elementwise functions of one equation and of those inside it."""
    name, params = eqn.primitive.name, eqn.params
    if name == "dot_general":
        (contract, _), _ = params["dimension_numbers"]
        return 2 * eqn.outvars[0].aval.size * math.prod(eqn.invars[0].aval.shape[i] for i in contract)
    if name == "conv_general_dilated":
        kernel, dims = eqn.invars[1].aval.shape, params["dimension_numbers"]
        return 2 * eqn.outvars[0].aval.size * math.prod(kernel) // kernel[dims.rhs_spec[0]]
    inner = list(jaxprs.inner_jaxprs(eqn))
    if name == "cond":
        return max(sum(map(flops, jaxprs.open_jaxpr(j).eqns)) for j in inner)
    if inner:
        return _repeats(eqn) * sum(flops(e) for j in inner for e in jaxprs.open_jaxpr(j).eqns)
    if name in _FREE or not eqn.outvars:
        return 0
    of = eqn.invars if name.startswith(("reduce_", "arg", "cum")) else eqn.outvars
    return max((math.prod(v.aval.shape) for v in of), default=0)
