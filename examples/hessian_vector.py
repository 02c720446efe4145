"""A Hessian times a vector, three ways: the written backward passes are differentiable like any other function."""

import jax
import jax.numpy as jnp

import bpjax
import bpjax.nn.functional as F


def loss(w, x, y):
    hidden = F.tanh(x @ w["W"].T)
    return jnp.mean((hidden @ w["v"] - y) ** 2)


def forward_over_backward(w, v, *data):
    """The directional derivative of the gradient: `jax.jvp` of `bpjax.grad`."""
    return jax.jvp(lambda w: bpjax.grad(loss)(w, *data), (w,), (v,))[1]


def backward_over_backward(w, v, *data):
    """The gradient of <gradient, v>: `bpjax.grad` of `bpjax.grad`."""
    return bpjax.grad(lambda w: _dot(bpjax.grad(loss)(w, *data), v))(w)


def automatic_over_backward(w, v, *data):
    """The same, the outer derivative by `jax.grad`."""
    return jax.grad(lambda w: _dot(bpjax.grad(loss)(w, *data), v))(w)


WAYS = (forward_over_backward, backward_over_backward, automatic_over_backward)


def _dot(a, b):
    return sum(jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)))


def example():
    """Weights, a direction, and data."""
    k1, k2, k3, k4, k5, k6 = jax.random.split(jax.random.key(0), 6)
    w = {"W": jax.random.normal(k1, (6, 3)), "v": jax.random.normal(k2, (6,))}
    v = {"W": jax.random.normal(k3, (6, 3)), "v": jax.random.normal(k4, (6,))}
    return w, v, jax.random.normal(k5, (10, 3)), jax.random.normal(k6, (10,))


def main():
    with jax.enable_x64(True):
        args = example()
        exact = jax.jvp(lambda w: jax.grad(loss)(w, *args[2:]), (args[0],), (args[1],))[1]
        for way in WAYS:
            result = jax.jit(way)(*args)
            difference = max(float(jnp.abs(a - b).max()) for a, b in zip(jax.tree.leaves(result), jax.tree.leaves(exact)))
            print(f"{way.__name__:24} largest difference from JAX alone: {difference:.1e}")


if __name__ == "__main__":
    main()
