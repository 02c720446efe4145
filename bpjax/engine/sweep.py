"""Back-propagation: `run` goes forward through a program and keeps what the rules need, `sweep` walks back.

    outputs, tape = run(program, values, active)
    d_inputs = sweep(tape, d_outputs)

Everything else in the engine is a use of these two.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax

from ..program import jaxprs
from ..program.jaxprs import Literal, Program
from ..program.places import Place, place_of, standing_at
from ..program.straight import called, inside, straight
from .errors import NoRuleError, RuleError
from .hooks import borrow, hooks, instead, look
from .recompute import ElideResiduals, Rematerializer
from .saved import Static


class Rule:
    """How one kind of equation is run forward and swept back. Subclasses override what differs."""

    name = ""
    source = ""  # file:line of the rule, for blame
    may_return_none = True  # whether None may stand for a zero cotangent of an active input
    is_inlined = False  # whether it only stands for the equations inside
    symbolic_zeros = False  # whether None may stand for the cotangent of an active output to which none came
    recomputes = False  # whether `recompute` gives the outputs from what was saved
    by_kernel = False  # whether other platforms than a CPU have kernels for its backward, which read what was saved from memory

    def active_outputs(self, eqn, active: Sequence[bool]) -> Sequence[bool]:
        """Which outputs depend differentiably on the active inputs."""
        return [jaxprs.is_differentiable(v.aval) for v in eqn.outvars] if any(active) else [False] * len(eqn.outvars)

    def forward(self, eqn, values: Sequence[Any], active: Sequence[bool]) -> tuple[list, Any]:
        """The outputs, and a pytree of what the backward needs."""
        raise NotImplementedError

    def residuals(self, eqn, values: Sequence[Any], outputs: Sequence[Any], active: Sequence[bool], saved: Any) -> Any:
        """What the backward needs, when the outputs are known already."""
        return saved

    def recompute(self, record: "Record") -> list:
        """The outputs once more, made cheaply of what was saved, so that later equations need not keep them."""
        raise NotImplementedError

    def backward(self, record: "Record", dys: Sequence[Any]) -> Sequence[Any]:
        """From the cotangents of the outputs (None for outputs without one) those of the inputs (None for zero)."""
        raise NotImplementedError


class Wrapped(Rule):
    """A rule that does as another one does. Subclasses override what they add."""

    def __init__(self, rule: Rule):
        self.rule, self.name, self.source, self.symbolic_zeros = rule, rule.name, rule.source, rule.symbolic_zeros

    def active_outputs(self, eqn, active):
        return self.rule.active_outputs(eqn, active)

    def forward(self, eqn, values, active):
        return self.rule.forward(eqn, values, active)

    def residuals(self, eqn, values, outputs, active, saved):
        return self.rule.residuals(eqn, values, outputs, active, saved)

    def backward(self, record, dys):
        return self.rule.backward(record, dys)


class Inlined(Rule):
    """A call that only stands for the equations inside it: `jit`, or what an op is without a written backward there."""

    is_inlined = True

    def __init__(self, name: str):
        self.name = name

    def active_outputs(self, eqn, active):
        return active_outputs(inside(eqn), active)

    def forward(self, eqn, values, active):
        return run(inside(eqn), values, active)

    def backward(self, record, dys):
        return sweep(record.saved, dys)


RULES: dict[str, Rule] = {}


def source_of(function: Callable) -> str:
    """`file:line` of a written rule; empty for a callable object that has none."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else ""


