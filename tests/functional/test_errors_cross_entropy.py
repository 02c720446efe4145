"""What the losses of classes refuse, as PyTorch does, and what the messages name."""

import re

import jax
import jax.numpy as jnp
import pytest

import bpjax.functional as F
from bpjax import nn

z, t, p, w = jnp.ones((2, 3)), jnp.array([0, 2]), jnp.ones((2, 3)) / 3, jnp.ones(3)
x, W = jnp.ones((2, 4)), jnp.ones((3, 4))
lp, labels = jnp.zeros((5, 2, 3)), jnp.array([[1, 2], [2, 0]])
adaptive = nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 5])
bound = adaptive.bind(adaptive.init(jax.random.key(0)))


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: F.cross_entropy(jnp.ones(()), t), ValueError, "(C,), (N, C) or (N, C, d1, ...) with at least one class, got ()"),
        (lambda: F.cross_entropy(z[:, :0], t), ValueError, "(2, 0)"),
        (lambda: F.cross_entropy(z, t[:1]), ValueError, "of shape (2,)"),
        (lambda: F.cross_entropy(z, p[:, :2]), ValueError, "probabilities (floating point) of shape (2, 3), got float32 of shape (2, 2)"),
        (lambda: F.cross_entropy(z, jnp.ones((2, 3), int)), ValueError, "got int32 of shape (2, 3)"),
        (lambda: F.cross_entropy(z, jnp.ones(2)), ValueError, "got float32 of shape (2,)"),
        (lambda: F.cross_entropy(z, t == 0), TypeError, "got bool"),
        (lambda: F.cross_entropy(z.astype(int), t), TypeError, "floating-point input, got int32"),
        (lambda: F.cross_entropy(z, t, w[:2]), ValueError, "a weight of shape (3,), got (2,)"),
        (lambda: F.cross_entropy(z, t, w[None]), ValueError, "(1, 3)"),
        (lambda: F.cross_entropy(z, t, w.astype(jnp.bfloat16)), TypeError, "input float32, weight bfloat16"),
        (lambda: F.cross_entropy(z, t, w.astype(int)), TypeError, "weight, got int32"),
        (lambda: F.cross_entropy(z, t, label_smoothing=1.1), ValueError, "[0, 1], got 1.1"),
        (lambda: F.cross_entropy(z, t, label_smoothing=-0.1), ValueError, "[0, 1], got -0.1"),
        (lambda: F.cross_entropy(z, p, ignore_index=1), ValueError, "ignore_index=1"),
        (lambda: F.cross_entropy(z, t, reduction="average"), ValueError, "reduction"),
        (lambda: F.cross_entropy(z, t, ignore_index=2.5), TypeError, "cross_entropy: ignore_index must be an int, got 2.5"),
        (lambda: F.nll_loss(z, t, ignore_index=None), TypeError, "nll_loss: ignore_index must be an int, got None"),
        (lambda: F.nll_loss(z, p), TypeError, "class indices (integers), got float32 of shape (2, 3)"),
        (lambda: F.nll_loss(z, t[:1]), ValueError, "of shape (2,), got int32 of shape (1,)"),
        (lambda: F.nll_loss(z.astype(int), t), TypeError, "int32"),
        (lambda: F.nll_loss(z, t, w[:2]), ValueError, "(2,)"),
        (lambda: nn.CrossEntropyLoss(w[:2])(z, t), ValueError, "CrossEntropyLoss: cross_entropy: expected a weight of shape (3,)"),
        (lambda: F.linear_cross_entropy(x[None], W, t), ValueError, "(1, 2, 4)"),
        (lambda: F.linear_cross_entropy(x, W[0], t), ValueError, "linear_weight (4,)"),
        (lambda: F.linear_cross_entropy(x, W[:, :3], t), ValueError, "input (2, 4), linear_weight (3, 3)"),
        (lambda: F.linear_cross_entropy(x, W, t, linear_bias=jnp.ones(4)), ValueError, "linear_bias of shape (3,), got (4,)"),
        (lambda: F.linear_cross_entropy(x[0], W[:, None], t[0]), ValueError, "needs an input (N, in), got (4,)"),
        (lambda: F.linear_cross_entropy(x, W.astype(jnp.bfloat16), t), TypeError, "linear_weight bfloat16"),
        (lambda: F.linear_cross_entropy(x.astype(int), W.astype(int), t), TypeError, "int32"),
        (lambda: F.linear_cross_entropy(x, W, p, ignore_index=-1), ValueError, "ignore_index=-1"),
        (lambda: F.linear_cross_entropy(x, W, t, label_smoothing=2.0), ValueError, "got 2.0"),
        (lambda: F.linear_cross_entropy(x, W, t, reduction="x"), ValueError, "reduction"),
        (lambda: F.linear_cross_entropy(x, W, t, options="auto"), TypeError, "LinearCrossEntropyOptions or None, got a str"),
        (lambda: F.linear_cross_entropy(jnp.ones((16, 8)), jnp.ones((8, 8)), jnp.zeros(16, int), options=nn.LinearCrossEntropyOptions(
            batch_chunk_size=3, chunking_method="aspect_ratio")), ValueError, "do not agree"),
        (lambda: F.linear_cross_entropy(x, W, t[:1]), ValueError, "of shape (2,)"),
        (lambda: nn.LinearCrossEntropyLoss(4, 3, weight=jnp.ones(4)), ValueError, "LinearCrossEntropyLoss: expected a weight"),
        (lambda: nn.LinearCrossEntropyLoss(4, 3, label_smoothing=-1), ValueError, "LinearCrossEntropyLoss: label_smoothing"),
        (lambda: nn.LinearCrossEntropyOptions(batch_chunk_size=0), ValueError, "batch_chunk_size"),
        (lambda: nn.LinearCrossEntropyOptions(chunking_method="aspect_ratio:0"), ValueError, "chunking_method"),
        (lambda: nn.LinearCrossEntropyOptions(chunking_method=3), ValueError, "chunking_method"),
        (lambda: nn.LinearCrossEntropyOptions(acc_dtype="x"), ValueError, "acc_dtype"),
        (lambda: nn.LinearCrossEntropyOptions(acc_policy="fast"), ValueError, "acc_policy"),
        (lambda: nn.LinearCrossEntropyOptions(acc_dtype=int), ValueError, "acc_dtype"),
        (lambda: nn.LinearCrossEntropyOptions(False, 3, "aspect_ratio").block_rows(16, 8, 8), ValueError, "do not agree"),
        (lambda: F.ctc_loss(lp[None], labels, (5, 5), (2, 1)), ValueError, "(T, N, C) or (T, C), none of them 0, got (1, 5, 2, 3)"),
        (lambda: F.ctc_loss(lp[:0], labels, (0, 0), (0, 0)), ValueError, "(0, 2, 3)"),
        (lambda: F.ctc_loss(lp.astype(int), labels, (5, 5), (2, 1)), TypeError, "log_probs, got int32"),
        (lambda: F.ctc_loss(lp, labels * 1.0, (5, 5), (2, 1)), TypeError, "integer targets, got float32"),
        (lambda: F.ctc_loss(lp, labels[:1], (5, 5), (2, 1)), ValueError, "(2, S)"),
        (lambda: F.ctc_loss(lp, labels[None], (5, 5), (2, 1)), ValueError, "(1, 2, 2)"),
        (lambda: F.ctc_loss(lp, labels, (5,), (2, 1)), ValueError, "input_lengths of shape (2,), got (1,)"),
        (lambda: F.ctc_loss(lp, labels, (5, 5), 2), ValueError, "target_lengths of shape (2,), got ()"),
        (lambda: F.ctc_loss(lp, labels, (5.0, 5.0), (2, 1)), TypeError, "integer input_lengths"),
        (lambda: F.ctc_loss(lp, labels, (6, 5), (2, 1)), ValueError, "[0, 5], got [6, 5]"),
        (lambda: F.ctc_loss(lp, labels, (5, 5), (3, -1)), ValueError, "[0, 2] for targets of shape (2, 2), got [3, -1]"),
        (lambda: F.ctc_loss(lp, labels[0], (5, 5), (2, 1)), ValueError, "[2, 1] do not add up to the 2 targets"),
        (lambda: F.ctc_loss(lp, labels, (5, 5), (2, 1), blank=0.0), ValueError, "3 classes, got 0.0"),
        (lambda: F.ctc_loss(lp, labels, (5, 5), (2, 1), blank=3), ValueError, "3 classes, got 3"),
        (lambda: F.ctc_loss(lp, labels, (5, 5), (2, 1), reduction="x"), ValueError, "ctc_loss: reduction"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, []), ValueError, "at least one"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [5, 3]), ValueError, "got [5, 3]"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [0, 3]), ValueError, "got [0, 3]"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 3]), ValueError, "got [3, 3]"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 10]), ValueError, "n_classes - 1 = 9"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [2.5]), ValueError, "whole numbers"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3.0]), ValueError, "got [3.0]"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3], 0), ValueError, "div_value must be positive, got 0"),
        (lambda: bound(input_=x, target_=t[:1]), ValueError, "got (2, 4) and (1,)"),
        (lambda: bound(x, t[:1]), ValueError, "got (2, 4) and (1,)"),
        (lambda: bound(x[0], t), ValueError, "got (4,) and (2,)"),
        (lambda: bound(x[None], t[None]), ValueError, "got (1, 2, 4) and (1, 2)"),
        (lambda: bound(x, t * 1.0), TypeError, "integers"),
        (lambda: bound(x[:, :3], t), ValueError, "expected input with last dimension 4, got shape (2, 3)"),
        (lambda: bound.log_prob(x[0]), ValueError, "got (4,)"),
    ],
)  # fmt: skip
def test_is_refused(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call()
