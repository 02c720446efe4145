"""The check passes right rules, catches planted mistakes, says the cause, and blames the right rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import bpjax


def affine_op(backward):
    """A square affine layer whose backward is to be planted with a mistake."""

    @bpjax.op
    def planted(x, weight, bias):
        return x @ weight.T + bias

    planted.def_forward(lambda x, weight, bias: (x @ weight.T + bias, {"x": x, "weight": weight}))
    planted.def_backward(backward)
    return planted


def right(saved, dy):
    return dy @ saved["weight"], dy.T @ saved["x"], dy.sum(0)


def scaled(saved, dy):
    dx, dW, db = right(saved, dy)
    return dx, 1.001 * dW, db


def sign(saved, dy):
    dx, dW, db = right(saved, dy)
    return -dx, dW, db


def dropped(saved, dy):
    dx, dW, db = right(saved, dy)
    return dx, dW, jnp.zeros_like(db)


def missing_mean(saved, dy):
    dx, dW, db = right(saved, dy)
    return dx, dW, db * dy.shape[0]


def transposed(saved, dy):
    dx, dW, db = right(saved, dy)
    return dx, dW.T, db


def unsummed(saved, dy):
    dx, dW, _ = right(saved, dy)
    return dx, dW, dy


def swapped(saved, dy):
    dx, dW, db = right(saved, dy)
    return dW, dx, db


MISTAKES = {
    "scaled by 1.001": (scaled, "1.001 x auto"),
    "sign flipped": (sign, "a sign"),
    "one cotangent zeroed": (dropped, "dropped"),
    "a missing 1/N": (missing_mean, "a missing factor 1/3"),
    "transposed": (transposed, "a layout"),
    "a broadcast not summed": (unsummed, "broadcast that was not reduced"),
    "swapped": (swapped, "argument 0"),
}

rng = np.random.default_rng(0)
x, target = (rng.normal(size=(3, 3)).astype(np.float32) for _ in range(2))
params = {
    name: {"weight": rng.normal(size=(3, 3)).astype(np.float32), "bias": rng.normal(size=3).astype(np.float32)}
    for name in ("first", "second")
}


def network(op, at="second"):
    def loss(params, x):
        h = jnp.tanh(x @ params["first"]["weight"].T + params["first"]["bias"])
        with jax.named_scope(at):
            y = op(h, params["second"]["weight"], params["second"]["bias"])
        return jnp.mean((y - target) ** 2)

    return loss


def test_right_rules_pass_with_all_three_oracles():
    report = bpjax.check_gradients(network(affine_op(right)), params, x).assert_ok()
    assert [leaf.path for leaf in report.leaves] == ["first.bias", "first.weight", "second.bias", "second.weight"]
    assert all(leaf.jvp_error < 1e-12 for leaf in report.leaves)
    assert all(np.isnan(leaf.order) or leaf.order > 1.8 for leaf in report.leaves)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_caught_and_blamed(mistake):
    backward, says = MISTAKES[mistake]
    report = bpjax.check_gradients(network(affine_op(backward)), params, x)
    assert not report.ok
    text = str(report)
    assert says in text
    assert "planted" in str(report.blame[0]) and "second" in str(report.blame[0]) and "test_check.py" in str(report.blame[0])
    with pytest.raises(AssertionError, match="planted"):
        report.assert_ok()


def test_a_mistake_is_found_below_a_last_layer_that_is_zero():
    op = affine_op(sign)

    def loss(x, w):
        return jnp.sum(op(x, w, jnp.zeros(3)) @ jnp.zeros((3, 3)))

    report = bpjax.check_gradients(loss, x, x)
    assert all(leaf.ok for leaf in report.leaves) and not report.ok
    assert report.blame[0].rule == "planted"


def test_a_mistake_inside_a_scan_is_blamed_with_its_step():
    op = affine_op(transposed)

    def loss(w):
        h, _ = lax.scan(lambda h, a: (jnp.tanh(op(h, w, a)), None), w, w)
        return jnp.sum(h**2)

    report = bpjax.check_gradients(loss, x)
    assert not report.ok and report.blame[0].rule == "planted" and report.blame[0].step == 2


def test_a_wrong_forward_is_a_finding():
    @bpjax.op
    def half(x):
        return x / 2

    half.def_forward(lambda x: (x / 2 + 1e-3, {}))
    half.def_backward(lambda saved, dy: (dy / 2,))
    report = bpjax.check_gradients(lambda x: jnp.sum(half(x)), x)
    assert not report.ok and "forward" in report.findings[0]
    assert report.blame[0].rule == "half" and "the forward's value" in str(report.blame[0])


def test_a_wrong_primitive_rule_is_blamed(monkeypatch):
    from bpjax.engine import RULES
    from bpjax.engine.rule import PrimitiveRule

    monkeypatch.setitem(RULES, "tanh", PrimitiveRule("tanh", lambda eq, dy: dy * (1 - eq.y[0]), "y"))
    report = bpjax.check_gradients(network(affine_op(right)), params, x)
    assert not report.ok and report.blame[0].rule == "tanh"


def test_a_wrong_scan_rule_is_blamed_and_not_its_body(monkeypatch):
    from bpjax.engine import RULES
    from bpjax.engine.control import _Scan

    class Wrong(_Scan):
        def backward(self, record, dys):
            return [None if d is None else 2 * d for d in super().backward(record, dys)]

    monkeypatch.setitem(RULES, "scan", Wrong())
    report = bpjax.check_gradients(lambda x: jnp.sum(lax.scan(lambda c, a: (jnp.sin(c * a), None), x[0], x)[0]), x)
    assert not report.ok and report.blame[0].rule == "scan"


def test_a_wrong_op_that_is_vmapped_is_blamed():
    op = affine_op(sign)
    report = bpjax.check_gradients(lambda xs: jnp.sum(jax.vmap(lambda a: op(a, x, x[0]))(xs)), np.stack([x, x]))
    assert not report.ok and report.blame[0].rule == "planted"


def test_an_op_whose_unmapped_argument_is_differentiated_is_said_to_go_through_its_formula():
    op = affine_op(sign)
    report = bpjax.check_gradients(lambda a: jnp.sum(jax.vmap(lambda b: op(a, x, b))(x)), x)
    assert report.ok and "written backward of planted was not used" in str(report)


def test_a_function_that_holds_a_custom_vjp_is_held_against_the_jvp_of_its_plain_function():
    right_rule = bpjax.as_custom_vjp(lambda x: jnp.sum(jnp.sin(x)))
    report = bpjax.check_gradients(right_rule, x).assert_ok()
    assert "jax.jvp of the plain functions" in report.head and report.leaves[0].order > 1.8


def test_a_custom_vjp_that_breaks_its_contract_is_a_finding():
    @jax.custom_vjp
    def double(x):
        return 2.0 * x

    double.defvjp(lambda x: (2.0 * x, None), lambda _, dy: (2.0 * dy.sum(),))
    report = bpjax.check_custom_vjp(double, jnp.ones(3))
    assert not report.ok and report.findings


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bpjax.check_gradients(lambda x: None, x), "no floating array"),
        (lambda: bpjax.check_gradients(lambda x: jnp.argmax(x), x), "no floating array"),
        (lambda: bpjax.check_gradients(lambda x: (x.sum(), "aux"), x), "has_aux=True"),
        (lambda: bpjax.check_gradients(lambda x: x.sum(), x, has_aux=True), "must return a pair"),
        (lambda: bpjax.check_gradients(lambda x: x.sum(), x, argnums=1), "argnums=1"),
        (lambda: bpjax.check_gradients(lambda i: i.sum(), np.arange(3)), "choose others by argnums"),
        (lambda: bpjax.check_custom_vjp(jnp.sin, x), "takes a jax.custom_vjp"),
    ],
    ids=["nothing returned", "integers returned", "aux forgotten", "no aux", "argnums", "an integer argument", "no custom_vjp"],
)
def test_misuse(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_argnums_of_numpy():
    assert bpjax.check_gradients(lambda a, b: jnp.sum(jnp.sin(b) * a), x, x, argnums=np.int64(1)).ok


def test_a_number_returned_is_a_constant():
    assert bpjax.check_gradients(lambda x: 1.0, x).ok


def test_a_kink_is_called_a_kink():
    report = bpjax.check_gradients(lambda x: jnp.sum(jnp.abs(x)), np.zeros(3))
    assert report.ok and report.leaves[0].order == -1


def test_both_derivatives_wrong_is_seen_by_finite_differences():
    @jax.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, dy: (3 * x * dy,))
    report = bpjax.check_custom_vjp(square, jnp.arange(1.0, 4.0))
    assert not report.ok and "1.5 x auto" in str(report)


def test_bfloat16_arguments_are_judged_against_float64():
    bpjax.check_gradients(lambda w: jnp.sum(jnp.tanh(w @ w)), jnp.asarray(x, jnp.bfloat16)).assert_ok()


def test_data_closed_over_in_a_carry_does_not_keep_float64_out():
    report = bpjax.check_gradients(lambda w: jnp.sum(lax.scan(lambda h, a: (jnp.tanh(h * w + a), None), jnp.asarray(x), x)[0]), x)
    assert report.ok and "judged in float64" in report.head and report.leaves[0].error < 1e-12
