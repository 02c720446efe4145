"""Python that asks for values: outside `jit` it gets them, as under `jax.grad`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import bpjax
import bpjax.functional as F

x = jnp.array([0.5, 2.0, 3.0])
data = jnp.array([1.0, -2.0, 3.0])


@jax.custom_jvp
def scaled(z):
    return 3 * z if z.sum() > 0 else z


@scaled.defjvp
def _(primals, tangents):
    (z,), (t,) = primals, tangents
    return scaled(z), 5 * t if z.sum() > 0 else t


@jax.custom_vjp
def reversed_(z):
    return 7 * z if z.sum() > 0 else z


reversed_.defvjp(lambda z: (reversed_(z), -z if z.sum() > 0 else z), lambda z, dy: (dy * z,))


def branches(x):
    return jnp.sum(x**2) if x[0] > 0 else jnp.sum(x)


def a_loop_until(x):
    while jnp.sum(x) < 100:
        x = x * x[1]
    return jnp.sum(x)


def chosen_by_a_mask(x):
    return jnp.prod(x[x > 1.0])


def integers(x):
    count = int(x[2])
    return jnp.sum(x[:count] ** count) + range(5)[x[1].astype(int)] * x[0]


def unlike_the_rest(x):
    return jnp.sum(x[jnp.unique(x.astype(int), return_index=True)[1]] ** 2)


def by_an_item(x):
    return jnp.sum(x) * x[1].item()


def through_custom_rules(x):
    return jnp.sum(reversed_(scaled(x))) if x[0] > 0 else x[0]


def through_layers(x):
    y = F.relu(x) if x[1] > 0 else x
    return jnp.sum(F.softmax(y, dim=-1) * data)


def through_transformations(x):
    inner = jax.grad(lambda z: jnp.sum(z**3))(x)
    y = jax.vmap(jnp.sin)(inner) if inner[0] > 0 else inner
    y = lax.scan(lambda c, v: (c * v, c + v), y[0], y)[1]
    return jnp.sum(jax.checkpoint(jax.jit(jnp.exp))(y)) if y.max() > 0 else x[0]


def by_data_alone(x):
    w = data * 2
    return jnp.sum(x[np.asarray(w > 0)]) + float(w[0]) * x[0]


def by_a_draw(x):
    return jnp.sum(x) if jax.random.uniform(jax.random.key(0)) < 2 else x[0]


def by_a_stopped_value(x):
    return jnp.sum(x) * float(lax.stop_gradient(x[0])) + int(jnp.argmax(x)) * x[0]


PROGRAMS = [branches, a_loop_until, chosen_by_a_mask, integers, unlike_the_rest, through_custom_rules, through_layers]
PROGRAMS += [by_an_item, through_transformations, by_data_alone, by_a_draw, by_a_stopped_value]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_as_under_jax_grad(f):
    value, grad = bpjax.value_and_grad(f)(x)
    wanted_value, wanted = jax.value_and_grad(f)(x)
    np.testing.assert_allclose(value, wanted_value, rtol=1e-6)
    np.testing.assert_allclose(grad, wanted, rtol=1e-6)


def test_the_branch_is_that_of_the_point():
    assert bpjax.grad(branches)(x).tolist() == [1.0, 4.0, 6.0]
    assert bpjax.grad(branches)(-x).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("f", [branches, through_layers], ids=lambda f: f.__name__)
def test_the_tools_take_it_too(f):
    bpjax.check_gradients(f, x).assert_ok()
    assert "x" in str(bpjax.explain(f, x))
    assert bpjax.backprop(f)(x).value == f(x)


def test_derivatives_of_derivatives():
    np.testing.assert_allclose(bpjax.grad(lambda x: bpjax.grad(a_loop_until)(x)[0])(x), jax.grad(lambda x: jax.grad(a_loop_until)(x)[0])(x))
    np.testing.assert_allclose(jax.grad(lambda x: bpjax.grad(branches)(x)[1])(x), [0, 2, 0])


@pytest.mark.parametrize(
    "asks",
    [float, complex, np.asarray, lambda y: y.tolist(), lambda y: f"{y:.3f}"],
    ids=["float", "complex", "asarray", "tolist", "format"],
)
def test_what_jax_refuses_is_refused(asks):
    def f(x):
        asks(x * 2)
        return x

    with pytest.raises((TypeError, *ERRORS)) as of_jax:
        jax.grad(f)(1.0)
    with pytest.raises(of_jax.type):
        bpjax.grad(f)(1.0)


ERRORS = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)


def test_a_value_is_printed(capsys):
    def f(x):
        y = 2 * x
        if y > 0:
            print(y)
        return y

    bpjax.grad(f)(1.5)
    assert capsys.readouterr().out == "Differentiated(3.0)\n"


def test_a_reference_is_not_written_twice():
    log = jax.new_ref(jnp.zeros(()))

    def f(x):
        log[...] += lax.stop_gradient(x)
        return x * x if x > 0 else x

    assert bpjax.grad(f)(2.0) == 4.0
    assert log[...] == 2.0
