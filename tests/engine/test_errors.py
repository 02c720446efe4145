"""Each error names what is wrong, where, and what to do."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, mlir

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
        (lambda s, dy: dy, r"returned float32\[3\]; expected a tuple of 2"),
        (lambda s, dy: s["z"], "raised KeyError: 'z'"),
        (lambda s, dy: (dy.sum(), dy), r"returned shape \(\) for input 0; expected \(3,\)"),
        (lambda s, dy: (dy.astype(jnp.float16), dy), "returned dtype float16 for input 0; expected float32"),
        (lambda s, dy: (None, dy), "returned None for input 0"),
    ],
    ids=["too few", "no tuple", "an error of its own", "wrong shape", "wrong dtype", "none for a float"],
)
def test_a_rule_that_breaks_its_contract(backward, message):
    with pytest.raises(bpjax.RuleError, match=message) as caught:
        bpjax.grad(broken(backward))(x)
    assert "broken_op" in str(caught.value) and '"encoder"' in str(caught.value) and "test_errors.py" in str(caught.value)


@pytest.mark.parametrize(
    "forward, message",
    [
        (lambda x: x, r"returned float32\[3\]; expected a pair"),
        (lambda x: None, "returned a NoneType; expected a pair"),
        (lambda x: (x.sum(), {}), r"returned the value float32\[\]; the formula returns float32\[3\]"),
        (lambda z: (z, {}), "raised TypeError: .*unexpected keyword argument 'x'"),
    ],
    ids=["no pair", "nothing", "another shape", "other names"],
)
def test_a_forward_that_breaks_its_contract(forward, message):
    @bpjax.op
    def broken_op(x):
        return x

    broken_op.def_forward(forward)
    broken_op.def_backward(lambda saved, dy: (dy,))
    with pytest.raises(bpjax.RuleError, match=message) as caught:
        bpjax.grad(lambda x: jax.named_scope("encoder")(broken_op)(x).sum())(x)
    assert "the forward of broken_op" in str(caught.value) and '"encoder"' in str(caught.value) and "test_errors.py" in str(caught.value)


@pytest.mark.parametrize(
    "needs, backward, message",
    [("x", lambda eq, dy: dy * eq.y[0], "reads y0, which needs="), ("q7", lambda eq, dy: dy, "got 'q7'")],
    ids=["what was not kept", "no such name"],
)
def test_needs_that_do_not_fit(needs, backward, message, monkeypatch):
    monkeypatch.setitem(bpjax.engine.RULES, "sinh", None)
    bpjax.rule("sinh", needs=needs)(backward)
    with pytest.raises(bpjax.RuleError, match=message):
        bpjax.grad(jnp.sinh)(1.0)


def test_while_on_the_path():
    with pytest.raises(bpjax.NoRuleError, match="'while'.*test_errors.py.*lax.scan"):
        bpjax.grad(lambda x: lax.while_loop(lambda c: c < 10, lambda c: c * 2, x))(1.0)


thrice_p = Primitive("thrice")  # as another library would bring it
thrice_p.def_impl(lambda x: 3 * x)
thrice_p.def_abstract_eval(lambda x: x)
mlir.register_lowering(thrice_p, mlir.lower_fun(lambda x: 3 * x, multiple_results=False))
ad.deflinear2(thrice_p, lambda ct, x: [thrice_p.bind(ct)])


def thrice(x):
    return jnp.sum(thrice_p.bind(x) * x)


def test_a_primitive_without_a_rule_is_borrowed_and_said():
    with pytest.warns(bpjax.BorrowedRuleWarning, match="'thrice'.*test_errors.py.*missing=") as warned:
        gradient = bpjax.grad(lambda x: thrice(x) + thrice(2 * x))(x)
    assert gradient.tolist() == jax.grad(lambda x: thrice(x) + thrice(2 * x))(x).tolist()
    assert len(warned) == 1
    with pytest.warns(bpjax.BorrowedRuleWarning), jax.check_tracer_leaks():
        in_a_scan = jax.jit(bpjax.grad(lambda x: lax.scan(lambda c, _: (jnp.sin(thrice_p.bind(c)), None), x, None, 2)[0].sum()))(x)
    assert in_a_scan.shape == x.shape


def test_or_refused():
    with pytest.raises(bpjax.NoRuleError, match="'thrice'.*bpjax.rule"):
        bpjax.grad(thrice, missing="error")(x)
    _, back = bpjax.vjp(thrice, x, missing="error")
    with pytest.raises(bpjax.NoRuleError, match="'thrice'"):
        back(jnp.float32(1))
    with pytest.raises(ValueError, match="missing= must be"):
        bpjax.grad(thrice, missing="ask")(x)


def test_a_complex_loss():
    with pytest.raises(TypeError, match="floating loss.*complex64.*holomorphic=True"):
        bpjax.grad(lambda x: jnp.sum(x * 1j))(x)
    with pytest.raises(TypeError, match="differentiates complex arrays, but argument 0 is float32"):
        bpjax.grad(lambda x: jnp.sum(x), holomorphic=True)(x)


def test_a_loss_that_is_not_a_scalar():
    with pytest.raises(TypeError, match=r"scalar loss.*shape \(3,\).*bpjax.vjp"):
        bpjax.grad(lambda x: x * 2)(x)


def test_an_integer_argument():
    with pytest.raises(TypeError, match=r"argument 0\['a'\] is int32"):
        bpjax.grad(lambda p: p["a"].sum())({"a": jnp.arange(3)})


def test_a_python_branch_under_jit():
    with pytest.raises(jax.errors.TracerBoolConversionError) as caught:
        jax.jit(bpjax.grad(lambda x: x if x > 0 else -x))(1.0)
    assert any("lax.cond" in note for note in caught.value.__notes__)


def test_an_index_that_depends_on_the_input_under_jit():
    with pytest.raises(IndexError) as caught:
        jax.jit(bpjax.grad(lambda x: x[x > 1].sum()))(x)
    assert any("jnp.where" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda: bpjax.grad(lambda x: x, argnums=2)(1.0), ValueError, "argnums=2"),
        (lambda: bpjax.grad(lambda x, y: x * y, argnums=(0, -2))(1.0, 2.0), ValueError, "names an argument twice"),
        (lambda: bpjax.grad(lambda x: x, argnums="x"), TypeError, "argnums must be an integer"),
        (lambda: bpjax.grad(3), TypeError, "expected a function"),
        (lambda: bpjax.grad(lambda x: [x])(1.0), TypeError, "returned a list of 1"),
        (lambda: bpjax.grad(lambda x: x, has_aux=True)(1.0), TypeError, "must return a pair"),
        (lambda: bpjax.vjp(lambda x: (x, "aux"), 1.0), TypeError, "must hold arrays alone, got a str"),
    ],
    ids=["argnums out of range", "argnums twice", "argnums no integer", "no function", "a list", "no pair", "a string"],
)
def test_misuse(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
