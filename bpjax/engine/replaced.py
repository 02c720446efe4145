"""Rules, and deltas at named places, replaced for one call: what `rules=` and `at=` of `bpjax.grad` mean."""

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..program import jaxprs
from ..program.jaxprs import Program
from ..program.modules import Modules
from ..program.places import place_of
from ..program.straight import inlined
from .hooks import Hook, unhooked
from .op import Op
from .rule import Equation
from .sweep import Record, Rule, Wrapped, checked, source_of
from .written import MappedCall, op_of


def replacements(rules: Mapping[Any, Callable] | None, at: Mapping[str, Callable] | None, missing: str = "borrow") -> tuple[Hook, ...]:
    """The hooks that these ask for, if they ask for anything."""
    if missing not in ("borrow", "error"):
        raise ValueError(f'missing= must be "borrow" or "error", got {missing!r}')
    return (*((Replacements(rules, at),) if rules or at else ()), *((Strict(),) if missing == "error" else ()))


class Strict(Hook):
    """Nothing is borrowed."""

    refuses_missing = True


class Replacements(Hook):
    """The user's `rules` and `at` for one call; which of them applied is known when the sweep is over."""

    def __init__(self, rules: Mapping[Any, Callable] | None, at: Mapping[str, Callable] | None):
        self.rules, self.at = dict(rules or {}), dict(at or {})
        for what, given in (("rules", self.rules), ("at", self.at)):
            for key, function in given.items():
                if not isinstance(key, str | Op if what == "rules" else str):
                    kinds = "an op such as F.relu, or a name" if what == "rules" else "a place's name or a pattern such as 'encoder.*'"
                    raise TypeError(f"{what}=: each key is {kinds}; got {key!r}")
                if not callable(function):
                    raise TypeError(f"{what}=: {_shown(key)} must map to a function, got {type(function).__name__}")
        self.numbers: dict[int, tuple[int, Any]] = {}  # of the equations whose rule is replaced, as the forward pass meets them
        self.applied_rules: set = set()
        self.applied_at: set = set()
        self.names_met: set[str] = set()
        self.places_met: set[str] = set()
        self.wants_names = bool(self.at)

    def replace(self, eqn, rule):
        if eqn.primitive.name == "name" and self.at:
            place = eqn.params["name"]
            self.places_met.add(place)
            functions = [self._take(pattern) for pattern in self.at if fnmatch.fnmatchcase(place, pattern)]
            return _Delta(rule, place, functions) if functions else rule
        if not self.rules:
            return rule
        op, name = op_of(rule), jaxprs.function_name(eqn)
        names = {eqn.primitive.name, name} - {""}
        self.names_met |= names
        if isinstance(rule, MappedCall) and any(key is op for key in self.rules):
            raise ValueError(
                f"rules=: F.{name}{place_of(eqn)} stands under vmap, where its arrays are not those that its rule is for. "
                f'Give the rule by name, rules={{"{name}": ...}}, and write it for what stands there.'
            )
        for key, backward in self.rules.items():
            if key is op or key in names:
                self.applied_rules.add(key)
                number, _ = self.numbers.setdefault(id(eqn), (len(self.numbers), eqn))
                return _Replaced(rule, _shown(key), backward, number)
        return rule

    def _take(self, pattern):
        self.applied_at.add(pattern)
        return self.at[pattern]

    def prepare(self, program: Program, owners: Mapping[Any, str]) -> Program:
        """Write the program out, each equation once, and name the outputs of modules that do not name them themselves."""
        self.names_met |= {name for eqn in jaxprs.every_equation_of(program) if (name := jaxprs.function_name(eqn))}
        program = inlined(program, self._is_replaced)
        if not self.at:
            return program
        named = {e.params["name"] for e in jaxprs.every_equation_of(program) if e.primitive.name == "name"}
        return Modules(program, owners).with_outputs_named(lambda module: None if module in named else module)

    def _is_replaced(self, eqn) -> bool:
        return jaxprs.function_name(eqn) in set(map(_shown, self.rules))

    def demand_all(self) -> None:
        """Raise where a rule or a place met nothing: a name that is misspelt should not pass in silence."""
        for key in self.rules:
            if key not in self.applied_rules:
                name = _shown(key)
                raise ValueError(f"rules=: no equation on the path of the gradient is {name!r}. {_near(name, self.names_met)}")
        for pattern in self.at:
            if pattern not in self.applied_at:
                raise ValueError(f"at=: no place is named {pattern!r}. {_near(pattern, self.places_met)}")


def _shown(key) -> str:
    return key.__name__ if isinstance(key, Op) else str(key)


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    if near:
        return f"Near it: {', '.join(near)}."
    return f"There are: {', '.join(sorted(known))}." if known else "There are none."


class ReplacedEquation(Equation):
    """What a replaced rule may look at: besides what every rule may, `number` and `original`.

    `number` counts the equations with a replaced rule in the order of the forward pass, from 0: the same in every trace.
    """

    __slots__ = ("number", "_record", "_rule")

    def __init__(self, record, rule: Rule, number: int, x, y):
        super().__init__(record, x, y)
        self._record, self._rule, self.number = record, rule, number

    def original(self, *dys, x: Sequence[Any] | None = None) -> list:
        """What the equation's own rule makes of these cotangents, at these inputs (left out: at its own); None for inactive inputs."""
        eqn, active, rule = self._record.eqn, self._record.active, self._rule
        dxs: list = [None] * len(eqn.invars)
        with unhooked():
            if any(rule.active_outputs(eqn, active)):
                _, saved = rule.forward(eqn, list(self.x if x is None else x), active)
                own = Record(eqn, rule, active, self._record.place, saved)
                dxs = checked(own, rule.backward(own, list(dys)))
        return [jaxprs.zeros(v.aval) if on and dx is None else dx for v, on, dx in zip(eqn.invars, active, dxs)]


class _Replaced(Rule):
    """An equation run as it is, with another backward. It keeps all inputs and outputs; XLA drops what the backward does not read.

    Its floating outputs are active even where those of the equation's own rule are not (round, sign).
    """

    may_return_none = False

    def __init__(self, rule: Rule, name: str, backward: Callable, number: int):
        self.rule, self.name, self._backward, self.number = rule, name, backward, number
        self.source = source_of(backward)

    def forward(self, eqn, values, active):
        outputs = jaxprs.evaluate(eqn, values)
        return outputs, (list(values), list(outputs))

    def residuals(self, eqn, values, outputs, active, saved):
        return list(values), list(outputs)

    def backward(self, record, dys):
        out = self._backward(ReplacedEquation(record, self.rule, self.number, *record.saved), *dys)
        if isinstance(out, tuple | list) or sum(record.active) != 1:
            return out
        return [out if on else None for on in record.active]


class _Delta(Wrapped):
    """A named place whose delta goes through the user's functions."""

    def __init__(self, rule: Rule, place: str, functions: Sequence[Callable]):
        super().__init__(rule)
        self.name, self.source, self.functions = f"at {place!r}", source_of(functions[0]), functions

    def backward(self, record, dys):
        (delta,) = dys
        for function in self.functions:
            delta = function(delta)
        return [delta]
