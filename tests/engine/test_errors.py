"""Each error names what is wrong, where, and what to do."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import bpjax

x = jnp.arange(1.0, 4.0)


def broken(backward):
    @bpjax.op
    def broken_op(x, y):
        return x * y

    broken_op.def_forward(lambda x, y: (x * y, {"x": x, "y": y}))
    broken_op.def_backward(backward)
    return lambda x: jax.named_scope("encoder")(broken_op)(x, 2 * x).sum()


@pytest.mark.parametrize(
    "backward, message",
    [
        (lambda s, dy: (dy * s["y"],), "returned 1 cotangents; expected a tuple of 2, one for each of x, y"),
        (lambda s, dy: dy, "expected a tuple of 2"),
        (lambda s, dy: (dy.sum(), dy), r"returned shape \(\) for input 0; expected \(3,\)"),
        (lambda s, dy: (dy.astype(jnp.float16), dy), "returned dtype float16 for input 0; expected float32"),
        (lambda s, dy: (None, dy), "returned None for input 0"),
    ],
    ids=["too few", "no tuple", "wrong shape", "wrong dtype", "none for a float"],
)
def test_a_rule_that_breaks_its_contract(backward, message):
    with pytest.raises(bpjax.RuleError, match=message) as caught:
        bpjax.grad(broken(backward))(x)
    assert "broken_op" in str(caught.value) and '"encoder"' in str(caught.value) and "test_errors.py" in str(caught.value)


def test_while_on_the_path():
    with pytest.raises(bpjax.NoRuleError, match="'while'.*test_errors.py.*lax.scan"):
        bpjax.grad(lambda x: lax.while_loop(lambda c: c < 10, lambda c: c * 2, x))(1.0)


def test_a_primitive_without_a_rule():
    with pytest.raises(bpjax.NoRuleError, match="'cholesky'.*bpjax.rule"):
        bpjax.grad(lambda x: jnp.linalg.cholesky(jnp.diag(x)).sum())(x)


def test_complex_numbers_on_the_path():
    with pytest.raises(bpjax.NoRuleError, match="'abs' of complex numbers.*jax.custom_vjp"):
        bpjax.grad(lambda x: jnp.abs(jnp.fft.rfft(x)).sum())(x)


def test_a_loss_that_is_not_a_scalar():
    with pytest.raises(TypeError, match=r"scalar loss.*shape \(3,\).*bpjax.vjp"):
        bpjax.grad(lambda x: x * 2)(x)


def test_an_integer_argument():
    with pytest.raises(TypeError, match=r"argument 0\['a'\] is int32"):
        bpjax.grad(lambda p: p["a"].sum())({"a": jnp.arange(3)})


def test_a_python_branch():
    with pytest.raises(jax.errors.TracerBoolConversionError) as caught:
        bpjax.grad(lambda x: x if x > 0 else -x)(1.0)
    assert any("lax.cond" in note for note in caught.value.__notes__)


def test_argnums_out_of_range():
    with pytest.raises(ValueError, match="argnums=2"):
        bpjax.grad(lambda x: x, argnums=2)(1.0)
