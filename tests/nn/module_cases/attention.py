"""Cases of attention."""

import numpy as np

from .table import module, normal


def of_itself(cls):
    """The class, with one input for query, key and value."""
    return type(cls.__name__, (cls,), {"forward": lambda self, x, **options: cls.forward(self, x, x, x, **options)})


def of_memory(cls):
    """The class, with one input for key and value, and an additive mask as input."""
    forward = lambda self, x, memory, mask=None, **options: cls.forward(self, x, memory, memory, attn_mask=mask, **options)
    return type(cls.__name__, (cls,), {"forward": forward})


def attention(id, inputs, *args, like=None, kwargs=None, modes=("train", "eval"), parity=True, **options):
    kind = like or (lambda cls: cls)
    module(
        "MultiheadAttention",
        id,
        lambda lib: kind(lib.nn.MultiheadAttention)(*args, **options),
        inputs,
        kwargs=kwargs,
        modes=modes,
        parity=parity,
    )


x, memory = normal(3, 2, 4), normal(5, 2, 4)
not_causal, padding = np.triu(np.ones((3, 3), bool), 1), np.array([[False, False, True], [False, True, False]])
without = {"need_weights": False}
attention("itself", [x], 4, 2, like=of_itself)
by_hint = {"attn_mask": not_causal, "is_causal": True, **without}
attention("itself, without weights, causal by a hint", [x], 4, 2, like=of_itself, kwargs=by_hint)
attention(
    "itself, batch first, boolean masks, without biases",
    [x],
    4,
    1,
    bias=False,
    batch_first=True,
    like=of_itself,
    kwargs={"attn_mask": np.array([[False, True]] * 2), "key_padding_mask": np.zeros((3, 2), bool)},
)
attention(
    "itself, without weights, masks of two kinds, causal by a hint",
    [x],
    4,
    2,
    like=of_itself,
    kwargs={"attn_mask": np.where(not_causal, -np.inf, 0.0), "key_padding_mask": padding, "is_causal": True, **without},
)
attention(
    "memory, additive mask, weights of each head", [x, memory, normal(3, 5)], 4, 2, like=of_memory, kwargs={"average_attn_weights": False}
)
attention(
    "memory, additive mask for each head, padding, without weights",
    [x, memory, normal(4, 3, 5)],
    4,
    2,
    like=of_memory,
    kwargs={"key_padding_mask": np.arange(10).reshape(2, 5) % 4 == 1, **without},
)
attention("three inputs, batch first", [normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 4, seed=1)], 4, 4, batch_first=True, kwargs=without)
attention("kdim and vdim, appended keys", [x, normal(5, 2, 3), normal(5, 2, 6)], 4, 2, kdim=3, vdim=6, add_bias_kv=True, add_zero_attn=True)
attention(
    "kdim alone, without biases, one sequence", [normal(3, 4), normal(5, 2), normal(5, 4)], 4, 2, kdim=2, bias=False, batch_first=True
)
attention(
    "one sequence, mask for each head, padding, appended keys",
    [normal(3, 4), normal(5, 4), normal(2, 3, 5)],
    4,
    2,
    add_bias_kv=True,
    add_zero_attn=True,
    like=of_memory,
    kwargs={"key_padding_mask": np.arange(5) == 3, **without},
)
attention("causal by a hint, appended keys", [x], 4, 2, add_bias_kv=True, like=of_itself, kwargs=by_hint)
attention(
    "a sequence of padding alone, without weights",
    [x],
    4,
    2,
    like=of_itself,
    kwargs={"key_padding_mask": np.array([[True] * 3, [False] * 3]), **without},
)
attention(
    "a sequence of padding alone, with weights",
    [x],
    4,
    2,
    like=of_itself,
    parity=False,  # PyTorch: NaN
    kwargs={"key_padding_mask": np.array([[True] * 3, [False] * 3])},
)
attention("sizes of 1, batch 0", [normal(1, 0, 1)], 1, 1, like=of_itself)
attention("dropout in evaluation", [x], 4, 2, 0.5, like=of_itself, modes=("eval",))
attention("dropout of everything", [x], 4, 2, 1.0, like=of_itself)
attention("dropout in training", [x], 4, 2, 0.5, like=of_itself, modes=("train",), parity=False)
attention("dropout in training, without weights", [x], 4, 2, 0.5, like=of_itself, kwargs=without, modes=("train",), parity=False)


def function(id, inputs, **options):
    module("scaled_dot_product_attention", id, lambda lib: lambda *a: lib.F.scaled_dot_product_attention(*a, **options), inputs)


q, k, v = normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 2)
function("plain, scale", [q, k, v], scale=0.3)
function("additive mask that broadcasts", [q, k, v, normal(3, 1)])
function("boolean mask, a row that may attend to nothing", [q, k, v, normal(2, 3, 5) > np.array([[0.0], [9.0], [-1.0]])])
function("causal, fewer keys", [normal(5, 4), normal(3, 4), normal(3, 2)], is_causal=True)
function("causal, more keys", [q, k, v], is_causal=True)
function("grouped queries", [normal(2, 6, 3, 4), normal(2, 3, 5, 4), normal(2, 2, 5, 4)], enable_gqa=True)
function("broadcast leading axes", [normal(2, 1, 3, 4), normal(3, 5, 4), normal(1, 3, 5, 2)])
function("no keys", [normal(2, 4), normal(0, 4), normal(0, 3)])

W, W_out, bias = normal(12, 4), normal(4, 4), normal(12)
given = [normal(4, 5, 2), normal(4, 5, 2, seed=1)]
for id, inputs, extra in [("plain", [], {}), ("keys and values given", given, {}), ("without weights", [], without)]:
    module(
        "multi_head_attention_forward",
        id,
        lambda lib, extra=extra: (
            lambda x, W, b, W_out, k=None, v=None: lib.F.multi_head_attention_forward(
                x, x, x, 4, 2, W, b, None, None, False, 0.0, W_out, None, static_k=k, static_v=v, **extra
            )
        ),
        [x, W, bias, W_out, *inputs],
    )
module(
    "multi_head_attention_forward",
    "separate projections, appended keys, dropout in evaluation",
    lambda lib: (
        lambda q, k, v, W_q, W_k, W_v, b, b_k, b_v, W_out: lib.F.multi_head_attention_forward(
            q, k, v, 4, 2, None, b, b_k, b_v, True, 0.5, W_out, None, False, None, True, None, True, W_q, W_k, W_v
        )
    ),
    [x, normal(5, 2, 3), normal(5, 2, 6), W_out, normal(4, 3), normal(4, 6), bias, normal(1, 1, 4), normal(1, 1, 4, seed=1), W_out],
)
