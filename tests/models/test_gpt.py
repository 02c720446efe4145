"""The small GPT: causal, checked, and it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import bpjax
from bpjax.models.gpt import GPT, language_loss
from bpjax.training import create_state, run_steps

model = GPT(vocabulary=12, length=8, width=8, heads=2, layers=2)
key = jax.random.key(0)


def test_a_token_does_not_change_what_stands_before_it():
    params, tokens = model.init(key), jnp.arange(8)[None] % 5
    before, after = model.apply(params, tokens), model.apply(params, tokens.at[0, 5].set(9))
    np.testing.assert_allclose(before[:, :5], after[:, :5], rtol=1e-5, atol=1e-6)
    assert jnp.abs(before[:, 5:] - after[:, 5:]).max() > 1e-3


def test_its_gradient_passes_the_check():
    tokens = jax.random.randint(key, (2, 9), 0, 12)
    loss = language_loss(model)
    f = lambda params: loss(params, tokens, buffers={}, rng=None, train=True)[0]
    bpjax.check_gradients(f, model.init(key), numeric=False).assert_ok()


def test_it_learns_to_count():
    start = jax.random.randint(key, (60, 16, 1), 0, 12)
    batches = (start + jnp.arange(9)) % 12
    state = create_state(model, key, optax.adam(1e-2))
    _, metrics = run_steps(language_loss(model), optax.adam(1e-2))(state, batches)
    assert metrics["loss"][-1] < 0.1 * metrics["loss"][0]
