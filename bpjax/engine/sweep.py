"""Back-propagation: `run` goes forward through a program and keeps what the rules need, `sweep` walks back.

    outputs, tape = run(program, values, active)
    d_inputs = sweep(tape, d_outputs)

Everything else in the engine is a use of these two.
"""

import contextlib
import contextvars
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax

from . import jaxprs
from .again import Forgetting, Remembering
from .errors import NoRuleError, RuleError
from .jaxprs import Literal, Program


class Rule:
    """How one kind of equation is run forward and swept back. Subclasses override what differs."""

    name = ""
    source = ""  # file:line of the rule, for blame
    may_return_none = True  # whether None may stand for a zero cotangent of an active input
    is_inlined = False  # whether it only stands for the equations inside
    makes_again = False  # whether `again` gives the outputs from what was saved

    def resolve(self, eqn) -> "Rule":
        """The rule that really applies to this equation."""
        return self

    def active_outputs(self, eqn, active: Sequence[bool]) -> list[bool]:
        """Which outputs depend differentiably on the active inputs."""
        return [any(active) and jaxprs.is_differentiable(v.aval) for v in eqn.outvars]

    def forward(self, eqn, values: Sequence[Any], active: Sequence[bool], keep: "Keep | None" = None) -> tuple[list, Any]:
        """The outputs, and a pytree of what the backward needs."""
        raise NotImplementedError

    def remember(self, eqn, values: Sequence[Any], outputs: Sequence[Any], active: Sequence[bool], saved: Any) -> Any:
        """What the backward needs, when the outputs are known already."""
        return saved

    def again(self, record: "Record") -> list:
        """The outputs once more, made cheaply of what was saved, so that later equations need not keep them."""
        raise NotImplementedError

    def backward(self, record: "Record", dys: Sequence[Any], watch: "Watch | None") -> Sequence[Any]:
        """From the cotangents of the outputs (None for outputs without one) those of the inputs (None for zero)."""
        raise NotImplementedError


class Wrapped(Rule):
    """A rule that does as another one does. Subclasses override what they add."""

    def __init__(self, rule: Rule):
        self.rule, self.name, self.source = rule, rule.name, rule.source

    def active_outputs(self, eqn, active):
        return self.rule.active_outputs(eqn, active)

    def forward(self, eqn, values, active, keep=None):
        return self.rule.forward(eqn, values, active, keep)

    def remember(self, eqn, values, outputs, active, saved):
        return self.rule.remember(eqn, values, outputs, active, saved)

    def backward(self, record, dys, watch):
        return self.rule.backward(record, dys, watch)


RULES: dict[str, Rule] = {}


def source_of(function: Callable) -> str:
    """`file:line` of a written rule; empty for a callable object that has none."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else ""


class _Refusal(Rule):
    """An equation that can be run, but not differentiated: refused when a cotangent reaches it."""

    def __init__(self, name: str):
        self.name = name

    def forward(self, eqn, values, active, keep=None):
        return jaxprs.bind(eqn, values), ()

    def backward(self, record, dys, watch):
        what = f"primitive '{self.name}'"
        advice = f'Write one with @bpjax.rule("{self.name}", needs=...), or wrap the code in a jax.custom_vjp.'
        if _is_complex(record.eqn):
            what = f"'{self.name}' of complex numbers"
            advice = "Complex numbers have no hand-written rules; wrap this part in a jax.custom_vjp."
        elif self.name == "while":
            advice = "Use lax.scan with a fixed number of steps (lax.fori_loop with static bounds becomes one), or lax.stop_gradient."
        raise NoRuleError(f"no backward rule for {what}{record.where()}. {advice}")


_substitute: contextvars.ContextVar[Callable | None] = contextvars.ContextVar("substitute", default=None)


@contextlib.contextmanager
def substituted_rules(substitute: Callable[[Any, Rule], Rule] | None):
    """Inside, every equation's rule is `substitute(eqn, rule)`; nested, the inner one is asked last. None: all are as written."""
    outer = _substitute.get()
    both = outer and substitute and (lambda eqn, rule: substitute(eqn, outer(eqn, rule)))
    token = _substitute.set(both or substitute)
    try:
        yield
    finally:
        _substitute.reset(token)


def _is_complex(eqn) -> bool:
    return any(jax.numpy.issubdtype(v.aval.dtype, jax.numpy.complexfloating) for v in (*eqn.invars, *eqn.outvars))


