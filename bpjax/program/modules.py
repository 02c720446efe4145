"""To which module each value of a program belongs, whatever the framework: read off the parameters that enter it.

A module is a group of parameters that stand together in the differentiated arguments. A value belongs to the last module whose
parameters entered it: what is done with a module's output (an activation, a pooling) is counted with it, until the next one
takes over. Where values enter and leave it are its borders:

    ---> entry ---> [ parameters ] ---> output ---> activation, ... ---> exit ---> next module
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from . import jaxprs
from .jaxprs import Literal, Program, is_differentiable

DATA = ""  # where values stand that no module has touched


def key_name(key) -> str:
    """One step of a pytree path, as text."""
    return str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))))


def leaf_name(path, numbers: Sequence[int] = (0,)) -> str:
    """A leaf's path in the differentiated arguments, `"fc1.weight"`; with the argument's number where there are several."""
    first = f"argument {numbers[path[0].idx]}" if len(numbers) > 1 or len(path) == 1 else ""
    return ".".join(filter(None, [first, *map(key_name, path[1:])]))


def owner_of(name: str) -> str:
    """The module of a parameter: `"fc1"` of `"fc1.weight"` (and of Flax's `"fc1.kernel.value"`), `"w"` of a bare `"w"`."""
    parts = name.removesuffix(".value").split(".")
    return ".".join(parts[:-1]) or parts[0]


def owners(paths: Sequence[Any], numbers: Sequence[int]) -> list[str | None]:
    """The module of each differentiated leaf; None for a bare array beside containers of parameters, which is data."""
    has_containers = any(len(path) > 1 for path in paths)
    return [None if has_containers and len(path) == 1 else owner_of(leaf_name(path, numbers)) for path in paths]


class Border(NamedTuple):
    """A border of a module: `kind` is "entry", "output" or "exit"."""

    kind: str
    module: str


class _Value(NamedTuple):
    """`kind`: "neutral" (numbers, and scalars made of parameters alone), "parameter" (of those alone), "value"; and its home."""

    kind: str
    home: str


_MEETS = ("dot_general", "conv_general_dilated", "op", "jit", "pjit", "gather")  # what is given to these is data, even if it is constant

_NEUTRAL = _Value("neutral", DATA)
_DATA = _Value("value", DATA)


class Modules:
    """The home of every variable of an inlined program, and the modules in the order in which values meet them."""

    def __init__(self, prog: Program, owners: Mapping[Any, str]):
        """`owners`: for each input that is a parameter its module."""
        self.program = prog
        self.depths: dict[str, int] = {}
        self.values: dict[Any, _Value] = {v: _Value("parameter", owners[v]) if v in owners else _DATA for v in prog.invars}
        self.mixing: set[Any] = set()  # the outputs of equations in which parameters meet values
        self.regions: set[Any] = set()  # the outputs of equations that hold several modules
        self._visit(prog)

    @property
    def order(self) -> list[str]:
        """The modules in the order in which values meet them."""
        return list(self.depths)

    def home(self, eqn) -> str:
        """The module in which the equation stands."""
        return self.values[eqn.outvars[0]].home if eqn.outvars else DATA

    def is_inside(self, eqn) -> bool:
        """Whether parameters of the equation's module enter here or after it; False for what is done with the module's output."""
        return any(v in self._within for v in eqn.outvars)

    @functools.cached_property
    def _within(self) -> set:
        """Of a program without regions: the outputs of the equations inside their modules."""
        within: set = set()
        takes_more: set = set()
        for eqn in reversed(self.program.eqns):
            inside = any(v in takes_more or v in self.mixing or self.values[v].kind == "parameter" for v in eqn.outvars)
            if inside:
                within.update(eqn.outvars)
                home = _Value("value", self.home(eqn))
                takes_more.update(v for v in eqn.invars if not isinstance(v, Literal) and self.values[v] == home)
        return within

    def _of(self, atom) -> _Value:
        return _NEUTRAL if isinstance(atom, Literal) else self.values[atom]

    def _visit(self, prog: Program) -> None:
        for eqn in prog.eqns:
            inputs = [self._of(v) for v in eqn.invars]
            inner = jaxprs.inner_programs(eqn)
            if inner and len({i.home for i in inputs if i.kind == "parameter"}) > 1:
                self.regions.update(eqn.outvars)
                self.values.update(zip(eqn.outvars, self._enter(eqn, inner, inputs)))
                continue
            self.values.update((v, self._result(eqn, inputs, v)) for v in eqn.outvars)
            if inner:  # it holds one module, and counts as one equation of it
                self._enter(eqn, inner, inputs)

    def _result(self, eqn, inputs: Sequence[_Value], out) -> _Value:
        parameters = [i for i in inputs if i.kind == "parameter"]
        values = [i for i in inputs if i.kind == "value"]
        if not parameters:
            return max(values, key=self._depth) if values else _NEUTRAL
        home = parameters[-1].home
        if not values and not (eqn.primitive.name in _MEETS and any(v.aval.shape for v, i in zip(eqn.invars, inputs) if i == _NEUTRAL)):
            is_norm = not out.aval.shape and any(v.aval.shape for v in eqn.invars)  # a regulariser: no part of the network
            return _NEUTRAL if is_norm else _Value("parameter", home)
        self.depths.setdefault(home, len(self.depths))
        self.mixing.update(eqn.outvars)
        return _Value("value", home)

    def _depth(self, value: _Value) -> int:
        return self.depths.get(value.home, -1)

    def _enter(self, eqn, inner: Sequence[Program], inputs: Sequence[_Value]) -> list[_Value]:
        """Into a scan, a cond or a checkpoint; what its outputs are."""
        scan = jaxprs.scan_parts(eqn) if eqn.primitive.name == "scan" else None
        inputs = inputs[1:] if eqn.primitive.name == "cond" else inputs
        results: list[_Value] = []
        for prog in inner:
            self.values.update(zip(prog.invars, inputs))
            for _ in range(2 if scan else 1):  # the second time a scan's carry is what a step made of it
                self._visit(prog)
                results = [self._of(v) for v in prog.outvars]
                if scan:
                    self.values.update(zip(prog.invars[scan.consts : scan.consts + scan.carry], results))
        return results

    # ---- borders ----

    def with_outputs_named(self, name: Callable[[str], str | None]) -> Program:
        """The program with an equation that names each module's output, where `name(module)` is not None."""
        return self._marked(self.program, lambda border: name(border.module) if border.kind == "output" else None)

    def with_borders(self) -> tuple[Program, dict[str, Border]]:
        """The program with an equation that names each border, and what the names mean."""
        names: dict[str, Border] = {}

        def name(border: Border) -> str:
            names[label := f"bpjax.inspect/{len(names)}"] = border
            return label

        return self._marked(self.program, name), names

    def _marked(self, prog: Program, name: Callable[[Border], str | None]) -> Program:
        own = self._own_outputs(prog)
        inside = {v for e in prog.eqns for v in e.outvars}
        eqns: list = []
        now: dict[Any, Any] = {}  # by the name that it had: the variable that holds a value from here on
        entered: dict[tuple, Any] = {}

        def mark(atom, border):
            label = name(border)
            if label is None:
                return atom
            eqn, out = jaxprs.named(atom, label)
            eqns.append(eqn)
            return out

        def read(atom, consumer: str | None):
            if isinstance(atom, Literal):
                return atom
            value = self.values[atom]
            if consumer is None or value.kind != "value" or value.home == consumer or not is_differentiable(atom.aval):
                return now.get(atom, atom)
            if (atom, None) not in entered:
                source = now.get(atom, atom)
                is_exit = atom in inside and value.home != DATA
                entered[atom, None] = mark(source, Border("exit", value.home)) if is_exit else source
            if consumer in self.depths and (atom, consumer) not in entered:
                entered[atom, consumer] = mark(entered[atom, None], Border("entry", consumer))
            return entered.get((atom, consumer), entered[atom, None])

        for eqn in prog.eqns:
            is_region = any(v in self.regions for v in eqn.outvars)
            consumer = "(several)" if is_region else self.home(eqn)
            new = jaxprs.renamed(eqn, [read(v, consumer) for v in eqn.invars], eqn.outvars)
            if is_region:
                new = jaxprs.with_inner(new, [self._marked(p, name) for p in jaxprs.inner_programs(eqn)])
            marked = [v for v in eqn.outvars if v in own]
            fresh = {v: jaxprs.variable(v.aval) for v in marked}
            eqns.append(jaxprs.renamed(new, new.invars, [fresh.get(v, v) for v in eqn.outvars]))
            now.update((v, mark(fresh[v], Border("output", self.values[v].home))) for v in marked)
        return Program(prog.invars, eqns, [read(v, None) for v in prog.outvars])

    def own_outputs(self) -> list:
        """Of a program without regions: each module's outputs, in the order of the forward pass."""
        own = self._own_outputs(self.program)
        return [v for eqn in self.program.eqns for v in eqn.outvars if v in own]

    def _own_outputs(self, prog: Program) -> set:
        """Where a module's parameters have all entered: no later equation on the way through it takes more of them."""
        takes_more: set = set()
        used = {v for v in prog.outvars if not isinstance(v, Literal)}
        own = set()
        for eqn in reversed(prog.eqns):
            home = self.home(eqn)
            more = any(v in takes_more for v in eqn.outvars)
            if any(v in self.mixing for v in eqn.outvars):
                own |= {v for v in eqn.outvars if v in used and v not in takes_more and is_differentiable(v.aval)}
                more = True
            for v in eqn.invars:
                if not isinstance(v, Literal):
                    used.add(v)
                    if more and self.values[v] == _Value("value", home):
                        takes_more.add(v)
        return own
