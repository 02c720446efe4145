"""`jax.custom_jvp` and `jax.custom_vjp` functions in the forms that JAX allows, against `jax.grad`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.custom_derivatives import SymbolicZero

import bpjax

x, matrix = jnp.arange(3.0) + 1, jnp.arange(9.0).reshape(3, 3)


@jax.custom_jvp
def product(a, v):
    return a @ v


@product.defjvp
def _(primals, tangents):
    (a, v), (da, dv) = primals, tangents
    return product(a, v), product(da, v) + product(a, dv)


@jax.custom_jvp
def thrice(x):
    return 3 * x


thrice.defjvp(lambda primals, tangents: (thrice(*primals), lax.cond(primals[0][0] > 0, thrice, thrice, *tangents)))


@jax.custom_jvp
def checkpointed(x):
    return 3 * x


checkpointed.defjvp(lambda primals, tangents: (checkpointed(*primals), jax.checkpoint(lambda t: checkpointed(t))(*tangents)))


@jax.custom_jvp
def times(x, y):
    return x * y


def _times(primals, tangents):
    pairs = zip(tangents, reversed(primals))
    return primals[0] * primals[1], sum(jnp.where(p > 0, t * p, t) for t, p in pairs if type(t) is not SymbolicZero)


times.defjvp(_times, symbolic_zeros=True)


@jax.custom_vjp
def times_and_plus(x, y):
    return x * y, x + y


def _times_and_plus(x, y):
    return (x.value * y.value, x.value + y.value), (x.value, y.value, x.perturbed, y.perturbed)


def _times_and_plus_back(residuals, cotangents):
    x, y, on_x, on_y = residuals
    d_times, d_plus = (jnp.zeros_like(x) if type(d) is SymbolicZero else d for d in cotangents)
    return d_times * y + d_plus + on_x, d_times * x + d_plus + 2 * on_y


times_and_plus.defvjp(_times_and_plus, _times_and_plus_back, symbolic_zeros=True)


@jax.custom_vjp
def with_constants(x):
    return 3 * x


with_constants.defvjp(
    lambda x: (3 * x, (3.0, np.arange(3, dtype=np.float32), None, 2, x)), lambda kept, dy: (dy * kept[0] * kept[1] * kept[3] * kept[4],)
)


@jax.custom_vjp
def remembered(x):
    return jnp.sin(x)


remembered.defvjp(lambda x: (jnp.sin(x), x), lambda x, dy: (2 * dy * jnp.cos(x),), optimize_remat=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def applied(f, x):
    return f(x)


applied.defvjp(lambda f, x: (f(x), x), lambda f, x, dy: (dy * f(x),))


@jax.custom_jvp
def by_parts(x, y):
    return x * y


by_parts.defjvps(lambda t, out, x, y: 2 * t * y, None)


def cube_root(a):
    newton = lambda g, x: lax.fori_loop(0, 20, lambda _, x: x - g(x) / (3 * x**2), x)
    return lax.custom_root(lambda x: x**3 - a, a, newton, lambda g, y: y / g(jnp.ones_like(y)))


def two_roots(a):
    """Of a triangular system, by its Jacobian; what the solver tells besides has no gradient."""
    equations = lambda x: {"u": x["u"] - a**2, "v": x["v"] - x["u"] * a}
    solved = lambda g, y: {"u": y["u"], "v": y["v"] - g({"u": y["u"], "v": 0 * a})["v"]}
    return lax.custom_root(equations, {"u": a, "v": a}, lambda g, x: ({"u": a**2, "v": a**3}, a.sum()), solved, has_aux=True)


PROGRAMS = {
    "a jvp that calls itself on the tangents": lambda x: jnp.sum(product(matrix * x[0], jnp.sin(x)) ** 2),
    "inside a branch": lambda x: jnp.sum(thrice(jnp.sin(x))),
    "in a scan": lambda x: jnp.sum(lax.scan(lambda c, _: (product(matrix / 10, c), c), x, None, 3)[1]),
    "in a checkpoint": lambda x: jnp.sum(checkpointed(jnp.sin(x))),
    "symbolic zeros of a jvp": lambda x: jnp.sum(times(x, 2 * matrix[0]) + times(matrix[1], x) + times(x, x)),
    "symbolic zeros of a vjp": lambda x: jnp.sum(times_and_plus(x, matrix[0])[0]) + jnp.sum(times_and_plus(matrix[1], x)[1]),
    "constants as residuals": lambda x: jnp.sum(with_constants(x)),
    "optimize_remat": lambda x: jnp.sum(remembered(x)),
    "optimize_remat in a checkpoint": lambda x: jnp.sum(jax.checkpoint(lambda x: remembered(remembered(x)))(x)),
    "optimize_remat in a scan": lambda x: lax.scan(lambda c, _: (jax.jit(remembered)(c), c), x, None, 3)[0].sum(),
    "an argument that is a function": lambda x: jnp.sum(applied(jnp.cos, x)),
    "defjvps": lambda x: jnp.sum(by_parts(x, x)),
    "jax.custom_gradient": lambda x: jnp.sum(jax.custom_gradient(lambda x: (x * x, lambda g: (5 * g * x,)))(x)),
    "lax.custom_root": lambda x: jnp.sum(jnp.sin(cube_root(x))),
    "lax.custom_root of a tree, with aux": lambda x: jnp.sum(two_roots(x)[0]["v"] * two_roots(x)[0]["u"]) + two_roots(x)[1],
    "a derivative of lax.custom_root": lambda x: jnp.sum(jax.jvp(cube_root, (x,), (x,))[1] ** 2),
    "jax.closure_convert": lambda x: (lambda f, more: jnp.sum(f(jnp.sin(x), *more)))(*jax.closure_convert(lambda y: y * x * x, x)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_jax_grad(name):
    f = PROGRAMS[name]
    hand, auto = bpjax.grad(f, missing="error"), jax.grad(f)
    np.testing.assert_allclose(hand(x), auto(x), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(hand))(jnp.stack([x, 2 * x])), jax.jit(jax.vmap(auto))(jnp.stack([x, 2 * x])), rtol=1e-6)


def test_a_second_derivative_of_a_root():
    hand, auto = (gradient(lambda x, g=gradient: jnp.sum(g(PROGRAMS["lax.custom_root"])(x) ** 2))(x) for gradient in (bpjax.grad, jax.grad))
    np.testing.assert_allclose(hand, auto, rtol=1e-5)


def test_a_rule_of_a_rule():
    """The tangent half multiplies by a function of the primals, whose own rule is followed in a second derivative."""

    @jax.custom_jvp
    def slope(x):
        return jnp.cos(x)

    slope.defjvp(lambda primals, tangents: (slope(*primals), 7 * tangents[0]))

    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvp(lambda primals, tangents: (f(*primals), slope(*primals) * tangents[0]))
    assert bpjax.grad(bpjax.grad(f))(0.5) == jax.grad(jax.grad(f))(0.5) == 7.0


@pytest.mark.parametrize("name", ["a jvp that calls itself on the tangents", "inside a branch", "in a scan"])
def test_the_check_takes_it(name):
    bpjax.check_gradients(PROGRAMS[name], x).assert_ok()


def test_a_gradient_taken_inside_a_tangent_half_is_like_any_other():
    """The written forward of an op on a tangent asks for a gradient of its own, through a function with a jvp rule."""

    @jax.custom_jvp
    def rounded(x):
        return jnp.round(x)

    rounded.defjvp(lambda primals, tangents: (rounded(*primals), 5 * tangents[0]))

    @bpjax.op
    def pushed(dx, x):
        return 5 * dx

    @pushed.def_forward
    def _(dx, x):
        return 5 * dx, {"slope": bpjax.grad(rounded)(x)}

    @pushed.def_backward
    def _(saved, dy):
        return dy * saved["slope"], jnp.zeros_like(dy)

    @jax.custom_jvp
    def f(x):
        return jnp.round(x)

    f.defjvp(lambda primals, tangents: (f(*primals), pushed(tangents[0], primals[0])))
    assert bpjax.grad(f)(2.3) == jax.grad(f)(2.3) == 5.0
