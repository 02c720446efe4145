"""What dropout draws."""

import jax
import jax.numpy as jnp
import pytest

import bpjax.functional as F

key = jax.random.key(0)


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_alpha_dropout_keeps_mean_and_variance(p):
    y = F.alpha_dropout(jax.random.normal(key, (200, 200)), p, True, rng=jax.random.key(1))
    assert abs(y.mean()) < 0.02 and abs(y.std() - 1) < 0.02


@pytest.mark.parametrize(
    ("f", "shape", "axes"),
    [
        (F.dropout, (6, 6, 6), [0, 1, 2]),
        (F.dropout1d, (6, 6), [0]),
        (F.dropout1d, (6, 6, 6), [0, 1]),
        (F.dropout2d, (6, 6, 6), [0, 1]),
        (F.dropout2d, (6, 6, 6, 6), [0, 1]),
        (F.dropout3d, (6, 6, 6, 6), [0]),
        (F.dropout3d, (6, 6, 6, 6, 6), [0, 1]),
        (F.alpha_dropout, (6, 6), [0, 1]),
        (F.feature_alpha_dropout, (6, 6, 6), [0, 1]),
    ],
)
def test_dropout_draws_once_for_each_channel(f, shape, axes):
    y = f(jnp.ones(shape), 0.5, True, rng=key)
    assert [a for a in range(y.ndim) if (y != y.take(jnp.array([0]), a)).any()] == axes
