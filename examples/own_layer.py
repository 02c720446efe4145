"""Write a layer with a backward of its own, have it checked, plant a mistake, and read who is to blame."""

import jax
import jax.numpy as jnp

import bpjax


@bpjax.op
def swish(x, beta):
    """x sigmoid(beta x), with a slope beta that is learned."""
    return x * jax.nn.sigmoid(beta * x)


@swish.def_forward
def _(x, beta):
    s = jax.nn.sigmoid(beta * x)
    return x * s, {"x": x, "s": s, "beta": beta}


@swish.def_backward
def backward(saved, dy):
    x, s, beta = saved["x"], saved["s"], saved["beta"]
    ds = s * (1 - s)  # of its argument, beta x
    return dy * (s + beta * x * ds), jnp.sum(dy * x * x * ds)


def backward_with_a_mistake(saved, dy):
    dx, dbeta = backward(saved, dy)
    return dx, dbeta / saved["x"].size  # a mean where the sum belongs


def loss(params, x):
    return jnp.mean(swish(x @ params["weight"].T, params["beta"]) ** 2)


def example_args():
    """What scripts/compare_gradients calls `loss` with."""
    weight, x = jax.random.normal(jax.random.key(0), (2, 8, 4))
    return {"weight": weight, "beta": jnp.array(1.5)}, x


def reports():
    """The check of the right backward, and of the wrong one."""
    with jax.enable_x64(True):
        right = bpjax.check_gradients(loss, *example_args())
        swish.def_backward(backward_with_a_mistake)
        try:
            wrong = bpjax.check_gradients(loss, *example_args())
        finally:
            swish.def_backward(backward)
    return right, wrong


def main():
    right, wrong = reports()
    right.assert_ok()
    print(right, "\n\nNow with a mistake in the backward:\n", wrong, sep="\n")


if __name__ == "__main__":
    main()