class Missing(Rule):
    """An equation for which nobody wrote a backward: JAX's own vjp of it alone is borrowed, or, where the user will have none, refused."""

    def __init__(self, name: str, advice: str = ""):
        self.name = name
        self.advice = advice or f'Write one with @bpjax.rule("{name}", needs=...), or wrap the code in a jax.custom_vjp.'

    def forward(self, eqn, values, active):
        return jaxprs.evaluate(eqn, values), list(values)

    def backward(self, record, dys):
        error = NoRuleError(f"no backward rule for primitive '{self.name}'{record.where()}. {self.advice}")
        if any(hook.refuses_missing for hook in hooks()):
            raise error
        on = [i for i, a in enumerate(record.active) if a]

        def equation(*chosen):
            values = list(record.saved)
            for i, value in zip(on, chosen):
                values[i] = value
            return jaxprs.evaluate(record.eqn, values)

        try:
            _, back = jax.vjp(equation, *(record.saved[i] for i in on))
            dxs = back([_dense(dy, v.aval) for dy, v in zip(dys, record.eqn.outvars)])
        except (TypeError, ValueError, NotImplementedError) as from_jax:  # JAX has none either
            raise error from from_jax
        borrow(f"'{self.name}'{record.where()}")
        found = iter(dxs)
        return [next(found) if a else None for a in record.active]


def _dense(dy, aval):
    return jaxprs.zeros(aval.to_tangent_aval()) if dy is None else dy


_INLINED_OP = Inlined("op")


def rule_of(eqn, active: Sequence[bool] | None = None) -> Rule:
    """The rule of an equation whose active inputs are these; left out, all that can be."""
    name = jaxprs.name_of(eqn)
    if name == "op":
        rule: Rule = eqn.params["call"] if called(eqn, active) is None else _INLINED_OP
    else:
        rule = RULES.get(name) or Missing(name)
    if not rule.is_inlined and any(jaxprs.is_ref(v.aval) for v in eqn.invars):
        raise NoRuleError(
            f"no gradient flows through a mutable reference from outside the function, or inside a shard_map or a custom rule "
            f"('{name}'{place_of(eqn)}). Make it in the function by jax.new_ref, or write lax.stop_gradient of the value there."
        )
    for hook in hooks():
        rule = hook.replace(eqn, rule)
    return rule


class Record:
    """One differentiated equation: its rule, which inputs are active, and what its backward needs."""

    __slots__ = ("eqn", "rule", "active", "place", "saved")

    def __init__(self, eqn, rule: Rule, active: Sequence[bool], place: Place, saved: Any):
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
        fixed = [(r.eqn, r.rule, r.active, r.place) for r in records]
        self.skeleton = Static(program=program, fixed=fixed, active_outputs=active_outputs, run=run)


def _tape(skeleton: Static, saved) -> Tape:
    records = [Record(eqn, rule, active, place, kept) for (eqn, rule, active, place), kept in zip(skeleton.fixed, saved)]
    tape = Tape(skeleton.program, records, skeleton.active_outputs, skeleton.run)
    tape.skeleton = skeleton
    return tape


jax.tree_util.register_pytree_node(Tape, lambda t: ([r.saved for r in t.records], t.skeleton), _tape)


class PolicySaved:
    """Outputs of equations that a checkpoint policy keeps, in the order in which they are met."""

    def __init__(self, policy: Callable, given: Sequence[Any] | None = None):
        self.policy, self.given, self.kept = policy, None if given is None else iter(given), []

    def exchange(self, outputs: list) -> list:
        """Keep these outputs; or, when the run is repeated, give those kept in the first run for them."""
        if self.given is not None:
            return next(self.given)
        self.kept.append(outputs)
        return outputs


