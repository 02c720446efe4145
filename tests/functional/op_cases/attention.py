"""Cases of attention."""

import jax
import numpy as np

import bpjax.functional as F

from .table import case, normal

key, infinite = jax.random.key(2), np.triu(np.full((4, 4), -np.inf))  # whose first query may attend to nothing
q, k, v = (normal(2, 4, 4, seed=s) for s in range(3))
allowed = normal(2, 5, 6, seed=7) > np.array([0.0, -0.5, 9.0, -9.0, 0.0])[:, None]


def attention(id, args, mask=None, **options):
    """With a mask that is not differentiated."""
    case("scaled_dot_product_attention", id, args, f=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask, **options))


case("scaled_dot_product_attention", "additive mask", [q, k, v, normal(4, 4)])
case(
    "scaled_dot_product_attention",
    "additive mask for all keys, grouped, wide values",
    [normal(2, 6, 3, 4), normal(2, 2, 5, 4), normal(2, 3, 5, 7), normal(6, 3, 1)],
    f=lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m, enable_gqa=True),
)
attention("boolean mask, a row that may attend to nothing", [normal(2, 5, 4), normal(2, 6, 4), normal(2, 6, 3)], allowed)
attention("mask of each key alone", [normal(3, 5, 4), normal(3, 6, 4), normal(3, 6, 3)], normal(6))
attention("additive mask, a row of -∞", [q, k, v], infinite)
attention("causal, more keys than queries", [normal(3, 4), normal(5, 4), normal(5, 2)], is_causal=True, scale=0.7)
attention(
    "causal, more queries than keys, grouped", [normal(4, 5, 8), normal(1, 3, 8), normal(1, 3, 8, seed=1)], is_causal=True, enable_gqa=True
)
attention("broadcast leading axes", [normal(3, 1, 2, 4), normal(2, 5, 4), normal(4, 1, 2, 5, 3)])
attention("broadcast queries", [normal(1, 3, 4), normal(2, 5, 4), normal(2, 5, 3)])
attention("dropout", [normal(2, 4, 3, 5), normal(2, 2, 6, 5), normal(2, 2, 6, 4)], dropout_p=0.4, enable_gqa=True, rng=key)
attention("dropout of everything", [q, k, v], dropout_p=1.0, rng=key)
attention("large scores, of which some are equal", [1e4 * np.ones((3, 4)), 10 * normal(5, 4).round(), normal(5, 2)])
attention("sizes of 1, batch 0", [normal(0, 1, 1), normal(0, 1, 1), normal(0, 1, 1)])
attention("no keys", [normal(2, 3), normal(0, 3), normal(0, 2)], is_causal=True)

E = 4
x, memory, W, W_out = normal(4, 2, E), normal(3, 2, E), 0.5 * normal(3 * E, E), normal(E, E)
b, b_out = normal(3 * E), normal(E)


def heads(x, memory, W, b, W_out, b_out, bias_k=None, bias_v=None, kv=None, **options):
    options = {"add_zero_attn": False, "dropout_p": 0.0, **options}
    first = options.pop("add_zero_attn"), options.pop("dropout_p")
    y = F.multi_head_attention_forward(x, memory, memory, E, 2, W, b, bias_k, bias_v, *first, W_out, b_out, **options)
    return y[0] if y[1] is None else y[0].sum() + y[1]


def multi_head(id, args, **options):
    case("multi_head_attention_forward", id, args, f=lambda *a: heads(*a, **options))


multi_head("weights", [x, x[::-1], W, b, W_out, b_out])
multi_head(
    "weights of each head, dropped, appended keys",
    [x, memory, W, b, W_out, b_out, normal(1, 1, E), normal(1, 1, E)],
    average_attn_weights=False,
    add_zero_attn=True,
    dropout_p=0.3,
    rng=key,
)
multi_head(
    "without weights, padding, one sequence",
    [x[:, 0], memory[:, 0], W, b, W_out, b_out],
    need_weights=False,
    key_padding_mask=np.array([True, False, False]),
)
multi_head("a row that may attend to nothing", [x, memory, W, b, W_out, b_out], key_padding_mask=np.ones((2, 3), bool))
case(
    "multi_head_attention_forward",
    "separate projections without biases, additive masks",
    [x, normal(3, 2, 3), normal(3, 2, 5), W[:E], normal(E, 3), normal(E, 5), W_out, normal(4, 4, 3), normal(2, 3)],
    f=lambda q, k, v, Wq, Wk, Wv, Wo, m, p: F.multi_head_attention_forward(
        q, k, v, E, 2, None, None, None, None, False, 0.0, Wo, None, True, p, False, m, True, Wq, Wk, Wv
    )[0],
)
case(
    "multi_head_attention_forward",
    "self-attention, keys and values given",
    [x, normal(4, 5, 2), normal(4, 5, 2, seed=1), W, b, W_out, b_out],
    f=lambda x, k, v, W, b, Wo, bo: F.multi_head_attention_forward(
        x, x, x, E, 2, W, b, None, None, False, 0.0, Wo, bo, need_weights=False, static_k=k, static_v=v
    )[0],
)
