"""Mutable references on the path of a gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import bpjax

x = jnp.linspace(0.4, 1.8, 12).reshape(3, 4)


def written_and_read(x):
    ref = jax.new_ref(jnp.zeros_like(x))
    ref[...] = 2 * x
    ref[0] = ref[1] * x[2]
    ref[...] += jnp.sin(x)
    return jnp.sum(ref[...] ** 2)


def by_every_index(x):
    i, rows = jnp.argmax(x[:, 0]) - 1, jnp.array([2, 0])
    ref = jax.new_ref(x**2)
    ref[i, 1:3] = x[0, :2] * 3
    ref[rows, i - 1] = jnp.sin(ref[rows, i])
    ref[::2, i + 2] = x[1, :2] * ref[::2, i + 1]
    ref[1:, rows] = x[:2, :2] + ref[:2, rows]
    ref[jax.ds(i, 2), 1] = x[2, :2] * ref[jax.ds(i, 2), 2]
    return jnp.sum(jnp.cos(ref[...]))


def added_to(x):
    ref = jax.new_ref(x)
    jax.ref.addupdate(ref, (jnp.array([0, 0, 2]), slice(None)), x**2)
    jax.ref.addupdate(ref, (1, slice(0, 2)), jnp.exp(x[0, :2]))
    old = jax.ref.swap(ref, (slice(None), 3), x[:, 0] * 5)
    return jnp.sum(jax.freeze(ref) ** 3) + jnp.prod(old)


def in_a_scan(x):
    ref = jax.new_ref(jnp.ones(()))
    rows = jax.new_ref(jnp.zeros_like(x))

    def step(c, i):
        ref[...] *= jnp.sin(x[i, 0]) + c
        rows[i] = x[i] * ref[...]
        return c * x[i, 1], c

    c, cs = lax.scan(step, 1.0, jnp.arange(3))
    return ref[...] + c + jnp.sum(cs) + jnp.sum(rows[...] ** 2)


def in_a_loop_inside_a_loop(x):
    ref = jax.new_ref(x[0])

    def outer(_, c):
        own = jax.new_ref(c)

        def inner(j, d):
            own[...] += x[j, 1] * ref[0]
            ref[j] = own[...] * 0.3
            return d * own[...]

        return lax.fori_loop(0, 3, inner, c) + jax.freeze(own)

    return lax.fori_loop(0, 2, outer, x[1, 2]) + jnp.sum(ref[...])


def in_a_branch(x):
    ref = jax.new_ref(x[0])

    def write():
        ref[1:3] = x[1, :2] ** 2
        return ref[0]

    value = lax.cond(x[0, 0] < 1, write, lambda: ref[1])
    return lax.switch(2, [lambda: ref[0], write, lambda: ref[2] * value])


def in_jitted_functions(x):
    ref = jax.new_ref(x)

    @jax.jit
    def times(y):
        ref[...] = ref[...] * y

    times(x)
    times(2.0)
    return jnp.sum(ref[...])


def in_a_checkpoint(x):
    @jax.checkpoint
    def f(x):
        ref = jax.new_ref(x)
        ref[0] = ref[1] * ref[2]
        return ref[...]

    return jnp.sum(jnp.sin(f(x)))


def a_part_of_a_part(x):  # of which JAX has no gradient
    ref = jax.new_ref(x)
    ref.at[1:].at[:, ::2][0] *= x[0, :2]
    return jnp.sum(ref[...] ** 2)


def of_integers(x):  # nor of this
    count = jax.new_ref(jnp.zeros((), jnp.int32))
    ref = jax.new_ref(jnp.zeros(3))

    def go_on(i):
        return count[...] < 3

    def step(i):
        count[...] += 1
        return i + 1

    i = lax.while_loop(go_on, step, 0)
    ref[...] = x[:, 1] * i
    return jnp.sum(ref[...] * count[...])


def without_a_value(x):
    ref = jax.empty_ref(jax.typeof(x))
    ref[...] = x
    ref[0] = x[1] * 2
    out = jnp.sum(ref[...] ** 2)
    jax.free_ref(ref)
    return out


PROGRAMS = [written_and_read, by_every_index, added_to, in_a_scan, in_a_loop_inside_a_loop, in_a_branch]
PROGRAMS += [in_jitted_functions, in_a_checkpoint, without_a_value]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_as_jax_grad(f):
    value, grad = jax.jit(bpjax.value_and_grad(f, missing="error"))(x)
    wanted_value, wanted = jax.jit(jax.value_and_grad(f))(x)
    np.testing.assert_allclose(value, wanted_value, rtol=1e-6)
    np.testing.assert_allclose(grad, wanted, rtol=1e-5)


def test_where_jax_has_none():
    wanted = jax.grad(lambda x: jnp.sum(x.at[1, ::2].multiply(x[0, :2]) ** 2))(x)
    np.testing.assert_allclose(bpjax.grad(a_part_of_a_part)(x), wanted, rtol=1e-6)
    assert bpjax.grad(of_integers)(x).tolist() == jnp.zeros_like(x).at[:, 1].set(9.0).tolist()


def test_under_vmap():
    xs = jnp.stack([x, 2 * x])
    np.testing.assert_allclose(jax.vmap(bpjax.grad(in_a_scan))(xs), jax.vmap(jax.grad(in_a_scan))(xs), rtol=1e-5)
    mapped = lambda xs: jnp.sum(jax.vmap(written_and_read)(xs))
    np.testing.assert_allclose(bpjax.grad(mapped)(xs), jax.grad(mapped)(xs), rtol=1e-5)


def test_the_tools_take_it_too():
    bpjax.check_gradients(in_a_scan, x).assert_ok()
    assert "x" in str(bpjax.explain(in_a_scan, x))
    assert bpjax.cost(in_a_scan, x) is not None


def test_one_from_outside_stays_one():
    outside = jax.new_ref(jnp.zeros((3, 4)))

    def f(x):
        inside = jax.new_ref(x)
        inside[...] *= outside[...] + 1
        outside[...] = lax.stop_gradient(2 * x)
        return jnp.sum(inside[...] * outside[...])

    assert bpjax.grad(f)(x).tolist() == (2 * x).tolist()
    assert outside[...].tolist() == (2 * x).tolist()


def test_one_from_outside_takes_nothing_differentiated():
    outside = jax.new_ref(jnp.zeros((3, 4)))

    def f(x):
        outside[...] = x
        return jnp.sum(x)

    with pytest.raises(bpjax.NoRuleError, match="mutable reference.*from outside.*test_references.py"):
        bpjax.grad(f)(x)