def rule_of(eqn) -> Rule:
    name = eqn.primitive.name
    rule = RULES[name].resolve(eqn) if name in RULES and not _is_complex(eqn) else _Refusal(name)
    if not rule.is_inlined and any(jaxprs.is_ref(v.aval) for v in eqn.invars):
        raise NoRuleError(
            f"no gradient flows through a mutable reference ('{name}'{jaxprs.place_of(eqn)}). "
            "Keep the value in a scan's carry instead of a jax.new_ref, or write lax.stop_gradient of it there."
        )
    substitute = _substitute.get()
    return rule if substitute is None else substitute(eqn, rule)


class Record:
    """One differentiated equation: its rule, which inputs are active, and what its backward needs."""

    __slots__ = ("eqn", "rule", "active", "place", "saved")

    def __init__(self, eqn, rule: Rule, active: Sequence[bool], place: jaxprs.Place, saved: Any):
        self.eqn, self.rule, self.active, self.place, self.saved = eqn, rule, tuple(active), place, saved

    def with_saved(self, saved: Any) -> "Record":
        """The same record of something else saved."""
        return Record(self.eqn, self.rule, self.active, self.place, saved)

    @property
    def path(self) -> str:
        """The path of the module in which the equation stands."""
        return self.place.path

    def where(self) -> str:
        """` in module "encoder.fc1" (model.py:12)`, as far as it is known."""
        return str(self.place)


class Tape:
    """The records of a run. A pytree: the saved arrays are its leaves, all else is its static skeleton."""

    def __init__(self, program: Program, records: Sequence[Record], active_outputs: Sequence[bool], run: object):
        self.program, self.records, self.active_outputs, self.run = program, list(records), list(active_outputs), run


class _Skeleton:
    """A tape without its arrays; equal only to itself."""

    def __init__(self, tape: Tape):
        self.program, self.active_outputs, self.run = tape.program, tape.active_outputs, tape.run
        self.records = [(r.eqn, r.rule, r.active, r.place) for r in tape.records]


def _rebuild(skeleton: _Skeleton, saved) -> Tape:
    records = [Record(*fixed, kept) for fixed, kept in zip(skeleton.records, saved)]
    return Tape(skeleton.program, records, skeleton.active_outputs, skeleton.run)


jax.tree_util.register_pytree_node(Tape, lambda t: ([r.saved for r in t.records], _Skeleton(t)), _rebuild)


class Watch:
    """Looks on during a sweep: `observe(record, dys, dxs)` may return a pytree of arrays to keep, in `found`.

    Inside a scan what is found is stacked over the steps. Where no cotangent arrives dys are zero and dxs is None.
    """

    def __init__(self, observe: Callable):
        self.observe = observe
        self.found: list[tuple[Record, Any]] = []

    def look(self, record: "Record", dys: Sequence[Any], dxs: Sequence[Any] | None) -> None:
        seen = self.observe(record, dys, dxs)
        if seen is not None:
            self.found.append((record, seen))

    def inner(self) -> "Watch":
        return Watch(self.observe)


class Keep:
    """Outputs of equations that a checkpoint policy keeps, in the order in which they are met."""

    def __init__(self, policy: Callable, given: Sequence[Any] | None = None):
        self.policy, self.given, self.kept = policy, None if given is None else iter(given), []

    def exchange(self, outputs: list) -> list:
        """Keep these outputs; or, when the run is repeated, give those kept in the first run for them."""
        if self.given is not None:
            return next(self.given)
        self.kept.append(outputs)
        return outputs


def run(program: Program, values: Sequence[Any], active: Sequence[bool] = (), keep: Keep | None = None) -> tuple[list, Tape]:
    """Evaluate the program; record each equation that depends on an active input and that an output depends on."""
    env = dict(zip(program.invars, values))
    is_active = dict(zip(program.invars, active))

    def read(atom):
        return jaxprs.literal(atom) if isinstance(atom, Literal) else env[atom]

    def activity(atom):
        return not isinstance(atom, Literal) and is_active.get(atom, False)

    records: list[Record] = []
    forgetting = Forgetting(this := object())
    for eqn in live(program):
        inputs, actives = [read(v) for v in eqn.invars], [activity(v) for v in eqn.invars]
        rule = rule_of(eqn) if any(actives) else None
        out_active = rule.active_outputs(eqn, actives) if rule else []
        is_recorded = any(out_active)
        if is_recorded:
            place = jaxprs.place_of(eqn)
            with jaxprs.at_source_of(eqn):
                outputs, saved = rule.forward(eqn, inputs, actives, keep)
        else:
            outputs = jaxprs.bind(eqn, inputs)
        if keep is not None and jaxprs.is_saved(keep.policy, eqn):
            outputs = keep.exchange(outputs)
            if is_recorded:
                saved = rule.remember(eqn, inputs, outputs, actives, saved)
        if is_recorded:
            saved, is_enough = forgetting.without(saved)
            records.append(Record(eqn, rule, actives, place, saved))
            if rule.makes_again and is_enough:
                forgetting.offer(len(records) - 1, outputs)
        env.update(zip(eqn.outvars, outputs))
        is_active.update(zip(eqn.outvars, out_active))
    return [read(v) for v in program.outvars], Tape(program, records, [activity(v) for v in program.outvars], this)


