"""Where an equation has no backward rule, bpjax.grad raises, and every tool names the equation and its place."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.extend import core
from jax.interpreters import ad, mlir

import bpjax
from bpjax import inspect
from bpjax.training import TrainState, make_train_step

PARAMS = {"fc": {"w": jnp.eye(3)}, "out": {"w": jnp.ones(3)}}


def doubled(x):
    return lax.while_loop(lambda c: jnp.max(c) < 5, lambda c: 2 * c + 1, x)


def loss(params):
    h = doubled(params["fc"]["w"] @ jnp.ones((3, 3)))
    return jnp.sum(jnp.tanh(h @ params["out"]["w"]))


def in_a_scan(params):
    return lax.scan(lambda c, _: (doubled(c), None), params["fc"]["w"], None, 3)[0].sum()


def in_a_branch(params):
    return lax.cond(params["out"]["w"].sum() > 0, doubled, jnp.tanh, params["fc"]["w"]).sum()


def in_a_scatter(params):
    return params["fc"]["w"].at[0].apply(jnp.sin).sum()


# the function; the equation that has no rule
UNRULED = {"while": (loss, "while"), "in a scan": (in_a_scan, "while"), "in a branch": (in_a_branch, "while")}
UNRULED |= {"a rule that refuses": (in_a_scatter, "scatter"), "under jit": (jax.jit(loss), "while")}
each = pytest.mark.parametrize("name", UNRULED)


@each
def test_the_gradient_raises(name):
    with pytest.raises(bpjax.NoRuleError, match="test_unruled.py:"):
        bpjax.grad(UNRULED[name][0])(PARAMS)


@each
def test_find_nan_reports_it(name):
    f, equation = UNRULED[name]
    report = bpjax.find_nan(f, PARAMS)
    assert (report.direction, report.equation) == ("backward", equation)
    assert "test_unruled.py:" in report.line and "rule" in report.note and report.note in str(report)


@each
def test_health_names_it(name):
    f, equation = UNRULED[name]
    found = inspect.health(f)(PARAMS)
    (place,) = found.health.without_rule
    assert place.startswith(f"{equation} ") and "test_unruled.py:" in place
    assert not np.all(np.isfinite(found.grads["fc"]["w"]))
    monitor = inspect.Monitor()
    monitor.record(jax.jit(inspect.health(f))(PARAMS).health)
    (verdict,) = monitor.verdicts()
    assert verdict.kind == "no backward rule" and place in verdict.evidence and place in monitor.table()


@each
def test_explain_names_it(name):
    f, equation = UNRULED[name]
    explanation = bpjax.explain(f, PARAMS, steps=2)
    assert f"no backward rule for {equation} " in str(explanation).splitlines()[1]
    assert any((row["rule"], row["formula"]) == (equation, "no backward rule") for row in explanation.steps[0]["backward"])


@each
def test_cost_names_it(name):
    f, equation = UNRULED[name]
    costs = bpjax.cost(f, PARAMS)
    assert costs.without_rule[0].startswith(f"{equation} ") and costs.without_rule[0] in str(costs)
    assert costs.modules[0].module == "fc" and costs.modules[0].parameters == 9


def test_a_nan_nearer_to_the_loss_comes_first():
    report = bpjax.find_nan(lambda params: jnp.sqrt(0 * loss(params)), PARAMS)
    assert (report.direction, report.equation) == ("backward", "sqrt")


def test_the_backward_of_a_singular_value_decomposition_is_named():
    def nuclear(x):
        u, s, _ = jnp.linalg.svd(x)
        return u.sum() + s.sum()

    report = bpjax.find_nan(nuclear, jnp.eye(3))
    assert (report.direction, report.equation) == ("backward", "svd")
    assert report.line.endswith(f"test_unruled.py:{nuclear.__code__.co_firstlineno + 1}")


def test_a_complex_function_is_named():
    report = bpjax.find_nan(lambda x: jnp.abs(doubled_complex(jnp.fft.fft(x)) + 1).sum(), jnp.ones((4, 4)))
    assert not report or report.direction == "backward" and report.line


def doubled_complex(x):
    return lax.while_loop(lambda c: jnp.max(jnp.abs(c)) < 5, lambda c: 2 * c + 1, x)


@pytest.mark.parametrize("watch", [True, False])
def test_a_training_does_not_go_on(watch):
    state = TrainState(params=PARAMS, buffers={}, opt_state=optax.sgd(0.1).init(PARAMS), step=jnp.array(0), rng=jax.random.key(0))
    of_state = functools.partial(lambda params, batch, *, buffers, rng, train: (loss(params), (buffers, {})))
    with pytest.raises(bpjax.NoRuleError, match="while"):
        make_train_step(of_state, optax.sgd(0.1), watch=watch)(state, jnp.ones(1))


def thrice():
    """A primitive of another library, which has a derivative of JAX's."""
    primitive = core.Primitive("thrice")
    primitive.def_impl(lambda z: 3 * z)
    primitive.def_abstract_eval(lambda a: a)
    mlir.register_lowering(primitive, mlir.lower_fun(lambda z: 3 * z, multiple_results=False))
    ad.deflinear2(primitive, lambda ct, z: [3 * ct])
    return primitive.bind


def test_what_is_borrowed_is_marked():
    bind = thrice()
    loss = lambda params: jnp.sum(bind(jnp.tanh(params["fc"]["w"] @ params["out"]["w"])))
    row = next(row for row in bpjax.explain(loss, PARAMS).steps[0]["backward"] if row["rule"] == "thrice")
    assert row["formula"] == "borrowed: jax.vjp of it"
    costs = bpjax.cost(loss, PARAMS)
    assert len(costs.borrowed) == 1 and "borrowed from JAX: 'thrice' (" in str(costs)
