"""rules= and at=: what is replaced, and what a misspelt name says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bpjax
import bpjax.functional as F
from bpjax import nn

key = jax.random.key(0)
data = jax.random.normal(key, (5, 4))


class Net(nn.Module):
    def __init__(self):
        self.encoder = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6))
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(F.relu(self.encoder(x)))


model = Net()
params = model.init(key)


def loss(params, x=data):
    return jnp.sum(model.apply(params, x) ** 2)


def double(eq, *dys):
    return [None if d is None else 2 * d for d in eq.original(*dys)]


def ratios(gradient):
    return {name: float((g["bias"] / e["bias"])[0]) for (name, g), e in zip(flat(gradient), [e for _, e in flat(bpjax.grad(loss)(params))])}


def flat(tree, path=""):
    if "bias" in tree:
        return [(path, tree)]
    return [pair for name, inner in tree.items() for pair in flat(inner, f"{path}.{name}".strip("."))]


def test_a_rule_of_an_op_by_itself_and_by_name():
    for key in (F.relu, "relu"):
        found = ratios(bpjax.grad(loss, rules={key: double})(params))
        assert found == pytest.approx({"encoder.0": 2, "encoder.2": 2, "head": 1}, rel=1e-5)


def test_a_rule_of_a_primitive_and_of_a_function_under_jit():
    @jax.jit
    def cube(x):
        return x * x * x

    assert bpjax.grad(lambda x: jnp.tanh(x), rules={"tanh": lambda eq, dy: 3 * dy})(0.5) == 3
    assert bpjax.grad(lambda x: cube(x), rules={"cube": lambda eq, dy: eq.x[0] * dy})(0.5) == 0.5
    assert bpjax.grad(lambda x: cube(x) * x, rules={"cube": double})(1.0) == 7


def test_a_rule_sees_inputs_and_outputs():
    def backward(eq, dy):
        np.testing.assert_allclose(eq.y[0], jnp.tanh(eq.x[0]), rtol=1e-6)
        return dy * (1 - eq.y[0] ** 2)

    gradient = bpjax.grad(lambda x: jnp.tanh(x).sum(), rules={"tanh": backward})(data)
    np.testing.assert_allclose(gradient, bpjax.grad(lambda x: jnp.tanh(x).sum())(data), rtol=1e-6)


@pytest.mark.parametrize(
    "wrapped",
    [jax.jit, jax.checkpoint, lambda f: lambda x: jax.lax.scan(lambda c, _: (f(c), None), x, length=1)[0], lambda f: jax.vmap(f)],
    ids=["jit", "checkpoint", "scan", "vmap"],
)
def test_a_replaced_rule_reaches_into(wrapped):
    inner = wrapped(jnp.tanh)
    gradient = jax.jit(bpjax.grad(lambda x: inner(x).sum(), rules={"tanh": lambda eq, dy: 5 * dy}))(data)
    np.testing.assert_allclose(gradient, 5 * jnp.ones_like(data))


def test_vjp_keeps_its_rules_for_the_way_back():
    value, back = bpjax.vjp(lambda x: jax.checkpoint(jnp.tanh)(x), data, rules={"tanh": lambda eq, dy: 5 * dy})
    np.testing.assert_allclose(back(jnp.ones_like(data))[0], 5 * jnp.ones_like(data))


def test_a_delta_at_a_module_by_path_and_by_pattern():
    assert ratios(bpjax.grad(loss, at={"encoder.2": lambda d: 3 * d})(params)) == pytest.approx(
        {"encoder.0": 3, "encoder.2": 3, "head": 1}, rel=1e-5
    )
    # "encoder.0", "encoder.1" (the tanh) and "encoder.2"
    assert ratios(bpjax.grad(loss, at={"encoder.*": lambda d: 2 * d})(params)) == pytest.approx(
        {"encoder.0": 8, "encoder.2": 2, "head": 1}, rel=1e-5
    )


def test_backprop_reports_the_delta_as_it_arrives():
    before, after = bpjax.backprop(loss)(params), bpjax.backprop(loss, at={"head": lambda d: 0 * d})(params)
    np.testing.assert_allclose(after.deltas["head"], before.deltas["head"])
    assert not jnp.any(after.deltas["encoder.2"])


def test_value_and_grad_leaves_the_value_alone():
    value, _ = bpjax.value_and_grad(loss, rules={"relu": double}, at={"head": lambda d: 0 * d})(params)
    np.testing.assert_allclose(value, loss(params), rtol=1e-6)


MISTAKES = {
    "a misspelt rule": ({"rules": {"rleu": double}}, ValueError, "no equation .* is 'rleu'. Near it: relu"),
    "an op that is not there": ({"rules": {F.softplus: double}}, ValueError, "'softplus'.* There are: .*linear"),
    "a misspelt place": ({"at": {"encodr.2": abs}}, ValueError, "no place is named 'encodr.2'. Near it: encoder.2"),
    "a key of another kind": ({"rules": {3: double}}, TypeError, "an op such as F.relu"),
    "an op as a place": ({"at": {F.relu: double}}, TypeError, "a place's name"),
    "no function": ({"rules": {"relu": 2.0}}, TypeError, "'?relu'? must map to a function, got float"),
    "a delta of another shape": ({"at": {"head": lambda d: d[0]}}, bpjax.RuleError, r"at 'head'.*returned shape \(2,\).*expected \(5, 2\)"),
    "a cotangent of another shape": ({"rules": {"relu": lambda eq, dy: dy[0]}}, bpjax.RuleError, "the backward of relu"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_error_of(name):
    options, kind, words = MISTAKES[name]
    with pytest.raises(kind, match=words):
        bpjax.grad(loss, **options)(params)


def test_an_op_under_vmap_is_refused_by_op_and_taken_by_name():
    f = lambda x: jax.vmap(F.relu)(x).sum()
    with pytest.raises(ValueError, match="stands under vmap"):
        bpjax.grad(f, rules={F.relu: lambda eq, dy: dy})(data)
    assert jnp.all(bpjax.grad(f, rules={"relu": lambda eq, dy: dy})(data) == 1)


def test_original_does_not_meet_the_replacement_again():
    tanh = jax.jit(jnp.tanh)
    f = jax.jit(lambda x: tanh(x))
    f.__wrapped__.__name__ = "tanh"
    assert bpjax.grad(f, rules={"tanh": lambda eq, dy: eq.original(2 * dy)})(0.0) == 2


def test_original_of_what_has_no_gradient_is_zero():
    assert bpjax.grad(jnp.round, rules={"round": lambda eq, dy: eq.original(dy)})(0.7) == 0


def test_original_of_an_unused_argument_is_zero():
    @jax.jit
    def first(a, b):
        return a * 2.0

    assert bpjax.grad(lambda a: first(a, a), rules={"first": lambda eq, dy: eq.original(dy)})(1.0) == 2


@pytest.mark.parametrize("wrapped", [lambda f: f, jax.checkpoint, jax.jit], ids=["bare", "checkpoint", "jit"])
def test_equations_are_numbered_in_forward_order_everywhere(wrapped):
    met = []

    def backward(eq, dy):
        met.append(eq.number)
        return dy

    block = wrapped(lambda x: jnp.tanh(jnp.tanh(x)))
    _, back = bpjax.vjp(lambda x: jnp.tanh(block(block(x))), 0.5, rules={"tanh": backward})
    back(jnp.ones(())), back(jnp.ones(()))
    assert met == 2 * [4, 3, 2, 1, 0]


def test_an_op_under_vmap_has_the_name_of_the_op():
    W = jnp.ones((3, 4))
    F.linear(data, W, jnp.ones(3))  # another form of the call, which has another name under jit
    f = lambda x: jax.vmap(lambda row: F.linear(row, W))(x).sum()
    assert not jnp.any(bpjax.grad(f, rules={"linear": lambda eq, dy: eq.original(0 * dy)})(data))


def test_calls_leave_nothing_behind():
    before = bpjax.grad(loss)(params)
    bpjax.grad(loss, rules={"relu": double}, at={"head": lambda d: 0 * d})(params)
    jax.tree.map(np.testing.assert_array_equal, before, bpjax.grad(loss)(params))
