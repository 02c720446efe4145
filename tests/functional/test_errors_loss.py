"""What the losses refuse: at least what PyTorch refuses, with the offending shape or dtype in the message."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bpjax
import bpjax.functional as F
from bpjax import nn

two, four, scalar, ints = jnp.ones(2), jnp.ones((3, 4)), jnp.ones(()), jnp.zeros((3, 4), int)
row = jnp.zeros(3, int)


@pytest.mark.parametrize("loss", [
    F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.soft_margin_loss,
    lambda x, t: F.margin_ranking_loss(x, x, t),
])  # fmt: skip
def test_two_shapes(loss):
    with pytest.raises(ValueError, match=r"\(2, 1\)"):
        loss(two, jnp.ones((2, 1)))


@pytest.mark.parametrize("loss", [
    F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.poisson_nll_loss, F.kl_div, F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits, F.multilabel_soft_margin_loss, F.soft_margin_loss, F.hinge_embedding_loss,
    lambda x, t, **options: F.margin_ranking_loss(x, x, t, **options), lambda x, t, **options: F.gaussian_nll_loss(x, t, 1.0, **options),
])  # fmt: skip
def test_shapes_that_do_not_fit_integers_and_unknown_reductions(loss):
    with pytest.raises(ValueError, match=r"\(3,\)"):
        loss(two, jnp.ones(3))
    with pytest.raises(TypeError, match="int"):
        loss(jnp.ones(2, int), jnp.ones(2, int))
    with pytest.raises((TypeError, ValueError), match="bool"):
        loss(two, jnp.ones(2, bool))
    with pytest.raises(ValueError, match=r"^\w+_\w+: reduction must be one of 'none', 'mean', 'sum'.*'average'"):
        loss(two, two, reduction="average")


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: F.mse_loss(two, two, weight=scalar), ValueError, r"one shape.*weight \(\)"),
    (lambda: F.l1_loss(two, two, weight=jnp.ones(1)), ValueError, r"weight \(1,\)"),
    (lambda: F.huber_loss(two, two, weight=jnp.ones(3)), ValueError, r"weight \(3,\)"),
    (lambda: F.huber_loss(two, two, delta=0.0), ValueError, "delta must be positive, got 0.0"),
    (lambda: F.smooth_l1_loss(two, two, beta=-1.0), ValueError, "beta must not be negative, got -1.0"),
    (lambda: F.l1_loss(two + 1j, two + 1j), TypeError, "complex64"),
    (lambda: F.gaussian_nll_loss(four, four, jnp.ones(4)), ValueError, r"var of that shape.*got \(4,\)"),
    (lambda: F.gaussian_nll_loss(four, four, jnp.ones((1, 1))), ValueError, r"got \(1, 1\)"),
    (lambda: F.gaussian_nll_loss(four[:1], four, four), ValueError, r"var of that shape.*got \(3, 4\)"),
    (lambda: F.gaussian_nll_loss(four, four, ints), TypeError, "floating-point var, got int32"),
    (lambda: F.kl_div(four, ints), TypeError, "floating-point target, got int32"),
    (lambda: F.mse_loss(two, two, reduction="batchmean"), ValueError, "'batchmean'"),
    (lambda: F.binary_cross_entropy(two, two.astype(jnp.bfloat16)), TypeError, "target bfloat16"),
    (lambda: F.binary_cross_entropy(two, two, jnp.ones((3, 2))), ValueError, r"\(2,\), got \(3, 2\)"),
    (lambda: F.binary_cross_entropy_with_logits(two, jnp.ones(2, int)), TypeError, "floating-point target, got int32"),
    (lambda: F.binary_cross_entropy_with_logits(two, two, pos_weight=jnp.ones(3)), ValueError, r"pos_weight .*\(3,\)"),
    (lambda: F.multilabel_soft_margin_loss(scalar, scalar), ValueError, "scalar"),
    (lambda: F.multilabel_soft_margin_loss(four, four, jnp.ones(3)), ValueError, r"weight .*got \(3,\)"),
    (lambda: F.margin_ranking_loss(two, jnp.ones((2, 1)), two), ValueError, r"input2 \(2, 1\)"),
    (lambda: F.multi_margin_loss(four, row, p=3), ValueError, "p must be 1 or 2, got 3"),
    (lambda: F.multi_margin_loss(four, row[:2]), ValueError, r"shape \(3,\), got \(2,\)"),
    (lambda: F.multi_margin_loss(four, jnp.zeros(3)), TypeError, "integers.*float32"),
    (lambda: F.multi_margin_loss(four, row, weight=jnp.ones(3)), ValueError, r"weight of shape \(4,\), got \(3,\)"),
    (lambda: F.multi_margin_loss(four, row, weight=jnp.ones(4, int)), TypeError, "weight int32"),
    (lambda: F.multi_margin_loss(four[..., None], row), ValueError, r"\(3, 4, 1\)"),
    (lambda: F.multi_margin_loss(four[:, :0], row), ValueError, r"C above 0, got \(3, 0\)"),
    (lambda: F.multi_margin_loss(scalar, row), ValueError, r"target of shape \(\), got \(3,\)"),
    (lambda: F.multilabel_margin_loss(four, ints[:, :3]), ValueError, r"target \(3, 3\)"),
    (lambda: F.multilabel_margin_loss(four, four), TypeError, "integers.*float32"),
    (lambda: F.multilabel_margin_loss(four[:, :0], ints[:, :0]), ValueError, r"C above 0, got \(3, 0\)"),
    (lambda: F.cosine_embedding_loss(four, four[0], row), ValueError, r"input2 \(4,\)"),
    (lambda: F.soft_margin_loss(four[:1], four), ValueError, r"to input \(1, 4\), got \(3, 4\)"),
    (lambda: F.cosine_embedding_loss(four, four, row[:, None]), ValueError, r"got \(3, 1\)"),
    (lambda: F.cosine_embedding_loss(two, two, jnp.ones(1)), ValueError, r"target of shape \(\), got \(1,\)"),
    (lambda: F.cosine_embedding_loss(scalar, scalar, scalar), ValueError, r"\(N, D\)"),
    (lambda: F.triplet_margin_loss(four, four[0], four), ValueError, r"positive \(4,\)"),
    (lambda: F.triplet_margin_loss(four, four, four, margin=0), ValueError, "margin must be positive, got 0"),
    (lambda: F.triplet_margin_loss(four, four, four, reduction="average"), ValueError, "triplet_margin_loss: .*'average'"),
    (lambda: F.triplet_margin_with_distance_loss(four, four, four, reduction="average"), ValueError, "distance_loss: .*'average'"),
    (lambda: F.triplet_margin_with_distance_loss(four, four[:, :3], four), ValueError, r"pairwise_distance: .*\(3, 4\) and \(3, 3\)"),
    (lambda: F.triplet_margin_with_distance_loss(four, four[0], four), ValueError, r"positive \(4,\)"),
    (lambda: F.triplet_margin_with_distance_loss(four, four, four, margin=-1.0), ValueError, "got -1.0"),
    (lambda: nn.L1Loss(reduction="average"), ValueError, "L1Loss: reduction"),
    (lambda: nn.KLDivLoss(reduction="average"), ValueError, "KLDivLoss: reduction.*'batchmean'"),
    (lambda: nn.HuberLoss(delta="1"), TypeError, "HuberLoss: delta.*str"),
    (lambda: nn.MultiMarginLoss(p=3), ValueError, "MultiMarginLoss: p.*3"),
    (lambda: nn.MultiMarginLoss(weight=four), ValueError, r"MultiMarginLoss: .*\(3, 4\)"),
    (lambda: nn.TripletMarginLoss(margin=0), ValueError, "TripletMarginLoss: margin.*0"),
    (lambda: nn.TripletMarginWithDistanceLoss(margin=-1), ValueError, "TripletMarginWithDistanceLoss: margin.*-1"),
    (lambda: nn.GaussianNLLLoss(True), TypeError, "positional"),
])  # fmt: skip
def test_refused(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


@pytest.mark.parametrize("value", [
    lambda: F.gaussian_nll_loss(two, two, -1.0),
    lambda: F.binary_cross_entropy(2 * two, two),
    lambda: F.binary_cross_entropy(two, -two),
    lambda: F.multi_margin_loss(four, row + 4),
    lambda: F.multi_margin_loss(four, row - 1),
    lambda: F.multilabel_margin_loss(four, ints + 4),
    lambda: F.multilabel_margin_loss(four, ints - 2),
])  # fmt: skip
def test_what_only_values_tell_is_nan(value):
    assert jnp.isnan(value())


@pytest.mark.parametrize("off", [False, 0, np.False_])
def test_the_deprecated_arguments_go_by_truth(off):
    assert nn.L1Loss(size_average=off).reduction == "sum" and nn.L1Loss(reduce=off).reduction == "none"


def test_a_distance_of_integers_is_of_floats():
    a, b, c = (jnp.array([v]) for v in ([0, 0], [1, 1], [0, 1]))
    assert abs(F.triplet_margin_with_distance_loss(a, b, c) - math.sqrt(2)) < 1e-5


def test_what_of_several_dtypes_decides(x64):
    x, double = jnp.ones(3, jnp.float32), jnp.ones(3, jnp.float64)
    logits = F.binary_cross_entropy_with_logits
    assert logits(x, x, double).dtype == logits(x, x, pos_weight=double).dtype == F.soft_margin_loss(x, double).dtype == jnp.float32
    assert logits(x, double).dtype == F.multilabel_soft_margin_loss(x, x, double).dtype == jnp.float64


a, b, c = (np.random.default_rng(i).uniform(0.1, 1, (3, 4)).astype(np.float32) for i in range(3))
SPREAD = {
    "gaussian_nll_loss: one target": (a, b[0, 0], c),
    "gaussian_nll_loss: a row of targets, one var": (a, b[0], c[0, 0]),
    "gaussian_nll_loss: one input": (a[:1, 0], b, c[:1, 0]),
    "gaussian_nll_loss: empty": (a[:0], b[0], c[:0]),
    "poisson_nll_loss: one target": (a, b[0, 0]),
    "poisson_nll_loss: one input": (a[0, 0], b),
    "poisson_nll_loss: empty": (a[:0], b[0]),
    "kl_div: a column and a row": (a[:, :1], b[0]),
    "hinge_embedding_loss: a row of targets": (a, np.sign(b[0] - 0.5)),
    "hinge_embedding_loss: a column of inputs": (a[:, :1], b),
    "soft_margin_loss: one target": (a, b[0, 0]),
    "margin_ranking_loss: a column and a row": (a[:, :1], b[:1], c),
    "multilabel_soft_margin_loss: a row of targets": (a, b[0]),
    "triplet_margin_loss: one positive": (a, b[:1], c),
    "cosine_embedding_loss: one second vector": (a, b[:1]),
}


@pytest.mark.parametrize("id", SPREAD)
@pytest.mark.parametrize("how", ["mean", "sum", "none"])
def test_what_broadcasts_counts_as_spread(id, how):
    """As in PyTorch: the mean is over all values, and each gradient the sum over where its array was spread."""
    name, arrays = id.partition(":")[0], tuple(map(jnp.asarray, SPREAD[id]))
    more = (jnp.array([1, -1, 1]),) if name == "cosine_embedding_loss" else ()
    loss = lambda *arrays: getattr(F, name)(*arrays, *more, reduction=how)
    shape = jnp.broadcast_shapes(*(v.shape for v in arrays))
    spread = lambda *arrays: loss(*(jnp.broadcast_to(v, shape) for v in arrays))
    y, back = bpjax.vjp(loss, *arrays)
    expected, back_of_spread = jax.vjp(spread, *arrays)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    for hand, auto in zip(back(jnp.cos(y)), back_of_spread(jnp.cos(y)), strict=True):
        np.testing.assert_allclose(hand, auto, rtol=1e-5, atol=1e-6)


def test_pytorchs_value_for_one_target():
    """torch.nn.functional.gaussian_nll_loss(tensor([1., 2., 3.]), tensor(1.), tensor([1., 1., 2.])): 0.6155, gradient (0, 1/3, 1/3)."""
    value, dx = bpjax.value_and_grad(lambda x: F.gaussian_nll_loss(x, jnp.array(1.0), jnp.array([1.0, 1.0, 2.0])))(
        jnp.array([1.0, 2.0, 3.0])
    )
    np.testing.assert_allclose(value, (0.5 + 1 + 0.5 * math.log(2)) / 3, rtol=1e-6)
    np.testing.assert_allclose(dx, [0, 1 / 3, 1 / 3], rtol=1e-6)


@pytest.mark.parametrize("grad", [bpjax.grad, jax.grad], ids=["hand", "auto"])
def test_nan_is_not_lost_in_a_gradient(grad):
    for loss in (F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        assert jnp.isnan(grad(lambda x, loss=loss: loss(x, jnp.zeros(())))(jnp.nan))


def test_a_mean_over_many_values_of_float16():
    x = jnp.ones(70_000, jnp.float16)  # more than the largest number of float16
    assert F.l1_loss(x, 0 * x, weight=x) == 1
    assert (bpjax.grad(lambda x: 1000 * F.mse_loss(x, 0 * x))(x) > 0.02).all()


@pytest.mark.parametrize("grad", [bpjax.grad, jax.grad], ids=["hand", "auto"])
def test_an_infinite_threshold_leaves_the_squares(grad):
    assert grad(lambda x: F.huber_loss(x, jnp.zeros(()), delta=math.inf))(3.0) == 3
    assert grad(lambda x: F.smooth_l1_loss(x, jnp.zeros(()), beta=math.inf))(3.0) == 0
