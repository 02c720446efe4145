"""Which rule is wrong: every differentiated equation replayed with the values and cotangents that it really saw."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import jit

from ..engine import Finding, Hook, Record, Rule, hooked, hooks, report, run, sweep, unhooked
from ..program import jaxprs
from ..program.straight import inside
from .oracles import random
from .report import OF_WHOLE, difference, in_64_bits
from .traced import evaluate


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
            out = evaluate(inside(eqn), full) if self.hook.is_plain(eqn) else jaxprs.evaluate(eqn, full)
            return [out[i] for i in outs]

        formula, back = jax.vjp(plain, *(values[i] for i in on))
        random = list(dys)
        for number, i in enumerate(outs):
            random[i] = self.hook.random(dys[i], number)
        with unhooked():
            hand = _materialized(inner, self.rule.backward(inner, random))
        seen = [dxs[i] for i in on], list(back([dys[i] for i in outs]))
        found = {"seen": seen, "random": ([hand[i] for i in on], list(back([random[i] for i in outs])))}
        if eqn.primitive.name in _OF_ONE_TRIANGLE:
            found = jax.tree.map(lambda d: d + jnp.conj(jnp.swapaxes(d, -1, -2)), found)
        value = [outputs[i] for i in outs], list(formula)
        return found | {"value": jax.tree.map(jnp.tril, value) if eqn.primitive.name == "cholesky" else value}


# They read one triangle of a Hermitian matrix; JAX's cotangent is that of the whole, ours of what is read: as one matrix they are the same.
_OF_ONE_TRIANGLE = ("cholesky", "eigh")


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
    `is_plain`: of which custom rules the plain function is differentiated.
    """

    def __init__(self, pool, is_plain: Callable[[Any], bool]):
        self.pool, self.is_plain = pool, is_plain

    def replace(self, eqn, rule):
        return rule if rule.is_inlined or isinstance(rule, _Replayed) else _Replayed(rule, self)

    def random(self, like, number: int):
        """An array of this type, for the output of this number."""
        return self.pool[number : number + like.size].reshape(like.shape).astype(like.dtype)


def _pool(program, seed: int):
    """Enough random numbers for any array of the program, and for a few different ones."""
    eqns = list(jaxprs.every_equation_of(program))
    size = max((math.prod(v.aval.shape) for e in eqns for v in e.outvars), default=1)
    return random(seed, [(size + max((len(e.outvars) for e in eqns), default=1),)])[0]


def wrong_rules(
    program: jaxprs.Program,
    inputs: Sequence[Any],
    n: int,
    u: Sequence[Any],
    seed: int,
    tolerance: float,
    explain: Callable,
    measure: Callable,
    is_plain: Callable[[Any], bool] = lambda eqn: False,
) -> list[Blame]:
    """The rules that disagree at the cotangents `u`, from the end of the function; a rule inside a loop comes before the loop's own.

    `n`: how many of the inputs are differentiated, the first ones.
    `measure`: gives what rounding may amount to in what a function returns.
    """
    findings: list[Finding] = []

    def replay(inputs, pool, u):
        hook = _Replay(pool, is_plain)
        with hooked(hook) as found:
            outputs, tape = run(program, inputs, [True] * n + [False] * (len(inputs) - n))
            sweep(tape, [c if on else None for c, on in zip(u, tape.active_outputs)])
        findings[:] = found
        return [finding.value for finding in found]

    arguments = list(inputs), _pool(program, seed), list(u)
    audits, noise = jit(replay)(*arguments), None
    blames = []
    for number, (finding, audit) in enumerate(zip(findings, audits)):
        record = finding.record
        arguments_of = [(f"cotangent of argument {i}", v.aval) for i, (v, a) in enumerate(zip(record.eqn.invars, record.active)) if a]
        outputs = [
            ("the forward's value", v.aval) for v, a in zip(record.eqn.outvars, record.rule.active_outputs(record.eqn, record.active)) if a
        ]
        for kind, compared in (("value", outputs), ("seen", arguments_of), ("random", arguments_of)):
            hands, autos = audit[kind]
            exact = [[0.0] * len(hands)] * 2
            if _first_wrong(hands, autos, exact, compared, tolerance, record) is None:
                continue
            noise = measure(replay, *arguments) if noise is None else noise
            worst = _first_wrong(hands, autos, noise[number][kind], compared, tolerance, record)
            if worst is not None:
                what, step, hand, auto = worst
                name, source = record.rule.name, record.rule.source
                if name.startswith("custom_"):
                    name, _, source = jaxprs.source_of_equation(record.eqn).partition(" at ")
                blames.append(Blame(name, source, record.path, record.place.line, what, step, explain(hand, auto)))
                break
    return blames


def _differ(hand, auto, limit, whole, noise) -> bool:
    """Whether they are further apart than `limit`, and than their measured rounding.

    Values such as a mask's -1e308 are judged one by one, not to hide the others.
    """
    off = difference(hand, auto)
    if not np.all(np.isfinite(off)):
        return True
    huge = np.abs(off) >= _HUGE
    return bool(np.any(np.abs(off[huge]) > limit * np.abs(auto[huge])) or _norm(off) > limit * (_norm(auto) + OF_WHOLE * whole) + noise)


def _norm(x) -> float:
    """The L2 norm of what can be squared."""
    return float(np.linalg.norm(x[np.abs(np.nan_to_num(x, nan=np.inf)) < _HUGE]))


_HUGE = 1e150


def _first_wrong(hands, autos, noise, compared, tolerance, record):
    for hand, auto, of_hand, of_auto, (what, aval) in zip(hands, autos, *noise, compared):
        hand, auto = in_64_bits(hand), in_64_bits(auto)
        extra = hand.ndim - len(aval.shape)
        eps = max(float(jnp.finfo(v.aval.dtype).eps) for v in [*record.eqn.invars, *record.eqn.outvars] if jaxprs.is_differentiable(v.aval))
        limit = max(tolerance, 64 * eps) if eps > 1e-10 else tolerance
        whole = _norm(np.concatenate([in_64_bits(a).ravel() for a in autos]))
        steps = range(int(np.prod(hand.shape[:extra]))) if extra else [None]
        flat_hand = hand.reshape((-1, *aval.shape)) if extra else [hand]
        flat_auto = auto.reshape((-1, *aval.shape)) if extra else [auto]
        rounding_off = _norm(np.asarray(of_hand)) + _norm(np.asarray(of_auto))
        for step in reversed(steps) if extra else steps:
            h, a = flat_hand[step or 0], flat_auto[step or 0]
            if _differ(h, a, limit, whole, rounding_off):
                return what, step, h, a
    return None
