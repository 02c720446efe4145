"""Temporary bytes of the compiled gradient on plain code: the hand-written rules take no more than jax.grad."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import bpjax
import bpjax.functional as F


def temporary_bytes(f, *args):
    return jax.jit(f).lower(*args).compile().memory_analysis().temp_size_in_bytes


def mlp(ws, x):
    for w in ws:
        x = jnp.tanh(x @ w)
    return jnp.mean(x**2)


def rnn(params, xs):
    w, v = params

    def step(h, x):
        return jnp.tanh(x @ v + h @ w.T), None

    return jnp.mean(lax.scan(step, jnp.zeros((xs.shape[1], w.shape[0])), xs)[0] ** 2)


def checkpointed(ws, x):
    for w in ws:
        x = jax.checkpoint(lambda x, w: jnp.tanh(jnp.sin(x @ w)) * x)(x, w)
    return jnp.mean(x**2)


CASES = {
    "mlp": (mlp, ([jnp.ones((256, 256))] * 4, jnp.ones((128, 256)))),
    "rnn with w.T in its body": (rnn, ((jnp.ones((128, 128)), jnp.ones((32, 128))), jnp.ones((64, 16, 32)))),
    "checkpointed blocks": (checkpointed, ([jnp.ones((256, 256))] * 4, jnp.ones((128, 256)))),
}


@pytest.mark.parametrize("case", CASES)
def test_no_more_temporary_bytes_than_jax_grad(case):
    f, args = CASES[case]
    hand, auto = temporary_bytes(bpjax.grad(f), *args), temporary_bytes(jax.grad(f), *args)
    assert hand <= auto, f"hand {hand}, jax.grad {auto}"


OPTIONS = {
    "softmax": {"dim": -1},
    "log_softmax": {"dim": -1},
    "layer_norm": {"normalized_shape": 256},
    "rms_norm": {"normalized_shape": 256},
}
MARKED = ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", *OPTIONS]


@pytest.mark.parametrize("name", MARKED)
def test_marking_an_op_costs_jax_grad_nothing(name):
    op, options = getattr(F, name), OPTIONS.get(name, {})

    def loss(act):
        def f(ws, x):
            for w in ws:
                x = act(x @ w, **options)
            return jnp.mean(x**2)

        return f

    args = [jnp.ones((256, 256))] * 3, jnp.ones((128, 256))
    assert temporary_bytes(jax.grad(loss(op)), *args) == temporary_bytes(jax.grad(loss(op.formula)), *args)


def test_a_loss_is_evaluated_without_its_logits():
    x, W, t = jnp.ones((512, 64)), jnp.ones((8192, 64)), jnp.arange(512)
    loss = lambda x, W: F.linear_cross_entropy(x, W, t)
    logits = 512 * 8192 * 4
    assert temporary_bytes(bpjax.as_custom_vjp(loss), x, W) < 0.3 * logits < temporary_bytes(loss, x, W)
    # softmax and dz of one of four blocks; and dW, an eighth, before it is transposed
    assert temporary_bytes(bpjax.value_and_grad(loss, (0, 1)), x, W) < 0.65 * logits


def test_a_checkpointed_op_runs_its_own_forward_both_times():
    x = jnp.ones((1024, 16))
    attend = jax.checkpoint(lambda x: F.scaled_dot_product_attention(x, x, x))
    scores = 1024 * 1024 * 4
    assert temporary_bytes(bpjax.value_and_grad(lambda x: attend(x).sum()), x) < 0.5 * scores < temporary_bytes(attend, x)


def test_the_gradient_of_a_frozen_head_costs_no_product_for_it():
    x, W, t = jnp.ones((512, 64)), jnp.ones((8192, 64)), jnp.arange(512)
    product = 2 * 512 * 64 * 8192
    costs = [
        jax.jit(bpjax.grad(lambda x, W: F.linear_cross_entropy(x, W, t), on)).lower(x, W).compile().cost_analysis()["flops"]
        for on in (0, (0, 1))
    ]
    assert costs[1] - costs[0] > 0.9 * product / 4  # of each of 4 blocks, since XLA counts the body of a loop once
