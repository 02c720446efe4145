"""Which rule is wrong: every differentiated equation replayed with the values and cotangents that it really saw."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..engine import Record, Rule, Watch, jaxprs, run, substituted_rules, sweep, unrecognised
from .oracles import compiled, cotangents
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

    def __init__(self, rule: Rule, key):
        self.rule, self.key, self.name, self.source = rule, key, rule.name, rule.source

    def active_outputs(self, eqn, active):
        return self.rule.active_outputs(eqn, active)

    def remember(self, eqn, values, outputs, active, saved):
        return list(values), list(outputs), self.rule.remember(eqn, values, outputs, active, saved[2])

    def forward(self, eqn, values, active, keep=None):
        outputs, saved = self.rule.forward(eqn, values, active, keep)
        return outputs, (list(values), list(outputs), saved)

    def backward(self, record, dys, watch):
        values, outputs, saved = record.saved
        inner = Record(record.eqn, self.rule, record.active, record.place, saved)
        dxs = _materialized(inner, self.rule.backward(inner, dys, watch))
        if watch is not None:
            watch.found.append((record, self._audit(inner, values, outputs, dys, dxs)))
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
            out = jaxprs.bind(eqn, full)
            return [out[i] for i in outs]

        formula, back = jax.vjp(plain, *(values[i] for i in on))
        keys = jax.random.split(self.key, len(outs))
        random = list(dys)
        for i, k in zip(outs, keys):
            random[i] = jax.random.normal(k, dys[i].shape, jnp.float32).astype(dys[i].dtype)
        hand = _materialized(inner, self.rule.backward(inner, random, None))
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


def wrong_rules(plain, leaves: Sequence[Any], key, tolerance: float, explain) -> tuple[list[Blame], list[str]]:
    """The rules that disagree, from the end of the function; a rule inside a loop comes before the loop's own.

    And the ops whose written backward was not asked, since they stand there vmapped or differentiated.
    """
    through_formula: list[str] = []
    found: list[tuple[Record, Any]] = []

    def replay(leaves):
        def replayed(eqn, rule):
            if (name := unrecognised(eqn)) and name not in through_formula:
                through_formula.append(name)
            return rule if rule.is_inlined or isinstance(rule, _Replayed) else _Replayed(rule, key)

        program, consts = jaxprs.trace(plain, *leaves)
        watch = Watch(lambda record, dys, dxs: None)
        with substituted_rules(replayed):
            outputs, tape = run(program, [*consts, *leaves], [False] * len(consts) + [True] * len(leaves))
            sweep(tape, cotangents(key, outputs), watch)
        found[:] = watch.found
        return [value for _, value in watch.found]

    audits = compiled(replay)(list(leaves))
    blames = []
    for (record, _), audit in zip(found, audits):
        inputs = [(f"cotangent of argument {i}", v.aval) for i, (v, a) in enumerate(zip(record.eqn.invars, record.active)) if a]
        outputs = [
            ("the forward's value", v.aval) for v, a in zip(record.eqn.outvars, record.rule.active_outputs(record.eqn, record.active)) if a
        ]
        for kind, compared in (("value", outputs), ("seen", inputs), ("random", inputs)):
            worst = _first_wrong(*audit[kind], compared, tolerance, record)
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
