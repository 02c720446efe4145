"""What the activations, dropout, linear maps and embeddings refuse, as PyTorch does; the message names what came."""

import re
import warnings

import jax
import jax.numpy as jnp
import pytest

import bpjax.functional as F
from bpjax import nn

x, ints, bools = jnp.ones((2, 4)), jnp.ones((2, 4), int), jnp.ones((2, 4), bool)
half = jnp.ones((2, 4), jnp.bfloat16)
i, W, two = jnp.array([0, 1, 2]), jnp.ones((4, 3)), jnp.array([0, 2])
key = jax.random.key(0)
FLOATING = "logsigmoid softplus leaky_relu rrelu elu celu selu gelu silu mish hardsigmoid hardswish hardshrink softshrink glu"


@pytest.mark.parametrize("name", FLOATING.split())
def test_an_integer_input_is_refused(name):
    with pytest.raises(TypeError, match=f"{name}: expected a floating-point input, got int"):
        getattr(F, name)(ints)


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_integers_are_refused_unless_converted(name):
    with pytest.raises(TypeError, match="floating-point input, got int"):
        getattr(F, name)(ints, dim=1)
    assert getattr(F, name)(ints, dim=1, dtype=jnp.float32).dtype == jnp.float32


@pytest.mark.parametrize("name", ["relu", "relu6", "hardtanh", "tanhshrink", "softsign"])
def test_integers_pass_and_booleans_do_not(name):
    assert getattr(F, name)(ints).shape == ints.shape
    with pytest.raises(TypeError, match=f"{name}: expected real numbers, got bool"):
        getattr(F, name)(bools)


def test_integers_keep_their_type_in_pieces():
    assert {f(ints).dtype for f in (F.relu, F.relu6, F.hardtanh, lambda x: F.threshold(x, 0.5, 2.5))} == {ints.dtype}
    assert F.sigmoid(ints).dtype == F.tanh(ints).dtype == x.dtype


