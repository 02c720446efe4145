"""Which rule is wrong: every differentiated equation replayed with the values and cotangents that it really saw."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..engine import Record, Rule, Watch, run, substituted_rules, sweep
from ..engine import jaxprs


class Blame(NamedTuple):
    """One rule that disagrees with `jax.vjp` of its own equation."""

    rule: str
    source: str
    path: str
    line: str
    argument: int
    step: int | None
    cause: str

    def __str__(self):
        at = f' at "{self.path}"' if self.path else ""
        step = f", scan step {self.step}" if self.step is not None else ""
        line = f", called at {self.line}" if self.line else ""
        return f"{self.rule} ({self.source}){at}{step}{line}: cotangent of argument {self.argument}: {self.cause}"


class _Replayed(Rule):
    """A rule that keeps all inputs, and on the way back compares itself with jax.vjp of its equation."""

    def __init__(self, rule: Rule, key):
        self.rule, self.key, self.name, self.source = rule, key, rule.name, rule.source

    def active_outputs(self, eqn, active):
        return self.rule.active_outputs(eqn, active)

    def remember(self, eqn, values, outputs, active, saved):
        return saved[0], self.rule.remember(eqn, values, outputs, active, saved[1])

    def forward(self, eqn, values, active, keep=None):
        outputs, saved = self.rule.forward(eqn, values, active, keep)
        return outputs, (list(values), saved)

    def backward(self, record, dys, watch):
        values, saved = record.saved
        inner = Record(record.eqn, self.rule, record.active, record.path, saved)
        dxs = _materialized(inner, self.rule.backward(inner, dys, watch))
        if watch is not None and record.eqn.primitive.name not in ("name",):
            watch.found.append((record, self._audit(inner, values, dys, dxs)))
        return dxs

    def _audit(self, inner: Record, values, dys, dxs) -> dict:
        """Hand and automatic cotangents of this equation, for the cotangents it saw and for random ones."""
        eqn = inner.eqn
        on = [i for i, a in enumerate(inner.active) if a]
        outs = [i for i, dy in enumerate(dys) if dy is not None]

        def plain(*chosen):
            full = list(values)
            for i, x in zip(on, chosen):
                full[i] = x
            out = jaxprs.bind(eqn, full)
            return [out[i] for i in outs]

        _, back = jax.vjp(plain, *(values[i] for i in on))
        keys = jax.random.split(self.key, len(outs))
        random = list(dys)
        for i, k in zip(outs, keys):
            random[i] = jax.random.normal(k, dys[i].shape, jnp.float32).astype(dys[i].dtype)
        hand = _materialized(inner, self.rule.backward(inner, random, None))
        return {
            "seen": ([dxs[i] for i in on], list(back([dys[i] for i in outs]))),
            "random": ([hand[i] for i in on], list(back([random[i] for i in outs]))),
            "scale": sum(jnp.sum(jnp.square(dys[i].astype(jnp.float32))) for i in outs),
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


def wrong_rules(plain, leaves: Sequence[Any], cotangents, key, tolerance: float, explain) -> list[Blame]:
    """The rules that disagree, from the end of the function. A rule inside a loop comes before the loop's own."""
    found: list[tuple[Record, Any]] = []

    def replay(leaves):
        def replayed(eqn, rule):
            inlined = eqn.primitive.name in ("jit", "pjit", "closed_call") and type(rule).__name__ == "_Inline"
            return rule if inlined or isinstance(rule, _Replayed) else _Replayed(rule, key)

        program, consts = jaxprs.trace(plain, *leaves)
        watch = Watch(lambda record, dys, dxs: None)
        with substituted_rules(replayed):
            outputs, tape = run(program, [*consts, *leaves], [False] * len(consts) + [True] * len(leaves))
            sweep(tape, cotangents(outputs), watch)
        found[:] = watch.found
        return [value for _, value in watch.found]

    audits = jax.jit(replay)(list(leaves))
    blames = []
    for (record, _), audit in zip(found, audits):
        on = [i for i, a in enumerate(record.active) if a]
        for kind in ("seen", "random"):
            worst = _first_wrong(*audit[kind], tolerance, record)
            if worst is not None:
                k, step, hand, auto = worst
                blames.append(
                    Blame(record.rule.name, record.rule.source, record.path, jaxprs.source_line(record.eqn), on[k], step, explain(hand, auto))
                )
                break
    return blames


def _first_wrong(hands, autos, tolerance, record):
    for k, (hand, auto, i) in enumerate(zip(hands, autos, [i for i, a in enumerate(record.active) if a])):
        hand, auto = np.asarray(hand, np.float64), np.asarray(auto, np.float64)
        aval = record.eqn.invars[i].aval
        extra = hand.ndim - len(aval.shape)
        eps = max(float(jnp.finfo(v.aval.dtype).eps) for v in [*record.eqn.invars, *record.eqn.outvars] if jaxprs.is_differentiable(v.aval))
        limit = max(tolerance, 64 * eps) if eps > 1e-10 else tolerance
        whole = np.sqrt(sum(np.sum(np.square(np.asarray(a, np.float64))) for a in autos))
        steps = range(int(np.prod(hand.shape[:extra]))) if extra else [None]
        flat_hand = hand.reshape((-1, *aval.shape)) if extra else [hand]
        flat_auto = auto.reshape((-1, *aval.shape)) if extra else [auto]
        for step in reversed(steps) if extra else steps:
            h, a = flat_hand[step or 0], flat_auto[step or 0]
            same_nan = np.isnan(h) & np.isnan(a)
            difference = np.where(same_nan | (h == a), 0.0, h - a)
            if not np.linalg.norm(difference) <= limit * np.linalg.norm(np.nan_to_num(a)) + 1e-3 * limit * np.nan_to_num(whole):
                return k, step, h, a
    return None
