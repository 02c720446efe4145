"""Mistakes planted in the backward of every op and every primitive: the check catches each and blames the right rule.

One function of a case calls it once for each kind of mistake, under that kind's name as module path; one check must blame exactly
the calls whose gradient the mistake changes.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import op_cases
import primitive_cases
import pytest
from jax.extend import source_info_util

import bpjax
from bpjax.engine import RULES, Rule, control
from bpjax.engine.rule import PrimitiveRule

pytestmark = pytest.mark.usefixtures("x64")


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

# what cannot show in an op: no two cotangents of one shape, no square one, nothing saved but inputs, ...
CANNOT = {}


class Planted(Rule):
    """A rule that errs where it is called under the name of a mistake."""

    def __init__(self, rule):
        self.rule, self.name, self.source = rule, rule.name, rule.source

    def active_outputs(self, eqn, active):
        return self.rule.active_outputs(eqn, active)

    def remember(self, eqn, values, outputs, active, saved):
        return self.rule.remember(eqn, values, outputs, active, saved)

    def forward(self, eqn, values, active, keep=None):
        outputs, saved = self.rule.forward(eqn, values, active, keep)
        if str(source_info_util.current_name_stack()).split("/")[0] == "stale":
            others = [0.9 * v if on else v for v, on in zip(values, active)]
            inputs = {id(v) for v in values}
            other = jax.tree.leaves(self.rule.forward(eqn, others, active, keep)[1])
            leaves, tree = jax.tree.flatten(saved)
            saved = jax.tree.unflatten(tree, [now if id(now) in inputs else then for now, then in zip(leaves, other)])
        return outputs, saved

    def backward(self, record, dys, watch):
        dxs = [d() if callable(d) and not hasattr(d, "dtype") else d for d in self.rule.backward(record, dys, watch)]
        plant = IN_COTANGENTS.get(record.path.split(".")[0], lambda dxs: dxs)
        return plant([d if on else None for d, on in zip(dxs, record.active)])


def under(kind, f):
    def named(*args):
        with jax.named_scope(kind):
            return f(*args)

    return named


def kinds_that_show(f, args):
    """The mistakes that change the gradient, and whether the call without one is right."""
    u = jax.tree.map(lambda y: jax.random.normal(jax.random.key(5), y.shape, y.dtype), jax.eval_shape(f, *args))

    @jax.jit
    def program(args, u):
        hands = {kind: bpjax.vjp(under(kind, f), *args)[1](u) for kind in ("right", *KINDS)}
        return jax.vjp(f, *args)[1](u), hands

    auto, hands = program(args, u)
    size = np.sqrt(sum(np.sum(np.square(a)) for a in auto))
    off = {kind: max(np.linalg.norm(h - a) for h, a in zip(hand, auto)) / size for kind, hand in hands.items()}
    assert off.pop("right") < 1e-9
    return {kind for kind, o in off.items() if not o < 1e-7}


def check(f, args, name):
    expected = kinds_that_show(f, args)

    def every(*args):
        return [under(kind, f)(*args) for kind in ("right", *KINDS)]

    report = bpjax.check_gradients(every, *args, argnums=tuple(range(len(args))), numeric=False)
    assert not report.ok
    assert {(b.rule, b.path.split(".")[0]) for b in report.blame} == {(name, kind) for kind in expected}
    return expected


OPS = [c for c in op_cases.CASES if c.first]


@pytest.mark.parametrize("case", OPS, ids=[c.op for c in OPS])
def test_in_an_op(case, monkeypatch):
    recognised = control.recognised
    monkeypatch.setattr(control, "recognised", lambda eqn: (call := recognised(eqn)) and Planted(call))
    shown = check(case.f, tuple(map(jnp.asarray, case.args)), case.op)
    assert set(KINDS) - shown == set(CANNOT.get(case.op, "").split())


PRIMITIVES = {}
for primitive, _, f, args, _ in primitive_cases.CASES:
    if isinstance(RULES.get(primitive), PrimitiveRule):
        PRIMITIVES.setdefault(primitive, (f, args))


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_in_a_primitive(primitive, monkeypatch):
    f, args = PRIMITIVES[primitive]
    monkeypatch.setitem(RULES, primitive, Planted(RULES[primitive]))
    assert {"scaled", "sign", "zeroed"} <= check(f, tuple(map(jnp.asarray, args)), primitive)
