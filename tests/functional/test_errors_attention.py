"""What attention refuses, as PyTorch does; the message names what came."""

import re

import jax
import jax.numpy as jnp
import pytest

import bpjax.functional as F
from bpjax import nn

q, k, v = jnp.ones((2, 3, 4, 5)), jnp.ones((2, 3, 6, 5)), jnp.ones((2, 3, 6, 7))
six, five, two = jnp.ones((2, 6, 4, 5)), jnp.ones((2, 5, 4, 5)), jnp.ones((4, 5))
attention = F.scaled_dot_product_attention


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: attention(q[0, 0, 0], k, v), ValueError, "at least 2 axes, got query (5,), key (2, 3, 6, 5)"),
        (lambda: attention(two, two, two, enable_gqa=True), ValueError, "at least 3 axes, got query (4, 5)"),
        (lambda: attention(q, k[..., :4], v), ValueError, "query and key must have one last axis, got query"),
        (lambda: attention(q, k, v[..., :5, :]), ValueError, "key and value must have one length (axis -2), got query"),
        (
            lambda: attention(q, k[..., :4], v[..., :5, :]),
            ValueError,
            "last axis, got query (2, 3, 4, 5), key (2, 3, 6, 4), value (2, 3, 5, 7); key and value must have one length",
        ),
        (lambda: attention(six, k, v), ValueError, "leading axes do not broadcast (enable_gqa=False), got query (2, 6, 4, 5)"),
        (lambda: attention(five, k, v, enable_gqa=True), ValueError, "the heads (axis -3) of key and value must divide"),
        (lambda: attention(q[:, :1], k, v, enable_gqa=True), ValueError, "must divide"),
        (lambda: attention(q, k, v, jnp.ones((4, 5))), ValueError, "must broadcast to (2, 3, 4, 6) from at least 2 axes, got shape (4, 5)"),
        (lambda: attention(q, k, v, jnp.ones(6, bool)), ValueError, "attn_mask must broadcast to (2, 3, 4, 6) from at least 2 axes"),
        (lambda: attention(q, k, v, jnp.ones((3, 2, 3, 4, 6), bool)), ValueError, "got shape (3, 2, 3, 4, 6)"),
        (lambda: attention(q, k, v, jnp.ones((4, 6), int)), ValueError, "attn_mask must be of bool or float32, got int32"),
        (lambda: attention(q, k, v, jnp.ones((4, 6), jnp.bfloat16)), ValueError, "got bfloat16"),
        (lambda: attention(q, k, v, jnp.ones((4, 5), int)), ValueError, "got int32; attn_mask must broadcast"),
        (lambda: attention(q, k, v, jnp.ones((4, 6), bool), is_causal=True), ValueError, "either attn_mask or is_causal=True"),
        (lambda: attention(q, None, v), TypeError, "expected key as an array, got a NoneType"),
        (lambda: attention(q, k, v, [1.0]), TypeError, "expected attn_mask as an array, got a list"),
        (lambda: attention(q, k, v, None, "a"), TypeError, "dropout_p must be a number, got 'a'"),
        (lambda: attention(q, k, v, is_causal=1, scale="a"), TypeError, "scale must be a number or None, got 'a'; is_causal must be True"),
        (lambda: attention(q, k, v, None, 0.0, False, 0.5), TypeError, "too many positional arguments"),
        (lambda: attention(q, k, v, None, 1.5), ValueError, "dropout_p must lie in [0, 1], got 1.5"),
        (lambda: attention(q, k, v, None, -0.1), ValueError, "got -0.1"),
        (lambda: attention(q, k, v, None, 0.1), ValueError, "dropout needs rng="),
        (lambda: attention(q, k, v.astype(jnp.bfloat16)), TypeError, "one dtype, got query float32, key float32, value bfloat16"),
        (lambda: attention(q.astype(int), k, v), TypeError, "floating-point query, got int32"),
    ],
)
def test_scaled_dot_products_refuse(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()


x, y = jnp.ones((3, 2, 4)), jnp.ones((5, 2, 4))
W, b, W_out, matrix = jnp.ones((12, 4)), jnp.ones(12), jnp.ones((4, 4)), jnp.ones((4, 4))


def heads(query=x, key=y, value=y, embed_dim=4, num_heads=2, in_proj_weight=W, bias=b, bias_k=None, bias_v=None, **options):
    return F.multi_head_attention_forward(
        query, key, value, embed_dim, num_heads, in_proj_weight, bias, bias_k, bias_v, False, 0.0, W_out, None, **options
    )


separate = {"in_proj_weight": None, "use_separate_proj_weight": True, "q_proj_weight": matrix, "k_proj_weight": matrix}
one = jnp.ones((1, 1, 4))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"query": x[0, 0]}, ValueError, "all (length, batch, features) or all (length, features), got query (4,), key (5, 2, 4)"),
        ({"query": x[0]}, ValueError, "got query (2, 4), key (5, 2, 4), value (5, 2, 4)"),
        ({"in_proj_weight": None}, ValueError, "expected in_proj_weight, got None"),
        (separate, ValueError, "expected v_proj_weight, got None"),
        ({"bias_k": one}, ValueError, "give both bias_k and bias_v, or neither"),
        ({"num_heads": 0}, ValueError, "num_heads must be positive, got 0"),
        ({"num_heads": 3}, ValueError, "embed_dim=4 must be divisible by num_heads=3"),
        ({"query": x[..., :3]}, ValueError, "expected query of shape (3, 2, 4), got (3, 2, 3)"),
        ({"key": y[:, :1]}, ValueError, "expected key of shape (5, 2, 4), got (5, 1, 4)"),
        ({"value": y[:4]}, ValueError, "expected value of shape (5, 2, 4), got (4, 2, 4)"),
        ({"value": y[..., :3]}, ValueError, "expected value of shape (5, 2, 4), got (5, 2, 3)"),
        ({"in_proj_weight": W[:8], "bias": b[:8]}, ValueError, "in_proj_weight of shape (12, 4), got (8, 4); expected in_proj_bias"),
        ({**separate, "v_proj_weight": W}, ValueError, "expected v_proj_weight of shape (4, 4), got (12, 4)"),
        ({"bias_k": one[0], "bias_v": one}, ValueError, "expected bias_k of shape (1, 1, 4), got (1, 4)"),
        ({"static_k": jnp.ones((2, 5, 2))}, ValueError, "expected static_k of shape (4, 5, 2), got (2, 5, 2)"),
        ({"static_k": jnp.ones((4, 6, 2))}, ValueError, "keys and values must have one length, got 6 and 5"),
        ({"static_v": jnp.ones((4, 6, 2))}, ValueError, "expected static_v of shape (4, 5, 2), got (4, 6, 2)"),
        ({"static_v": jnp.ones((4, 5, 2)), "bias_k": one, "bias_v": one}, ValueError, "bias_k cannot be appended to static_k, static_v"),
        ({"key_padding_mask": jnp.ones((5, 2), bool)}, ValueError, "expected key_padding_mask of shape (2, 5), got (5, 2)"),
        ({"attn_mask": jnp.ones((2, 3, 5), bool)}, ValueError, "expected attn_mask of shape (3, 5) or (4, 3, 5), got (2, 3, 5)"),
        ({"attn_mask": jnp.ones((3, 5), int)}, ValueError, "attn_mask must be of bool or float32, got int32"),
        (
            {"key_padding_mask": jnp.ones(5, jnp.float16), "attn_mask": one},
            ValueError,
            "key_padding_mask of shape (2, 5), got (5,); "
            "expected attn_mask of shape (3, 5) or (4, 3, 5), got (1, 1, 4); key_padding_mask must be of bool or float32, got float16",
        ),
        ({"is_causal": True}, ValueError, "is_causal=True says that attn_mask is causal: give it"),
        ({"query": [1.0]}, TypeError, "expected query as an array, got a list"),
        ({"value": None}, TypeError, "expected value as an array, got a NoneType"),
        ({"attn_mask": [[True]]}, TypeError, "expected attn_mask as an array, got a list"),
        ({"query": x.astype(int)}, TypeError, "floating-point query, got int32"),
        ({"value": y.astype(jnp.bfloat16)}, TypeError, "value bfloat16"),
        ({"bias": b.astype(jnp.bfloat16)}, TypeError, "in_proj_bias bfloat16"),
    ],
)
def test_several_heads_refuse(options, error, words):
    with pytest.raises(error, match=re.escape(words)):
        heads(**options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.MultiheadAttention(0, 1), "MultiheadAttention: embed_dim and num_heads must be positive"),
        (lambda: nn.MultiheadAttention(4, 0), "got 4 and 0"),
        (lambda: nn.MultiheadAttention(4, 3), "divisible by num_heads, got 4 and 3"),
        (lambda: nn.MultiheadAttention(4, 2, 1.5), "MultiheadAttention: dropout must lie in [0, 1], got 1.5"),
        (lambda: nn.MultiheadAttention(4, 2, kdim=-1), "MultiheadAttention: kdim must not be negative, got -1"),
        (lambda: nn.Transformer.generate_square_subsequent_mask(-1), "sz must be a whole number, not negative, got -1"),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), "EncoderLayer: activation must be 'relu', 'gelu' or a function"),
        (lambda: nn.TransformerDecoderLayer(4, 2, activation="tanh"), "TransformerDecoderLayer: activation"),
    ],
)
def test_constructors_refuse(make, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        make()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.MultiheadAttention(4.0, 2), "MultiheadAttention: embed_dim must be a whole number, got 4.0"),
        (lambda: nn.MultiheadAttention(4, 2, vdim=2.0), "vdim must be a whole number, got 2.0"),
        (lambda: nn.MultiheadAttention(4, 2, None), "dropout must be a number, got None"),
        (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 2.0), "TransformerEncoder: num_layers must be a whole number"),
        (lambda: nn.Transformer.generate_square_subsequent_mask(2, dtype=int), "dtype must be floating-point, got int"),
    ],
)
def test_constructors_refuse_other_types(make, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        make()


transformer = nn.Transformer(4, 2, 1, 1, 8)


@pytest.mark.parametrize(
    ("module", "inputs", "options", "error", "words"),
    [
        (nn.MultiheadAttention(4, 2, batch_first=True), [x, x, x[:2]], {}, ValueError, "value of shape (2, 3, 4), got (2, 2, 4)"),
        (nn.MultiheadAttention(4, 2, batch_first=True), [x, x[0], x], {}, ValueError, "got query (3, 2, 4), key (2, 4)"),
        (nn.MultiheadAttention(4, 2), [x, x, None], {}, TypeError, "expected value as an array, got a NoneType"),
        (nn.MultiheadAttention(4, 2, 0.1), [x, x, x], {"train": True}, ValueError, "rng"),
        (nn.MultiheadAttention(4, 2), [x.astype(jnp.bfloat16)] * 3, {}, TypeError, "query bfloat16"),
        (transformer, [x, y[:, :1]], {}, ValueError, "of 4 features and one batch, got shapes (3, 2, 4) and (5, 1, 4)"),
        (transformer, [x, y[..., :3]], {}, ValueError, "Transformer: expected src and tgt of 4 features and one batch"),
        (
            transformer,
            [x, y],
            {"tgt_mask": jnp.ones((3, 3))},
            ValueError,
            '"decoder.layers.0.self_attn" (MultiheadAttention): '
            "multi_head_attention_forward: expected attn_mask of shape (5, 5) or (4, 5, 5), got (3, 3)",
        ),
        (transformer, [x, y], {"src_is_causal": True}, ValueError, '"encoder.layers.0.self_attn" (MultiheadAttention): '),
        (transformer, [x, y], {"memory_key_padding_mask": jnp.ones((2, 3), int)}, ValueError, "key_padding_mask must be of bool"),
    ],
)
def test_modules_refuse(module, inputs, options, error, words):
    with pytest.raises(error, match=re.escape(words)):
        module.apply(module.init(jax.random.key(0)), *inputs, **options)
