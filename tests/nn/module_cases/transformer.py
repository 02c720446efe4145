"""Cases of the Transformer."""

import numpy as np

from .table import module, normal

S, T, N, D = 3, 4, 2, 4
src, tgt, memory = normal(S, N, D), normal(T, N, D, seed=1), normal(S, N, D, seed=2)
padding = np.array([[False, False, True], [False, True, False]])
tgt_padding = np.array([[False] * 4, [False, False, False, True]])
additive_padding = np.where(padding, -1.5, 0.0)


def causal(n):
    return np.triu(np.full((n, n), -np.inf), 1)


def layer(lib, kind, dropout=0.0, **options):
    return getattr(lib.nn, f"Transformer{kind}Layer")(D, 2, 5, dropout, **options)


def encoder_layer(id, inputs, kwargs=None, modes=("train", "eval"), parity=True, **options):
    module("TransformerEncoderLayer", id, lambda lib: layer(lib, "Encoder", **options), inputs, kwargs=kwargs, modes=modes, parity=parity)


encoder_layer("usual", [src])
encoder_layer("norm first, gelu, causal by a hint", [src], {"src_mask": causal(S), "is_causal": True}, norm_first=True, activation="gelu")
encoder_layer("batch first, without biases, padding", [normal(N, S, D)], {"src_key_padding_mask": padding}, batch_first=True, bias=False)
encoder_layer("one sequence, eps, additive mask as input", [normal(S, D), normal(2, S, S)], layer_norm_eps=0.1)
encoder_layer("dropout in evaluation", [src], dropout=0.5, modes=("eval",))
encoder_layer("dropout in training", [src], dropout=0.5, modes=("train",), parity=False)
module("TransformerEncoderLayer", "a module as activation", lambda lib: layer(lib, "Encoder", activation=lib.nn.Tanh()), [src])


def decoder_layer(id, inputs, kwargs=None, modes=("train", "eval"), parity=True, **options):
    module("TransformerDecoderLayer", id, lambda lib: layer(lib, "Decoder", **options), inputs, kwargs=kwargs, modes=modes, parity=parity)


decoder_layer("usual", [tgt, memory])
decoder_layer(
    "norm first, all masks",
    [tgt, memory],
    {
        "tgt_mask": causal(T),
        "memory_mask": normal(T, S),
        "tgt_key_padding_mask": np.where(tgt_padding, -np.inf, 0.0),
        "memory_key_padding_mask": additive_padding,
        "tgt_is_causal": True,
    },
    norm_first=True,
    activation="gelu",
)
decoder_layer(
    "batch first, without biases, masks that are hints",
    [normal(N, T, D), normal(N, S, D)],
    {
        "tgt_mask": np.triu(np.ones((T, T), bool), 1),
        "memory_mask": np.triu(np.ones((T, S), bool), 1),
        "tgt_is_causal": True,
        "memory_is_causal": True,
    },
    batch_first=True,
    bias=False,
)
decoder_layer(
    "one sequence, eps, boolean padding", [normal(T, D), normal(S, D)], {"memory_key_padding_mask": padding[0]}, layer_norm_eps=0.1
)
decoder_layer("dropout in evaluation", [tgt, memory], dropout=0.5, modes=("eval",))
decoder_layer("dropout in training", [tgt, memory], dropout=0.5, modes=("train",), parity=False)

one_mode = ("eval",)  # nothing is random in either
module("TransformerEncoder", "two layers", lambda lib: lib.nn.TransformerEncoder(layer(lib, "Encoder"), 2), [src])
module(
    "TransformerEncoder",
    "norm, causal mask and additive padding",
    lambda lib: lib.nn.TransformerEncoder(layer(lib, "Encoder", norm_first=True), 1, lib.nn.LayerNorm(D)),
    [src],
    kwargs={"mask": causal(S), "src_key_padding_mask": additive_padding},
    modes=one_mode,
)
module(
    "TransformerEncoder",
    "causal by a hint, without nested tensors",
    lambda lib: lib.nn.TransformerEncoder(layer(lib, "Encoder", batch_first=True), 1, enable_nested_tensor=False, mask_check=False),
    [normal(N, S, D)],
    kwargs={"mask": causal(S), "is_causal": True},
    modes=one_mode,
)
module(
    "TransformerEncoder",
    "boolean masks, one sequence",
    lambda lib: lib.nn.TransformerEncoder(layer(lib, "Encoder"), 1),
    [src[:, 0]],
    kwargs={"mask": np.triu(np.ones((S, S), bool), 1), "src_key_padding_mask": padding[0]},
    modes=one_mode,
)

module("TransformerDecoder", "two layers", lambda lib: lib.nn.TransformerDecoder(layer(lib, "Decoder"), 2), [tgt, memory])
module(
    "TransformerDecoder",
    "norm, all masks",
    lambda lib: lib.nn.TransformerDecoder(layer(lib, "Decoder"), 1, lib.nn.LayerNorm(D)),
    [tgt, memory],
    modes=one_mode,
    kwargs={
        "tgt_mask": causal(T),
        "memory_mask": normal(T, S),
        "tgt_key_padding_mask": np.where(tgt_padding, -np.inf, 0.0),
        "memory_key_padding_mask": additive_padding,
    },
)
module(
    "TransformerDecoder",
    "causal by hints",
    lambda lib: lib.nn.TransformerDecoder(layer(lib, "Decoder", batch_first=True), 1),
    [normal(N, T, D), normal(N, S, D)],
    kwargs={"tgt_mask": causal(T), "tgt_is_causal": True},
    modes=one_mode,
)
module(
    "TransformerDecoder",
    "one sequence",
    lambda lib: lib.nn.TransformerDecoder(layer(lib, "Decoder", bias=False), 1),
    [tgt[:, 0], memory[:, 0]],
    modes=one_mode,
)


def transformer(id, inputs, kwargs=None, modes=one_mode, **options):
    module("Transformer", id, lambda lib: lib.nn.Transformer(D, 2, 1, 1, 5, 0.0, **options), inputs, kwargs=kwargs, modes=modes)


transformer("usual", [src, tgt], modes=("train", "eval"))
transformer(
    "all masks, norm first",
    [src, tgt],
    {
        "src_mask": normal(S, S),
        "tgt_mask": causal(T),
        "memory_mask": normal(T, S),
        "src_key_padding_mask": additive_padding,
        "tgt_key_padding_mask": np.where(tgt_padding, -np.inf, 0.0),
        "memory_key_padding_mask": additive_padding,
    },
    norm_first=True,
)
transformer(
    "batch first, without biases, hints",
    [normal(N, S, D), normal(N, T, D)],
    {"src_mask": causal(S), "tgt_mask": causal(T), "src_is_causal": True, "tgt_is_causal": True},
    batch_first=True,
    bias=False,
)
transformer("one sequence, gelu, eps", [src[:, 0], tgt[:, 0]], activation="gelu", layer_norm_eps=0.1)
module(
    "Transformer",
    "custom encoder and decoder",
    lambda lib: lib.nn.Transformer(
        D,
        2,
        custom_encoder=lib.nn.TransformerEncoder(layer(lib, "Encoder"), 1),
        custom_decoder=lib.nn.TransformerDecoder(layer(lib, "Decoder"), 1),
    ),
    [src, tgt],
    modes=one_mode,
)