def run(program: Program, values: Sequence[Any], active: Sequence[bool] = (), policy: PolicySaved | None = None) -> tuple[list, Tape]:
    """Evaluate the program; record each equation that depends on an active input and that an output depends on."""
    env = dict(zip(program.invars, values))

    def read(atom):
        return jaxprs.literal(atom) if isinstance(atom, Literal) else env[atom]

    records: list[Record] = []
    elided = ElideResiduals(this := object())
    outvars, active_out, steps = _plan(program, active)
    for eqn, rule, actives in steps:
        inputs, place, saved = [read(v) for v in eqn.invars], place_of(eqn), None
        if rule is None:
            outputs = jaxprs.bind(eqn, inputs)
        else:
            with standing_at(eqn):
                outputs, saved = rule.forward(eqn, inputs, actives)
        if policy is not None and jaxprs.is_saved(policy.policy, eqn):
            outputs = policy.exchange(outputs)
            if rule is not None:
                saved = rule.residuals(eqn, inputs, outputs, actives, saved)
        if rule is not None:
            saved, is_enough = elided.without(saved)
            records.append(Record(eqn, rule, actives, place, saved))
            if rule.recomputes and is_enough:
                elided.offer(len(records) - 1, outputs)
        env.update(zip(eqn.outvars, outputs))
    return [read(v) for v in outvars], Tape(program._replace(outvars=outvars), records, active_out, this)


def _plan(program: Program, active: Sequence[bool]) -> tuple[Sequence[Any], list[bool], list[tuple]]:
    """The straight program: its outputs, which of them are active, and each equation with its rule (None: it is just run) and activity."""
    is_active = {v for v, a in zip(program.invars, active) if a}
    steps: list[tuple] = []

    def stands_for(eqn):
        actives = tuple([not isinstance(v, Literal) and v in is_active for v in eqn.invars])
        rule = None
        if any(actives):
            rule = rule_of(eqn, actives)
            if rule.is_inlined:
                return inside(eqn)
            out = rule.active_outputs(eqn, actives)
            rule = rule if any(out) else None
            is_active.update(v for v, a in zip(eqn.outvars, out) if a)
        steps.append((eqn, rule, actives))

    outvars = straight(jaxprs.dce(program), stands_for).outvars
    return outvars, [not isinstance(v, Literal) and v in is_active for v in outvars], steps


def sweep(tape: Tape, cotangents: Sequence[Any]) -> list:
    """The cotangents of the program's inputs from those of its outputs; None stands for zero, in and out, and so does an empty array."""
    ct: dict[Any, Any] = {}

    def add(var, d):
        if d is not None and 0 not in d.shape:
            d = jaxprs.typed(d, var.aval)
            ct[var] = lax.add(ct[var], d) if var in ct else d

    for var, d, is_active in zip(tape.program.outvars, cotangents, tape.active_outputs):
        if is_active:
            add(var, d)
    rematerializer = Rematerializer(tape.run, tape.records)
    for number, record in reversed(list(enumerate(tape.records))):
        eqn = record.eqn
        dys = [ct.pop(v, None) for v in eqn.outvars]
        if all(dy is None for dy in dys):
            if hooks():
                look(record, _completed(record, dys), None)
            continue
        dys = _completed(record, dys)
        record = rematerializer.whole(record, dys)
        with standing_at(eqn):
            try:
                dxs = checked(record, record.rule.backward(record, dys))
            except NoRuleError as error:
                dxs = instead(record, error)
            look(record, dys, dxs)
        rematerializer.forget(number)
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
            out = rule_of(eqn, actives).active_outputs(eqn, actives)
            is_active.update(v for v, a in zip(eqn.outvars, out) if a)
    return [not isinstance(v, Literal) and v in is_active for v in program.outvars]


def _completed(record: Record, dys: Sequence[Any]) -> list:
    """Zeros for the active outputs without a cotangent, None for the others."""
    if record.rule.symbolic_zeros:
        return list(dys)
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
            aval = dx if isinstance(dx, jax.Array) else jax.typeof(dx)
            expected, got = (var.aval.shape, var.aval.dtype), (aval.shape, aval.dtype)
            if expected[0] != got[0]:
                fail(f"returned shape {got[0]} for input {i}; expected {expected[0]}, the input's own shape.")
            if expected[1] != got[1]:
                fail(f"returned dtype {got[1]} for input {i}; expected {expected[1]}, the input's own dtype.")
        out.append(dx)
    return out
