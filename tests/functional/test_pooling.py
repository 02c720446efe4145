"""Poolings against loops over their windows; indices have no cotangent; what is drawn."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bpjax
import bpjax.functional as F

inf, nan = float("inf"), float("nan")


def window_by_window(x, kernel, stride, padding, dilation):
    """The largest value of each window of (H, W), where it stands, and the sum of each."""
    out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(x.shape, kernel, stride, padding, dilation)]
    best, index, total = np.full(out, -inf), np.full(out, -1), np.zeros(out)
    for o in np.ndindex(*out):
        places = [[o_a * s - p + t * d for t in range(k)] for o_a, k, s, p, d in zip(o, kernel, stride, padding, dilation)]
        for h, w in itertools.product(*places):
            if 0 <= h < x.shape[0] and 0 <= w < x.shape[1]:
                total[o] += x[h, w]
                if index[o] < 0 or x[h, w] > best[o] or np.isnan(x[h, w]):
                    best[o], index[o] = x[h, w], h * x.shape[1] + w
    return best, index, total


pairs = st.tuples(st.integers(1, 6), st.integers(1, 6))


@settings(deadline=None, max_examples=40, derandomize=True)
@given(pairs, pairs, st.tuples(st.integers(0, 3), st.integers(0, 3)), pairs, st.integers(0, 2**31))
def test_a_window_is_what_a_loop_finds(kernel, stride, padding, dilation, seed):
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel))
    rng = np.random.default_rng(seed)
    # large enough that no window is all padding
    x = rng.choice(
        [0.0, 1.0, 2.0, -inf, nan], [d * k + int(rng.integers(0, 4)) for k, d in zip(kernel, dilation)], p=[0.3, 0.3, 0.2, 0.15, 0.05]
    )
    best, index, _ = window_by_window(x, kernel, stride, padding, dilation)
    y, at = F.max_pool2d_with_indices(jnp.asarray(x, jnp.float32)[None], kernel, stride, padding, dilation)
    np.testing.assert_array_equal(y[0], best)
    np.testing.assert_array_equal(at[0], index)
    finite = np.where(np.isfinite(x), x, -1.0)
    _, _, total = window_by_window(finite, kernel, stride, padding, (1, 1))
    mean = F.avg_pool2d(jnp.asarray(finite, jnp.float32)[None], kernel, stride, padding, divisor_override=1)
    np.testing.assert_array_equal(mean[0], total)


WITH_INDICES = {
    "max_pool1d": lambda x: F.max_pool1d(x, 3, 2, 1, return_indices=True),
    "max_pool2d": lambda x: F.max_pool2d(x[None], (1, 3), 2, return_indices=True),
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x, 4, return_indices=True),
    "fractional_max_pool2d": lambda x: F.fractional_max_pool2d(x[None], (1, 2), (2, 5), None, True, rng=jax.random.key(0)),
}


@pytest.mark.parametrize("name", WITH_INDICES)
def test_indices_have_no_cotangent(name):
    f = jax.jit(WITH_INDICES[name])
    x = jax.random.normal(jax.random.key(1), (2, 9))
    (y, index), back = bpjax.vjp(f, x)
    _, auto = jax.vjp(f, x)
    dy = jax.random.normal(jax.random.key(2), y.shape), np.zeros(index.shape, jax.dtypes.float0)
    assert index.dtype == jnp.result_type(int)
    np.testing.assert_allclose(back(dy)[0], auto(dy)[0], rtol=1e-6)
    both = lambda x: (lambda y, i: jnp.sum(y * i))(*f(x))
    np.testing.assert_allclose(bpjax.grad(both)(x), jax.grad(both)(x), rtol=1e-6)


def test_no_gradient_flows_through_indices_alone():
    x = jnp.arange(8.0).reshape(1, 8)
    f = lambda x: jnp.sum(x * jnp.take_along_axis(x, F.max_pool1d(x, 8, return_indices=True)[1], 1))
    np.testing.assert_allclose(bpjax.grad(f)(x), jax.grad(f)(x))


def test_an_index_out_of_range_makes_its_channel_nan():
    x = jnp.ones((2, 2))
    for wrong in (4, -1, 100):
        indices = jnp.array([[0, wrong], [1, 3]])
        y, back = bpjax.vjp(lambda x: F.max_unpool1d(x, indices, 2), x)
        assert jnp.isnan(y[0]).all() and y[1].tolist() == [0.0, 1.0, 0.0, 1.0]
        assert back(jnp.ones_like(y))[0].tolist() == [[0.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize(("kernel", "dtype"), [(16, jnp.uint8), (17, jnp.uint16), (257, jnp.uint32)])
def test_the_winner_is_kept_in_as_few_bytes_as_there_are_taps(kernel, dtype):
    saved = jax.eval_shape(lambda x: F.max_pool2d.forward(x, kernel)[1]["tap"], jnp.ones((1, 257, 257)))
    assert saved.dtype == dtype


def test_fractional_windows_are_drawn_for_each_channel_and_cover_the_input():
    x = jnp.broadcast_to(jnp.arange(20.0), (1, 50, 2, 20))
    f = lambda seed: F.fractional_max_pool2d(x, (2, 1), (1, 7), return_indices=True, rng=jax.random.key(seed))
    y, index = f(0)
    assert (index[..., 0] == 0).all() and (index[..., -1] == 19).all()
    steps = jnp.diff(index, axis=-1)
    assert set(np.unique(steps)) == {3, 4} and len(np.unique(index[0], axis=0)) > 5
    assert (index == f(0)[1]).all() and (index != f(1)[1]).any()
    x16 = x.astype(jnp.bfloat16)
    assert (F.fractional_max_pool2d(x16, (2, 1), (1, 7), rng=jax.random.key(0)) == y).all()
