"""Losses of classes: what a table of cases cannot say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from verdict import assert_same

import bpjax
import bpjax.functional as F
from bpjax import nn


@pytest.mark.parametrize("eps", [0.0, 0.1])
@pytest.mark.parametrize("rows", [0, 3])
def test_no_row_that_counts_has_the_mean_nan_and_gradient_zero(rows, eps):
    z, w, t = jnp.ones((rows, 4)), jnp.arange(4.0), jnp.full(rows, -100)
    x, W = jnp.ones((rows, 2)), jnp.ones((4, 2))
    for f, args in [
        (lambda z, w: F.cross_entropy(z, t, w, label_smoothing=eps), (z, w)),
        (lambda z, w: F.nll_loss(z, t, w), (z, w)),
        (lambda x, W, w: F.linear_cross_entropy(x, W, t, weight=w, label_smoothing=eps), (x, W, w)),
    ]:
        assert jnp.isnan(f(*args))
        for grad in (bpjax.grad, jax.grad):
            assert not any(g.any() for g in grad(f, tuple(range(len(args))))(*args))


def test_dtypes_of_losses():
    half, t = jnp.ones((2, 3), jnp.float16), jnp.array([0, 2], jnp.uint8)
    assert F.cross_entropy(half, t).dtype == F.nll_loss(half, t).dtype == jnp.float32
    assert jax.grad(F.cross_entropy)(half, t).dtype == bpjax.grad(F.cross_entropy)(half, t).dtype == jnp.float16
    assert F.cross_entropy(half, jnp.ones((2, 3)) / 3).dtype == jnp.float32  # with probabilities the dtypes promote


def test_class_weights_are_a_constant_buffer():
    loss = nn.CrossEntropyLoss(np.array([1.0, 3.0], np.float32))
    assert loss.init_buffers()["weight"].tolist() == [1.0, 3.0] and not loss.init(jax.random.key(0))
    z, t = jnp.array([[0.0, 1.0], [2.0, 0.0]]), jnp.array([0, 1])
    assert loss(z, t) == F.cross_entropy(z, t, jnp.array([1.0, 3.0]))


def test_the_backward_never_holds_all_logits():
    x, W, t = jnp.ones((512, 8)), jnp.ones((1000, 8)), jnp.zeros(512, int)

    def temporaries(f):
        return jax.jit(bpjax.grad(f, (0, 1))).lower(x, W).compile().memory_analysis().temp_size_in_bytes

    all_logits = 4 * 512 * 1000
    assert temporaries(lambda x, W: F.cross_entropy(F.linear(x, W), t)) >= all_logits
    assert temporaries(lambda x, W: F.linear_cross_entropy(x, W, t)) < 0.6 * all_logits  # blocks of 128 rows, two buffers


@pytest.mark.parametrize("target", [np.zeros((0, 4), np.float32), np.zeros(0, int)], ids=["probabilities", "classes"])
def test_the_mean_over_no_rows_is_nan_and_its_gradient_zero(target):
    loss = lambda W: F.linear_cross_entropy(jnp.ones((0, 3)), W, jnp.asarray(target))
    value, gradient = bpjax.value_and_grad(loss)(jnp.ones((4, 3)))
    assert jnp.isnan(value) and not gradient.any() and not jax.grad(loss)(jnp.ones((4, 3))).any()


def test_the_bias_of_many_classes():
    """From 16384 on its gradient is added up otherwise."""
    x, W, t = (np.random.default_rng(0).standard_normal(shape) for shape in ((150, 2), (2**14, 2), 150))
    loss = lambda b: F.linear_cross_entropy(x, W, np.abs(50 * t).astype(int), linear_bias=b)
    with jax.enable_x64(True):
        hand, auto = jax.jit(lambda b: (bpjax.grad(loss)(b), jax.grad(loss)(b)))(jnp.zeros(2**14))
        assert_same([hand], [auto])


def test_ctc_runs_its_own_backward(monkeypatch):
    from bpjax.engine import Op

    names, original = [], Op.declared
    monkeypatch.setattr(Op, "declared", lambda self, half: names.append((self.__name__, half)) or original(self, half))
    bpjax.grad(lambda lp: F.ctc_loss(lp, jnp.array([[1]]), (2,), (1,)))(jnp.zeros((2, 1, 2)))
    assert ("_ctc_loss", "backward") in names


def test_ctc_without_a_path():
    f = lambda lp, zero: F.ctc_loss(lp, jnp.array([[1, 1]]), (2,), (2,), zero_infinity=zero)  # noqa: E731
    lp = jnp.log(jnp.full((3, 1, 2), 0.5))
    for grad in (bpjax.grad, jax.grad):
        assert f(lp, False) == jnp.inf and f(lp, True) == 0 and not grad(lambda lp: f(lp, True))(lp).any()
        g = grad(lambda lp: f(lp, False))(lp)
        assert jnp.isnan(g[:2]).all() and not g[2].any()  # the third step is no part of the sequence


def test_ctc_with_lengths_known_and_unknown():
    lp = jax.nn.log_softmax(jax.random.normal(jax.random.key(0), (5, 2, 4)))
    one_row, padded, lengths = jnp.array([1, 2, 2, 3]), jnp.array([[1, 9, 9], [2, 2, 3]]), (1, 3)
    known = F.ctc_loss(lp, one_row, (5, 4), lengths, reduction="none")
    unknown = jax.jit(lambda n: F.ctc_loss(lp, one_row, (5, 4), n, reduction="none"))(jnp.array(lengths))
    np.testing.assert_allclose(known, unknown, rtol=1e-6)
    np.testing.assert_allclose(known, F.ctc_loss(lp, padded, (5, 4), lengths, reduction="none"), rtol=1e-6)


def test_ctc_with_a_target_that_is_no_class_is_nan():
    assert jnp.isnan(F.ctc_loss(jnp.zeros((2, 1, 2)), jnp.array([[2]]), (2,), (1,)))


def test_adaptive_softmax_gives_one_distribution():
    model = nn.AdaptiveLogSoftmaxWithLoss(6, 10, [3, 5], div_value=2.0)
    bound = model.bind(model.init(jax.random.key(0)))
    x, t = 3 * jax.random.normal(jax.random.key(1), (10, 6)), jnp.arange(10)
    log_p = bound.log_prob(x)
    np.testing.assert_allclose(jnp.exp(log_p).sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(bound(x, t).output, log_p[t, t], rtol=1e-5)
    assert bound.predict(x).tolist() == log_p.argmax(1).tolist()
    assert jnp.isnan(bound(x[:2], jnp.array([-1, 10])).output).all()
