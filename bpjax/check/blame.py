"""Which rule is wrong: every differentiated equation replayed with the values and cotangents that it really saw."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..engine import Finding, Hook, Record, Rule, hooked, hooks, report, run, sweep, unhooked
from ..program import jaxprs
from .oracles import compiled
from .report import OF_WHOLE, difference


class Blame(NamedTuple):
    """One rule that disagrees with `jax.vjp` of its own equation."""

    rule: str
    source: str
    path: str
    line: str
    what: str
    step: int | None
    cause: str

    def __str__(self):
        at = f' at "{self.path}"' if self.path else ""
        step = f", scan step {self.step}" if self.step is not None else ""
        line = f", called at {self.line}" if self.line else ""
        return f"{self.rule} ({self.source}){at}{step}{line}: {self.what}: {self.cause}"


class _Replayed(Rule):
    """A rule that keeps all inputs, and on the way back compares itself with jax.vjp of its equation."""

    def __init__(self, rule: Rule, hook: "_Replay"):
        self.rule, self.hook, self.name, self.source = rule, hook, rule.name, rule.source

    def active_outputs(self, eqn, active):
        return self.rule.active_outputs(eqn, active)

    def residuals(self, eqn, values, outputs, active, saved):
        return list(values), list(outputs), self.rule.residuals(eqn, values, outputs, active, saved[2])

    def forward(self, eqn, values, active):
        outputs, saved = self.rule.forward(eqn, values, active)
        return outputs, (list(values), list(outputs), saved)

    def backward(self, record, dys):
        values, outputs, saved = record.saved
        inner = Record(record.eqn, self.rule, record.active, record.place, saved)
        dxs = _materialized(inner, self.rule.backward(inner, dys))
        if self.hook in hooks():
            report([Finding(self.hook, record, self._audit(inner, values, outputs, dys, dxs))])
        return dxs

    def _audit(self, inner: Record, values, outputs, dys, dxs) -> dict:
        """By hand and automatically: the equation's value, and its cotangents for the ones it saw and for random ones."""
        eqn = inner.eqn
        on = [i for i, a in enumerate(inner.active) if a]
        outs = [i for i, dy in enumerate(dys) if dy is not None]

        def plain(*chosen):
            full = list(values)
            for i, x in zip(on, chosen):
                full[i] = x
            out = jaxprs.evaluate(eqn, full)
            return [out[i] for i in outs]

        formula, back = jax.vjp(plain, *(values[i] for i in on))
        random = list(dys)
        for number, i in enumerate(outs):
            random[i] = self.hook.random(dys[i], number)
        with unhooked():
            hand = _materialized(inner, self.rule.backward(inner, random))
        return {
            "seen": ([dxs[i] for i in on], list(back([dys[i] for i in outs]))),
            "random": ([hand[i] for i in on], list(back([random[i] for i in outs]))),
            "value": ([outputs[i] for i in outs], list(formula)),
        }


def _materialized(record: Record, dxs) -> list:
    out = []
    for v, dx, on in zip(record.eqn.invars, dxs, record.active):
        if not on:
            out.append(None)
            continue
        dx = dx() if callable(dx) and not hasattr(dx, "dtype") else dx
        out.append(jaxprs.zeros(v.aval) if dx is None else dx)
    return out


class _Replay(Hook):
    """Puts every rule beside `jax.vjp` of its own equation, at the cotangents it sees and at random ones out of `pool`.

    The pool was drawn outside: drawn in the compiled program, XLA may draw twice, in two fusions, with other rounding.
    `through_formula`: the ops whose written backward is not asked where they stand.
    """

    def __init__(self, pool, through_formula: list[str]):
        self.pool, self.through_formula = pool, through_formula

    def replace(self, eqn, rule):
        if rule.is_inlined:
            name = jaxprs.function_name(eqn)
            if eqn.primitive.name == "op" and eqn.params["call"].is_written([False]) and name not in self.through_formula:
                self.through_formula.append(name)
            return rule
        return rule if isinstance(rule, _Replayed) else _Replayed(rule, self)

    def random(self, like, number: int):
        """An array of this type, for the output of this number."""
        return self.pool[number : number + like.size].reshape(like.shape).astype(like.dtype)