def sweep(tape: Tape, cotangents: Sequence[Any], watch: Watch | None = None) -> list:
    """The cotangents of the program's inputs from those of its outputs; None stands for zero, in and out."""
    ct: dict[Any, Any] = {}

    def add(var, d):
        if d is not None:
            ct[var] = lax.add(ct[var], d) if var in ct else d

    for var, d, is_active in zip(tape.program.outvars, cotangents, tape.active_outputs):
        if is_active:
            add(var, d)
    remembering = Remembering(tape.run, tape.records)
    for number, record in reversed(list(enumerate(tape.records))):
        eqn = record.eqn
        dys = [ct.pop(v, None) for v in eqn.outvars]
        if all(dy is None for dy in dys):
            if watch is not None:
                watch.look(record, _completed(record, dys), None)
            continue
        dys = _completed(record, dys)
        dxs = _pull_back(remembering.whole(record, dys), dys, watch)
        remembering.forget(number)
        for var, dx, is_active in zip(eqn.invars, dxs, record.active):
            if is_active:
                add(var, dx)
    return [ct.get(v) for v in tape.program.invars]


def active_outputs(program: Program, active: Sequence[bool]) -> list[bool]:
    """Which outputs depend differentiably on the active inputs, without running anything."""
    is_active = {v for v, a in zip(program.invars, active) if a}
    for eqn in program.eqns:
        actives = [not isinstance(v, Literal) and v in is_active for v in eqn.invars]
        if any(actives):
            out = rule_of(eqn).active_outputs(eqn, actives)
            is_active.update(v for v, a in zip(eqn.outvars, out) if a)
    return [not isinstance(v, Literal) and v in is_active for v in program.outvars]


def live(program: Program) -> list:
    """The equations that an output depends on, or that have an effect."""
    used = {v for v in program.outvars if not isinstance(v, Literal)}
    live = []
    for eqn in reversed(program.eqns):
        if eqn.effects or any(v in used for v in eqn.outvars):
            live.append(eqn)
            used.update(v for v in eqn.invars if not isinstance(v, Literal))
    return live[::-1]


def _pull_back(record: Record, dys: Sequence[Any], watch: Watch | None) -> list:
    with jaxprs.at_source_of(record.eqn):
        dxs = checked(record, record.rule.backward(record, dys, watch))
        if watch is not None:
            watch.look(record, dys, dxs)
    return dxs


def _completed(record: Record, dys: Sequence[Any]) -> list:
    """Zeros for the active outputs without a cotangent, None for the others."""
    on = record.rule.active_outputs(record.eqn, record.active)
    return [None if not a else jaxprs.zeros(v.aval) if dy is None else dy for v, dy, a in zip(record.eqn.outvars, dys, on)]


def checked(record: Record, dxs) -> list:
    """The rule's answer, or a clear error where it is not one cotangent of the right type for each active input."""
    eqn, name = record.eqn, record.rule.name or record.eqn.primitive.name

    def fail(what):
        raise RuleError(
            f"the backward of {name}{record.where()} {what}" + (f" Its rule: {record.rule.source}" if record.rule.source else "")
        )

    if not isinstance(dxs, (tuple, list)):
        fail(f"returned {type(dxs).__name__}; expected a tuple with one cotangent for each of its {len(eqn.invars)} inputs.")
    if len(dxs) != len(eqn.invars):
        fail(f"returned {len(dxs)} cotangents; expected {len(eqn.invars)}, one for each input (None for one that has no gradient).")
    out = []
    for i, (var, dx, is_active) in enumerate(zip(eqn.invars, dxs, record.active)):
        if not is_active:
            out.append(None)
            continue
        dx = dx() if callable(dx) and not hasattr(dx, "dtype") else dx
        if dx is None:
            if not record.rule.may_return_none:
                fail(f"returned None for input {i}, a floating array that is differentiated; return zeros if its gradient is zero.")
        else:
            expected, got = (var.aval.shape, var.aval.dtype), (jax.numpy.shape(dx), jax.numpy.result_type(dx))
            if expected[0] != got[0]:
                fail(f"returned shape {got[0]} for input {i}; expected {expected[0]}, the input's own shape.")
            if expected[1] != got[1]:
                fail(f"returned dtype {got[1]} for input {i}; expected {expected[1]}, the input's own dtype.")
        out.append(dx)
    return out