VALUES = {
    "hardtanh: min_val must not lie above max_val, got 2 and 1": lambda: F.hardtanh(x, 2, 1),
    "hardtanh: uint8 has no negative limits, got -1.0 and 1.0": lambda: F.hardtanh(ints.astype(jnp.uint8)),
    "Hardtanh: max_val must be greater than min_val, got 1 and 1": lambda: nn.Hardtanh(1, 1),
    "softshrink: lambd must not be negative, got -0.5": lambda: F.softshrink(x, -0.5),
    "celu: alpha must not be 0": lambda: F.celu(x, 0),
    "glu: expected an axis dim=0 of even size to halve, got shape (3, 2)": lambda: F.glu(jnp.ones((3, 2)), 0),
    "glu: expected an axis dim=2": lambda: F.glu(x, 2),
    "glu: expected an axis dim=-1 of even size to halve, got shape ()": lambda: F.glu(jnp.ones(())),
    "rrelu: lower must not lie above upper, got 0.5 and 0.1": lambda: F.rrelu(x, 0.5, 0.1),
    "rrelu: training needs rng=": lambda: F.rrelu(x, training=True),
    "prelu: expected one weight, or weight (C,) for an input (N, C, *), got input (2, 4), weight (3,)": lambda: F.prelu(x, jnp.ones(3)),
    "got input (2, 4), weight (1, 1)": lambda: F.prelu(x, jnp.ones((1, 1))),
    "got input (4,), weight (4,)": lambda: F.prelu(x[0], jnp.ones(4)),
    "got input (), weight (2,)": lambda: F.prelu(x[0, 0], jnp.ones(2)),
    "softmax: dim=2 is no axis of an input of shape (2, 4)": lambda: F.softmax(x, 2),
    "softmax: dim=1.0 is no axis of an input of shape (2, 4)": lambda: F.softmax(x, 1.0),
    "log_softmax: say along which axis": lambda: F.log_softmax(x),
    "Softmax2d: expected input (N, C, H, W) or (C, H, W), got shape (2, 4)": lambda: nn.Softmax2d()(x),
    "gumbel_softmax: is random and needs rng=": lambda: F.gumbel_softmax(x),
    "dropout2d: p must lie in [0, 1], got 1.5": lambda: F.dropout2d(x, 1.5),
    "AlphaDropout: p must lie in [0, 1], got -0.1": lambda: nn.AlphaDropout(-0.1),
    "dropout1d: expected input (N, C, L) or (C, L), got shape (1, 2, 2, 4)": lambda: F.dropout1d(jnp.ones((1, 2, 2, 4)), training=False),
    "dropout1d: expected input (N, C, L) or (C, L), got shape (4,)": lambda: nn.Dropout1d()(x[0]),
    "dropout2d: expected input (N, C, H, W), got shape (4,)": lambda: F.dropout2d(x[0], rng=key),
    "dropout3d: expected input (N, C, D, H, W) or (C, D, H, W), got shape ()": lambda: F.dropout3d(x[0, 0], rng=key),
    "feature_alpha_dropout: expected input (N, C, *), got shape (4,)": lambda: F.feature_alpha_dropout(x[0], 0.5, True, rng=key),
    "alpha_dropout: training needs rng=": lambda: F.alpha_dropout(x, training=True),
    "linear: expected input (*, in), weight (out, in) and bias (out,), got input (2, 4), weight (4, 3)": lambda: F.linear(x, W),
    "got input (2, 4), weight (3, 4), bias (4,)": lambda: F.linear(x, W.T, jnp.ones(4)),
    "got input (2, 4), weight (1, 3, 4)": lambda: F.linear(x, W.T[None]),
    "got input (), weight (1, 1)": lambda: F.linear(jnp.ones(()), jnp.ones((1, 1))),
    "got (2, 4), (3, 4), weight (1, 4, 4)": lambda: F.bilinear(x, jnp.ones((3, 4)), jnp.ones((1, 4, 4))),
    "got (2, 4), (2, 4), weight (1, 4, 3)": lambda: F.bilinear(x, x, jnp.ones((1, 4, 3))),
    "got (2, 4), (2, 4), weight (1, 4, 4), bias (2,)": lambda: F.bilinear(x, x, jnp.ones((1, 4, 4)), jnp.ones(2)),
    "Bilinear: in1_features must be positive, got 0": lambda: nn.Bilinear(0, 1, 1),
    "unflatten: sizes (2, 3) do not multiply up to axis 1 of an input of shape (2, 4)": lambda: nn.Unflatten(1, (2, 3))(x),
    "sizes (-1, -1) do not": lambda: F.unflatten(x, 1, (-1, -1)),
    "sizes (-2, -2) do not": lambda: F.unflatten(x, 1, (-2, -2)),
    "sizes (3, -1) do not": lambda: F.unflatten(x, 1, (3, -1)),
    "sizes (0, -1) do not": lambda: F.unflatten(x[:, :0], 1, (0, -1)),
    "sizes () do not": lambda: F.unflatten(x, 1, ()),
    "multiply up to axis 2": lambda: F.unflatten(x, 2, (2, 2)),
    "embedding: expected weight (V, D), got shape (3,)": lambda: F.embedding(i, W[0]),
    "embedding: padding_idx=4 is no row of 4": lambda: F.embedding(i, W, 4),
    "Embedding: padding_idx -5 must lie within the 4": lambda: nn.Embedding(4, 3, -5),
    "Embedding: expected a weight of shape (4, 2), got (4, 3)": lambda: nn.Embedding(4, 2, _weight=W),
    "Embedding.from_pretrained: expected embeddings of two axes, got shape (3,)": lambda: nn.Embedding.from_pretrained(W[0]),
    "embedding_bag: expected input (B, N) or (n,), got shape (1, 1, 3)": lambda: F.embedding_bag(i[None, None], W),
    "input (n,) needs offsets (B,), got None": lambda: F.embedding_bag(i, W),
    "input (n,) needs offsets (B,), got shape (1, 2)": lambda: F.embedding_bag(i, W, two[None]),
    "leave offsets out, got shape (2,)": lambda: F.embedding_bag(i[None], W, two),
    "include_last_offset needs one offset": lambda: F.embedding_bag(i, W, two[:0], include_last_offset=True),
    "mode must be 'sum', 'mean' or 'max', got 'prod'": lambda: F.embedding_bag(i, W, two, mode="prod"),
    "no meaning for mode='max'": lambda: F.embedding_bag(i, W, two, mode="max", scale_grad_by_freq=True),
    "of the shape of input (3,), got (2,)": lambda: F.embedding_bag(i, W, two, mode="sum", per_sample_weights=jnp.ones(2)),
    "one_hot: num_classes cannot be read off traced": lambda: jax.jit(F.one_hot)(i),
    "traced or empty classes": lambda: F.one_hot(i[:0]),
    "one_hot: expected classes in [0, 2), got 0 to 2": lambda: F.one_hot(i, 2),
    "one_hot: expected classes in [0, 2), got -1 to 1": lambda: F.one_hot(i - 1, 2),
    "one_hot: num_classes must be positive, got 0": lambda: F.one_hot(i, 0),
}
TYPES = {
    "threshold: expected real numbers, got bool": lambda: F.threshold(bools, 0.5, 2.0),
    "prelu: expected one dtype, got input float32, weight bfloat16": lambda: F.prelu(x, half[0, :1]),
    "prelu: expected a floating-point input, got int": lambda: F.prelu(ints, ints[0]),
    "dropout: expected a floating-point input, got int": lambda: F.dropout(ints, rng=key),
    "linear: expected one dtype, got input bfloat16, weight float32": lambda: F.linear(half, W.T),
    "linear: expected one dtype, got input float32, weight float32, bias bfloat16": lambda: F.linear(x, W.T, half[0, :3]),
    "linear: expected a floating-point or complex input, got int": lambda: F.linear(ints, ints),
    "bilinear: expected one dtype, got input1 float32, input2 bfloat16": lambda: F.bilinear(x, half, jnp.ones((1, 4, 4))),
    "Unflatten: unflattened_size must be a tuple of whole numbers, got 4": lambda: nn.Unflatten(1, 4),
    "whole numbers, got (2.0, 2)": lambda: nn.Unflatten(1, (2.0, 2)),
    "embedding: expected integer indices, int32 or int64, got float32 of shape (2, 4)": lambda: F.embedding(x, W),
    "embedding: expected a floating-point weight": lambda: F.embedding(i, ints),
    "embedding: expected integer indices, int32 or int64, got uint8": lambda: F.embedding(i.astype(jnp.uint8), jnp.ones((300, 3))),
    "embedding: expected integer indices, int32 or int64, got int16": lambda: F.embedding(i.astype(jnp.int16), W),
    "embedding: expected integer indices, int32 or int64, got bool": lambda: F.embedding(bools, W),
    "embedding_bag: expected integer indices, int32 or int64, got float32": lambda: F.embedding_bag(x, W),
    "embedding_bag: expected integer indices, int32 or int64, got int8": lambda: F.embedding_bag(i.astype(jnp.int8), W, two),
    "offsets: expected integer indices, int32 or int64, got float32": lambda: F.embedding_bag(i, W, jnp.ones(2)),
    "got weight float32, per_sample_weights bfloat16": lambda: F.embedding_bag(i, W, two, per_sample_weights=half[0, :3], mode="sum"),
    "one_hot: expected integer classes, int32 or int64, got float32": lambda: F.one_hot(x),
    "one_hot: expected integer classes, int32 or int64, got uint8": lambda: F.one_hot(i.astype(jnp.uint8)),
}
UNSUPPORTED = {
    "embedding: max_norm": lambda: F.embedding(i, W, max_norm=1.0),
    "EmbeddingBag: max_norm": lambda: nn.EmbeddingBag(4, 3, sparse=True),
    "per_sample_weights need mode='sum', got mode='mean'": lambda: F.embedding_bag(i, W, two, per_sample_weights=jnp.ones(3)),
}


@pytest.mark.parametrize(
    ("kind", "words", "call"),
    [
        (kind, words, call)
        for kind, calls in {ValueError: VALUES, TypeError: TYPES, NotImplementedError: UNSUPPORTED}.items()
        for words, call in calls.items()
    ],
)
def test_is_refused(kind, words, call):
    with pytest.raises(kind, match=re.escape(words)):
        call()


def test_old_names_of_hardtanh_warn():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert repr(nn.Hardtanh(min_value=-3.0)) == "Hardtanh(min_val=-3.0, max_val=1.0)"
    assert [w.category for w in said] == [FutureWarning]