def _pool(program, key):
    """Enough random numbers for any array of the program, and for a few different ones."""
    eqns = list(jaxprs.every_equation_of(program))
    size = max((math.prod(v.aval.shape) for e in eqns for v in e.outvars), default=1)
    return jax.random.normal(key, (size + max((len(e.outvars) for e in eqns), default=1),), jnp.float32)


def wrong_rules(plain, leaves: Sequence[Any], u: Sequence[Any], key, tolerance: float, explain) -> tuple[list[Blame], list[str]]:
    """The rules that disagree, from the end of the function, at the cotangents `u`; a rule inside a loop comes before the loop's own.

    And the ops whose written backward was not asked, since they stand there vmapped or differentiated.
    """
    findings: list[Finding] = []
    through_formula: list[str] = []

    def replay(leaves, pool, u):
        hook = _Replay(pool, through_formula)
        program, consts = jaxprs.trace(plain, *leaves)
        with hooked(hook) as found:
            outputs, tape = run(program, [*consts, *leaves], [False] * len(consts) + [True] * len(leaves))
            sweep(tape, u)
        findings[:] = found
        return [finding.value for finding in found]

    audits = compiled(replay)(list(leaves), _pool(jaxprs.trace(plain, *leaves)[0], key), list(u))
    blames = []
    for finding, audit in zip(findings, audits):
        record = finding.record
        inputs = [(f"cotangent of argument {i}", v.aval) for i, (v, a) in enumerate(zip(record.eqn.invars, record.active)) if a]
        outputs = [
            ("the forward's value", v.aval) for v, a in zip(record.eqn.outvars, record.rule.active_outputs(record.eqn, record.active)) if a
        ]
        for kind, compared in (("value", outputs), ("seen", inputs), ("random", inputs)):
            hands, autos = audit[kind]
            worst = _first_wrong(hands, autos, compared, tolerance, record)
            if worst is not None:
                what, step, hand, auto = worst
                blames.append(Blame(record.rule.name, record.rule.source, record.path, record.place.line, what, step, explain(hand, auto)))
                break
    return blames, through_formula


def _differ(hand, auto, limit, whole) -> bool:
    """Whether they are further apart than `limit`; values such as a mask's -1e308 are judged one by one, not to hide the others."""
    off = difference(hand, auto)
    if not np.all(np.isfinite(off)):
        return True
    huge = np.abs(off) >= _HUGE
    return bool(np.any(np.abs(off[huge]) > limit * np.abs(auto[huge])) or _norm(off) > limit * (_norm(auto) + OF_WHOLE * whole))


def _norm(x) -> float:
    """The L2 norm of what can be squared."""
    return float(np.linalg.norm(x[np.abs(np.nan_to_num(x, nan=np.inf)) < _HUGE]))


_HUGE = 1e150


def _first_wrong(hands, autos, compared, tolerance, record):
    for hand, auto, (what, aval) in zip(hands, autos, compared):
        hand, auto = np.asarray(hand, np.float64), np.asarray(auto, np.float64)
        extra = hand.ndim - len(aval.shape)
        eps = max(float(jnp.finfo(v.aval.dtype).eps) for v in [*record.eqn.invars, *record.eqn.outvars] if jaxprs.is_differentiable(v.aval))
        limit = max(tolerance, 64 * eps) if eps > 1e-10 else tolerance
        whole = _norm(np.concatenate([np.asarray(a, np.float64).ravel() for a in autos]))
        steps = range(int(np.prod(hand.shape[:extra]))) if extra else [None]
        flat_hand = hand.reshape((-1, *aval.shape)) if extra else [hand]
        flat_auto = auto.reshape((-1, *aval.shape)) if extra else [auto]
        for step in reversed(steps) if extra else steps:
            h, a = flat_hand[step or 0], flat_auto[step or 0]
            if _differ(h, a, limit, whole):
                return what, step, h, a
    return None
