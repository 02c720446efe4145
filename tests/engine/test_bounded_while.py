"""A loop with a bound: its value, its derivatives, what it keeps, what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import bpjax

pytestmark = pytest.mark.usefixtures("x64")
A = np.array([[0.4, 0.3], [-0.2, 0.5]])


def settled(a, x, bound=50, loop=bpjax.bounded_while):
    """x ← tanh(a x + 1) until it moves no more."""
    cond = lambda state: jnp.sum(jnp.abs(state[0] - state[1])) > 1e-12
    body = lambda state: (jnp.tanh(a @ state[0] + 1), state[0])
    start = (x, x + 1)
    return (loop(cond, body, start, bound) if loop is bpjax.bounded_while else loop(cond, body, start))[0]


X = np.array([0.1, -0.7])


def test_its_value_is_that_of_while_loop():
    np.testing.assert_array_equal(settled(A, X), settled(A, X, loop=lax.while_loop))


@pytest.mark.parametrize("bound", [1, 2, 7, 16, 50])
def test_its_gradient_is_that_of_the_steps_taken(bound):
    loss = lambda a, x: jnp.sum(settled(a, x, bound) ** 2)
    hand, auto = (gradient(loss, (0, 1))(A, X) for gradient in (bpjax.grad, jax.grad))
    for h, a in zip(hand, auto, strict=True):
        np.testing.assert_allclose(h, a, rtol=1e-12, atol=1e-15)

    def unrolled(a, x):
        x, before = x, x + 1
        for _ in range(bound):
            if np.sum(np.abs(np.asarray(lax.stop_gradient(x - before)))) <= 1e-12:
                break
            x, before = jnp.tanh(a @ x + 1), x
        return jnp.sum(x**2)

    step = 1e-6 * np.eye(2).reshape(2, 2)
    slope = (unrolled(A + step, X) - unrolled(A - step, X)) / 2e-6
    np.testing.assert_allclose(np.sum(hand[0] * np.eye(2)), slope, rtol=1e-7)


def test_the_check_passes_and_an_unbounded_loop_points_here():
    bpjax.check_gradients(lambda a: settled(a, X), A).assert_ok()
    with pytest.raises(bpjax.NoRuleError, match="bpjax.bounded_while"):
        bpjax.grad(lambda a: settled(a, X, loop=lax.while_loop).sum())(A)


def test_under_vmap_and_jit():
    both = jnp.stack([X, 3 * X])
    each = lambda gradient: jax.jit(jax.vmap(gradient(lambda x: jnp.sum(settled(A, x)))))(both)
    np.testing.assert_allclose(each(bpjax.grad), each(jax.grad), rtol=1e-12)


def test_it_keeps_the_root_of_the_number_of_states():
    def kept(steps):
        f = lambda x: jnp.sum(bpjax.bounded_while(lambda x: x[0] < 1e9, jnp.sin, x, steps))
        return jax.jit(bpjax.grad(f)).lower(jnp.ones(10_000)).compile().memory_analysis().temp_size_in_bytes

    assert kept(6400) <= 4.5 * kept(400)  # 16 times the steps, 4 times the states


@pytest.mark.parametrize(
    "cond, body, bound, error, words",
    [
        (lambda x: x < 9, jnp.sin, 0, ValueError, "max_steps must be at least 1"),
        (lambda x: x < 9, jnp.sin, 2.5, TypeError, "max_steps must be an integer"),
        (lambda x: x, jnp.sin, 3, TypeError, r"cond must return one boolean, got float64\[\]"),
        (lambda x: x < 9, lambda x: (x, x), 3, TypeError, "body must return what it was given"),
        (lambda x: x < 9, lambda x: x.astype(jnp.float32), 3, TypeError, r"given float64\[\] and returned float32\[\]"),
    ],
)
def test_what_it_refuses(cond, body, bound, error, words):
    with pytest.raises(error, match=words):
        bpjax.bounded_while(cond, body, 1.0, bound)
