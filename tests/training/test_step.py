import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import bpjax
from bpjax.models.digits import MODELS, classification_loss
from bpjax.training import TrainState, create_state, make_train_step, run_steps

GRADIENTS = {"hand": bpjax.value_and_grad, "auto": jax.value_and_grad}
OPTIMIZERS = {"sgd": optax.sgd(0.1), "momentum": optax.sgd(0.1, momentum=0.9), "adam": optax.adam(1e-3)}


def batches(n=3, size=4):
    images = jax.random.normal(jax.random.key(7), (n, size, 8, 8))
    return images, jax.random.randint(jax.random.key(8), (n, size), 0, 10)


def at(tree, i):
    return jax.tree.map(lambda a: a[i], tree)


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_one_scan_takes_the_steps_of_single_calls(gradient, optimizer):
    model = MODELS["mlp"](8)
    loss, optimizer = classification_loss(model), OPTIMIZERS[optimizer]
    one = create_state(model, jax.random.key(0), optimizer)
    many, metrics = run_steps(loss, optimizer, GRADIENTS[gradient])(create_state(model, jax.random.key(0), optimizer), batches())
    step = make_train_step(loss, optimizer, GRADIENTS[gradient])
    for i in range(3):
        one, m = step(one, at(batches(), i))
        chex.assert_trees_all_close(m, at(metrics, i), rtol=1e-6)
    chex.assert_trees_all_close(one.params, many.params, rtol=1e-5, atol=1e-7)
    assert int(one.step) == int(many.step) == 3


def test_hand_and_automatic_steps_agree(model):
    loss = classification_loss(model)
    ends = []
    for gradient in GRADIENTS.values():
        state = create_state(model, jax.random.key(0), optax.sgd(0.1))
        ends.append(run_steps(loss, optax.sgd(0.1), gradient)(state, batches())[0].params)
    chex.assert_trees_all_close(*ends, rtol=1e-4, atol=1e-6)


def test_step_is_traced_once():
    model = MODELS["mlp"](8)
    chex.clear_trace_counter()
    loss = chex.assert_max_traces(classification_loss(model), n=1)
    step = make_train_step(loss)
    state = create_state(model, jax.random.key(0), optax.sgd(0.1))
    for i in range(3):
        state, _ = step(state, at(batches(), i))


def test_step_gives_its_states_memory_away():
    model = MODELS["mlp"](8)
    state = create_state(model, jax.random.key(0), optax.sgd(0.1))
    make_train_step(classification_loss(model))(state, at(batches(), 0))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))


def test_state_is_frozen():
    state = create_state(MODELS["mlp"](8), jax.random.key(0), optax.sgd(0.1))
    with pytest.raises(AttributeError):
        state.step = 1


def test_each_step_has_its_own_key_and_buffers_are_carried():
    def loss(params, batch, *, buffers, rng, train):
        return params * batch, ({"seen": buffers["seen"] + batch}, {"draw": jax.random.normal(rng), "train": train})

    opt_state, seen = optax.sgd(0.1).init(1.0), {"seen": jnp.zeros(())}
    state = TrainState(params=jnp.ones(()), buffers=seen, opt_state=opt_state, step=jnp.array(0), rng=jax.random.key(0))
    state, metrics = run_steps(loss)(state, jnp.arange(3.0))
    assert len(np.unique(metrics["draw"])) == 3
    assert float(state.buffers["seen"]) == 3.0
    assert metrics["train"].all()


def test_a_loss_that_is_no_scalar_is_refused():
    def loss(params, batch, *, buffers, rng, train):
        return params * batch, (buffers, {})

    state = TrainState(params=jnp.ones(2), buffers={}, opt_state=(), step=jnp.array(0), rng=jax.random.key(0))
    with pytest.raises(TypeError, match="scalar"):
        make_train_step(loss)(state, jnp.ones(2))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_train_step_lowers_from_a_cpu(model, platform):
    step = make_train_step(classification_loss(model))
    state = create_state(model, jax.random.key(0), optax.sgd(0.1))
    text = step.trace(state, at(batches(), 0)).lower(lowering_platforms=(platform,)).as_text()
    assert "func.func public @main" in text
