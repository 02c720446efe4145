"""What the cases of attention and the Transformer do not show: copies, first values, dropout, precision."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bpjax
import bpjax.functional as F
from bpjax import interop, nn

key, x = jax.random.key(0), jax.random.normal(jax.random.key(1), (3, 2, 4))


@pytest.mark.parametrize("activation", [F.relu, "gelu", nn.Tanh(), jnp.sin])
def test_layers_are_copies_with_parameters_of_their_own(activation):
    layer = nn.TransformerEncoderLayer(4, 2, 8, activation=activation)
    model = nn.TransformerEncoder(layer, 2, nn.LayerNorm(4))
    params = model.init(key)
    first, second = params["layers"]["0"], params["layers"]["1"]
    assert jax.tree.structure(first) == jax.tree.structure(second) == jax.tree.structure(layer.init(key))
    assert (first["linear1"]["weight"] != second["linear1"]["weight"]).all()
    names = interop.state_dict(params)
    assert {"layers.0.self_attn.in_proj_weight", "layers.1.self_attn.out_proj.bias", "norm.weight"} <= names.keys()


def test_a_layer_can_be_pickled():
    layer = nn.TransformerEncoderLayer(4, 2, 8)
    again, params = pickle.loads(pickle.dumps(layer)), layer.init(key)
    assert again.activation is F.relu and (again.apply(params, x) == layer.apply(params, x)).all()


def test_first_values():
    params = nn.MultiheadAttention(64, 2, kdim=32, add_bias_kv=True).init(key)
    bound = (6 / (64 + 32)) ** 0.5
    assert 0.99 * bound < abs(params["k_proj_weight"]).max() <= bound
    assert not params["in_proj_bias"].any() and not params["out_proj"]["bias"].any() and params["bias_k"].std() > 0.05
    assert abs(params["out_proj"]["weight"]).max() <= 1 / 8
    params = nn.Transformer(64, 2, 1, 1, 32).init(key)
    assert abs(params["encoder"]["layers"]["0"]["self_attn"]["out_proj"]["weight"]).max() > 1.01 / 8  # Xavier's bound


def test_the_causal_mask():
    assert nn.Transformer.generate_square_subsequent_mask(2).tolist() == [[0.0, -np.inf], [0.0, 0.0]]
    assert nn.Transformer.generate_square_subsequent_mask(2, dtype=jnp.bfloat16).dtype == jnp.bfloat16


def test_dropout_in_training_is_that_of_the_key():
    model = nn.MultiheadAttention(4, 2, 0.5)
    params = model.init(key)
    run = lambda **options: model.apply(params, x, x, x, train=True, **options)
    _, weights = run(rng=key, average_attn_weights=False)
    assert (run(rng=key)[0] == run(rng=key)[0]).all() and (run(rng=key)[0] != run(rng=jax.random.key(1))[0]).any()
    kept = model.apply(params, x, x, x, average_attn_weights=False)[1]
    np.testing.assert_allclose(jnp.where(weights == 0, 0, weights / kept), jnp.where(weights == 0, 0, 2.0), rtol=1e-5)


@pytest.mark.parametrize("need_weights", [True, False])
def test_padding_alone_gives_the_bias_and_no_nan(need_weights):
    model = nn.MultiheadAttention(4, 2)
    params, padding = model.init(key), jnp.array([[True] * 3, [False] * 3])
    loss = lambda params, x: model.apply(params, x, x, x, padding, need_weights)[0]
    assert not loss(params, x)[:, 0].any() and loss(params, x)[:, 1].all()
    for lib in (bpjax, jax):
        grads = lib.grad(lambda *a: jnp.sum(loss(*a) ** 2), (0, 1))(params, x)
        assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads)) and not grads[1][:, 0].any()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_low_precision_is_summed_in_float32(dtype):
    q, k, v = (30 * jax.random.normal(jax.random.key(i), (2, 7, 64)) for i in range(3))
    q, k, v = (a.astype(dtype) for a in (q, k, v))  # q kᵀ lies beyond float16
    y = F.scaled_dot_product_attention(q, k, v, scale=0.5)
    truth = F.scaled_dot_product_attention(*(a.astype(jnp.float32) for a in (q, k, v)), scale=0.5)
    assert y.dtype == dtype and abs(y - truth).max() <= 2 * jnp.finfo(dtype).eps * abs(truth).max()
