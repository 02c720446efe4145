"""Mistakes planted in the backward of every op and every primitive: the check catches each and blames the right rule.

One function of a case calls it once for each kind of mistake, under that kind's name as module path; one replay must blame every
call whose gradient the mistake changes, no call without one, and no other rule.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import op_cases
import primitive_cases
import pytest
from jax import lax
from jax.extend import source_info_util
from verdict import on_device

import bpjax
import bpjax.functional as F
from bpjax.check import blame
from bpjax.check.blame import wrong_rules
from bpjax.check.oracles import cotangents
from bpjax.check.report import cause
from bpjax.check.traced import Traced
from bpjax.engine import RULES, Hook, Op, Rule, Wrapped, hooked, op_of
from bpjax.engine.rule import PrimitiveRule

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    """Equation by equation: one large program for each case would take most of the time."""
    monkeypatch.setattr(blame, "jit", lambda f: f)


def first(change):
    """A mistake in the first cotangent that it applies to: `change` returns None where it does not."""

    def plant(dxs):
        for i, dx in enumerate(dxs):
            wrong = None if dx is None else change(dx)
            if wrong is not None:
                return [*dxs[:i], wrong, *dxs[i + 1 :]]
        return dxs

    return plant


def swapped(dxs):
    for i, j in itertools.combinations(range(len(dxs)), 2):
        if dxs[i] is not None and dxs[j] is not None and dxs[i].shape == dxs[j].shape:
            dxs = list(dxs)
            dxs[i], dxs[j] = dxs[j], dxs[i]
            return dxs
    return dxs


IN_COTANGENTS = {
    "scaled": first(lambda dx: dx * 1.001),
    "sign": first(lambda dx: -dx),
    "zeroed": first(jnp.zeros_like),
    "missing_mean": first(lambda dx: dx * dx.shape[0] if dx.ndim and dx.shape[0] > 1 else None),
    "transposed": first(lambda dx: dx.swapaxes(-1, -2) if dx.ndim > 1 and dx.shape[-1] == dx.shape[-2] > 1 else None),
    "swapped": swapped,
}
KINDS = (*IN_COTANGENTS, "stale")  # stale: what was saved, except the inputs themselves, belongs to another batch


class Planted(Rule):
    """A rule that errs where it is called under the name of a mistake."""

    def __init__(self, rule):
        self.rule, self.name, self.source = rule, rule.name, rule.source

    def active_outputs(self, eqn, active):
        return self.rule.active_outputs(eqn, active)

    def residuals(self, eqn, values, outputs, active, saved):
        return self.rule.residuals(eqn, values, outputs, active, saved)

    def forward(self, eqn, values, active):
        outputs, saved = self.rule.forward(eqn, values, active)
        if str(source_info_util.current_name_stack()).split("/")[0] == "stale":
            others = [jnp.flip(v) if on else v for v, on in zip(values, active)]
            inputs = {id(v) for v in values}
            other = jax.tree.leaves(self.rule.forward(eqn, others, active)[1])
            leaves, tree = jax.tree.flatten(saved)
            saved = jax.tree.unflatten(tree, [now if id(now) in inputs else then for now, then in zip(leaves, other)])
        return outputs, saved

    def backward(self, record, dys):
        dxs = [d if on else None for d, on in zip(self.rule.backward(record, dys), record.active)]
        dxs = [d() if callable(d) and not hasattr(d, "dtype") else d for d in dxs]
        return IN_COTANGENTS.get(record.path.split(".")[0], list)(dxs)


class Planting(Hook):
    """Plants in the calls of ops."""

    def replace(self, eqn, rule):
        return Planted(rule) if op_of(rule) else rule


def under(kind, f):
    def named(*args):
        with jax.named_scope(kind):
            return f(*args)

    return named


def kinds_that_show(f, args):
    """The mistakes that change the gradient, and whether the call without one is right."""
    y, back = jax.vjp(f, *args)
    u = jax.tree.map(lambda y: jax.device_put(np.random.default_rng(5).standard_normal(y.shape).astype(y.dtype)), y)
    auto, hands = back(u), {kind: bpjax.vjp(under(kind, f), *args)[1](u) for kind in ("right", *KINDS)}
    size = np.sqrt(sum(np.sum(np.square(a)) for a in auto))
    off = {kind: max(np.linalg.norm(h - a) for h, a in zip(hand, auto)) / size for kind, hand in hands.items()}
    assert off.pop("right") < 1e-9
    return {kind for kind, o in off.items() if not o < 1e-7}


def no_rounding(f, *args):
    """What is planted stands clear of rounding."""
    return jax.tree.map(lambda a: np.zeros(a.shape), jax.eval_shape(f, *args))


def check(f, args, name, record_property):
    expected = kinds_that_show(f, args)
    record_property("planted", len(expected))

    def every(*args):
        return jax.tree.leaves([under(kind, f)(*args) for kind in ("right", *KINDS)])

    judged = Traced(every, args).widened()
    u = cotangents(0, judged.outputs)
    blames = wrong_rules(judged.program, judged.inputs, len(args), u, 0, 1e-10, cause, no_rounding)
    blamed = {b.path.split(".")[0] for b in blames if b.rule == name}
    record_property("caught", len(expected & blamed))
    assert expected <= blamed and "right" not in blamed  # two mistakes of one case may cancel, and are blamed all the same
    assert {b.rule for b in blames} == {name}
    return expected, blamed


OPS = [c for c in op_cases.CASES if c.first and isinstance(getattr(F, c.op), Op)]


@pytest.mark.parametrize("case", OPS, ids=[c.op for c in OPS])
def test_in_an_op(case, record_property):
    with hooked(Planting()):
        shown, _ = check(case.f, on_device(case.args), case.op, record_property)
    assert {"scaled", "sign", "zeroed"} <= shown


PRIMITIVES = {}
for primitive, _, f, args, _ in primitive_cases.CASES:
    if isinstance(RULES.get(primitive), PrimitiveRule):
        PRIMITIVES.setdefault(primitive, (f, args))


CASTS = {"convert_element_type", "reduce_precision"}  # identities where a program is judged in float64


@pytest.mark.parametrize("primitive", sorted(PRIMITIVES.keys() - CASTS))
def test_in_a_primitive(primitive, monkeypatch, record_property):
    f, args = PRIMITIVES[primitive]
    monkeypatch.setitem(RULES, primitive, Planted(RULES[primitive]))
    _, blamed = check(f, on_device(args), primitive, record_property)
    assert {"scaled", "sign", "zeroed"} <= blamed


@pytest.mark.parametrize("factor", [-2.0, 0.0, 1.5])
@pytest.mark.parametrize("primitive", sorted(CASTS))
def test_in_a_cast(primitive, factor, monkeypatch):
    """Seen by the gradient in the types given."""

    class Wrong(Wrapped):
        def backward(self, record, dys):
            return [factor * dx for dx in super().backward(record, dys)]

    def f(x):
        x = lax.reduce_precision(x, 5, 10) if primitive == "reduce_precision" else x.astype(jnp.bfloat16)
        return jnp.sum(jnp.sin(x.astype(jnp.float32)) * 2)

    x = jnp.arange(1.0, 4.0, dtype=jnp.float32)
    bpjax.check_gradients(f, x).assert_ok()
    monkeypatch.setitem(RULES, primitive, Wrong(RULES[primitive]))
    report = bpjax.check_gradients(f, x)
    assert not report.ok and "the hand gradient is off" in report.findings[0]


BROADCAST = [c for c in OPS if any(np.ndim(a) < np.ndim(c.args[0]) for a in c.args)]


@pytest.mark.parametrize("case", BROADCAST, ids=[c.op for c in BROADCAST])
def test_a_broadcast_that_an_op_does_not_sum(case, monkeypatch):
    args = on_device(case.args)
    op = getattr(F, case.op)
    backward = op._backward

    def unsummed(saved, dy):
        y = jax.tree.leaves(dy)[0]
        return jax.tree.map(lambda dx: dx if dx.ndim >= y.ndim else jnp.zeros(y.shape), backward(saved, dy))

    monkeypatch.setattr(op, "_backward", unsummed)
    report = bpjax.check_gradients(case.f, *args, argnums=tuple(range(len(args))))
    assert not report.ok and case.op in str(report) and "broadcast that was not reduced?" in str(report)


def test_a_broadcast_that_a_primitive_does_not_sum(monkeypatch):
    monkeypatch.setitem(RULES, "add", PrimitiveRule("add", lambda eq, dy: (dy, dy), ""))
    report = bpjax.check_gradients(lambda x, s: jnp.sum(x + s), jnp.ones(3), 2.0, argnums=(0, 1))
    assert not report.ok and "add" in str(report) and "broadcast that was not reduced?" in str(report)
