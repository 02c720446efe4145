"""Optax: its losses, and a hyperparameter through steps of an optimizer."""

import jax
import jax.numpy as jnp
import optax
import pytest
from agreement import agree, normal

pytestmark = pytest.mark.usefixtures("x64")
labels = lambda: jnp.array([0, 2, 1, 1])
signs = lambda: jnp.array([1.0, -1.0, 1.0, -1.0])
soft = lambda: jax.nn.softmax(normal(9, 4, 3))
LOSSES = {  # of the differentiated array
    "softmax_cross_entropy": lambda x: optax.softmax_cross_entropy(x, soft()),
    "softmax_cross_entropy_with_integer_labels": lambda x: optax.softmax_cross_entropy_with_integer_labels(x, labels()),
    "poly_loss_cross_entropy": lambda x: optax.losses.poly_loss_cross_entropy(x, soft(), epsilon=2.0),
    "sigmoid_binary_cross_entropy": lambda x: optax.sigmoid_binary_cross_entropy(x, soft()),
    "sigmoid_focal_loss": lambda x: optax.sigmoid_focal_loss(x, soft(), alpha=0.3),
    "huber_loss": lambda x: optax.huber_loss(x, soft(), delta=0.7),
    "log_cosh": lambda x: optax.log_cosh(x, soft()),
    "cosine_distance": lambda x: optax.cosine_distance(x, soft()),
    "hinge_loss": lambda x: optax.hinge_loss(x[:, 0], signs()),
    "multiclass_hinge_loss": lambda x: optax.losses.multiclass_hinge_loss(x, labels()),
    "multiclass_sparsemax_loss": lambda x: optax.losses.multiclass_sparsemax_loss(x, labels()),
    "kl_divergence": lambda x: optax.kl_divergence(jax.nn.log_softmax(x), soft()),
    "generalized_kl_divergence": lambda x: optax.losses.generalized_kl_divergence(jax.nn.log_softmax(x), soft()),
    "ntxent": lambda x: optax.ntxent(x, labels()),
    "triplet_margin_loss": lambda x: optax.losses.triplet_margin_loss(x, soft(), x[::-1]),
    "ranking_softmax_loss": lambda x: optax.losses.ranking_softmax_loss(x, soft()),
    "ctc_loss": lambda x: optax.ctc_loss(x[None], jnp.zeros((1, 4)), jnp.array([[1, 2]]), jnp.zeros((1, 2))),
    "dice_loss": lambda x: optax.losses.dice_loss(x[None], soft()[None]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss(name):
    agree(lambda x: jnp.mean(LOSSES[name](x)), normal(0, 4, 3))


OPTIMIZERS = {
    "Adam": optax.inject_hyperparams(optax.adam),
    "RMSProp with momentum": lambda rate: optax.rmsprop(rate, momentum=0.9, initial_scale=1.0),
    "AdamW, clipped": lambda rate: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=0.1)),
    "Lion": optax.lion,
    "LAMB": optax.lamb,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hyperparameter(name):
    """The loss after five steps, differentiated in the rate and in the data."""

    def after(p):
        fit = lambda w: jnp.sum((p["x"] @ w - 1) ** 2)
        optimizer = OPTIMIZERS[name](p["rate"])

        def step(carry, _):
            w, state = carry
            updates, state = optimizer.update(jax.grad(fit)(w), state, w)
            return (optax.apply_updates(w, updates), state), None

        w = jnp.ones(3)
        return fit(jax.lax.scan(step, (w, optimizer.init(w)), None, 5)[0][0])

    agree(after, {"rate": jnp.array(0.05), "x": normal(0, 6, 3)})
