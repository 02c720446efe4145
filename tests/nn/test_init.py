"""Initialisers: shapes, dtypes, and the spread that their formulas give."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bpjax import nn

key, shape = jax.random.key(0), (200, 300)
SPREADS = {
    "uniform": (nn.init.uniform, math.sqrt(1 / 12), 0.5),
    "uniform in bounds": (functools.partial(nn.init.uniform, a=-3.0, b=3.0), math.sqrt(3), 0.0),
    "normal": (functools.partial(nn.init.normal, mean=2.0, std=3.0), 3.0, 2.0),
    "trunc_normal": (nn.init.trunc_normal, 0.8796, 0.0),
    "xavier_uniform": (nn.init.xavier_uniform, math.sqrt(2 / 500), 0.0),
    "xavier_normal": (functools.partial(nn.init.xavier_normal, gain=2.0), 2 * math.sqrt(2 / 500), 0.0),
    "kaiming_uniform": (nn.init.kaiming_uniform, math.sqrt(2 / 300), 0.0),
    "kaiming_normal": (functools.partial(nn.init.kaiming_normal, mode="fan_out", nonlinearity="tanh"), 5 / 3 / math.sqrt(200), 0.0),
    "kaiming_normal with a slope": (functools.partial(nn.init.kaiming_normal, a=1.0), 1 / math.sqrt(300), 0.0),
    "sparse": (functools.partial(nn.init.sparse, sparsity=0.5, std=1.0), math.sqrt(0.5), 0.0),
}


@pytest.mark.parametrize("name", SPREADS)
def test_spread(name):
    init, std, mean = SPREADS[name]
    weight = init(key, shape, jnp.float32)
    assert weight.shape == shape and weight.dtype == jnp.float32
    assert abs(weight.std() - std) < 0.02 * std and abs(weight.mean() - mean) < 0.02 * std


@pytest.mark.parametrize(
    ("options", "mean", "std"),
    [
        ({"a": 8.0, "b": 9.0}, 8.121189, 0.118948),
        ({"mean": 20.0}, 1.944782, 0.055052),
        ({"mean": -20.0}, -1.944782, 0.055052),
        ({"mean": 5.0}, 1.716901, 0.265630),
        ({"a": -math.inf, "b": -3.0}, -3.283099, 0.265630),
    ],
)
def test_the_tail_of_a_truncated_normal(options, mean, std):
    draws = np.asarray(nn.init.trunc_normal(key, (200_000,), jnp.float32, **options), float)
    assert abs(draws.mean() - mean) < 0.01 * std and abs(draws.std() - std) < 0.01 * std
    assert draws.min() >= options.get("a", -2.0) and draws.max() <= options.get("b", 2.0)


def test_the_mode_of_kaiming_in_capitals():
    assert (nn.init.kaiming_normal(key, (2, 3), mode="FAN_OUT") == nn.init.kaiming_normal(key, (2, 3), mode="fan_out")).all()


def test_fixed_values():
    assert (nn.init.constant(key, (2, 3), val=0.5) == 0.5).all() and (nn.init.ones(key, (2,)) == 1).all()
    assert (nn.init.eye(key, (2, 3)) == np.eye(2, 3)).all()
    assert nn.init.zeros(key, (2,), jnp.bfloat16).dtype == jnp.bfloat16


def test_dirac_is_the_identity_of_a_convolution():
    x = jax.random.normal(key, (2, 4, 5, 6))
    conv = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
    weight = nn.init.dirac(key, conv.weight.shape, groups=2)
    np.testing.assert_allclose(conv.apply({"weight": weight}, x), x)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3)])
def test_orthogonal(shape):
    weight = np.asarray(nn.init.orthogonal(key, shape, gain=2.0)).reshape(shape[0], -1)
    product = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    np.testing.assert_allclose(product, 4 * np.eye(min(weight.shape)), atol=1e-5)


def test_sparse_leaves_a_fraction_of_each_column():
    assert (jnp.sum(nn.init.sparse(key, (10, 4), sparsity=0.25) == 0, axis=0) == 3).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nn.init.xavier_uniform(key, (3,)), "2 axes or more, got (3,)"),
        (lambda: nn.init.calculate_gain("gelo"), "'gelo'"),
        (lambda: nn.init.kaiming_normal(key, (2, 2), mode="fan"), "'fan_in' or 'fan_out', got 'fan'"),
        (lambda: nn.init.calculate_gain("leaky_relu", True), "slope must be a number, got True"),
        (lambda: nn.init.uniform(key, (2,), a=2.0), "uniform: a must not lie above b, got 2.0 and 1.0"),
        (lambda: nn.init.xavier_uniform(key, (2, 2), gain=-1.0), "a must not lie above b"),
        (lambda: nn.init.normal(key, (2,), std=-1.0), "normal: std must not be negative, got -1.0"),
        (lambda: nn.init.trunc_normal(key, (2,), std=0.0, a=3.0), "trunc_normal: std must be positive, got 0.0; a must not lie above b"),
        (lambda: nn.init.dirac(key, (3, 2, 3), groups=0), "divisible by groups=0"),
        (lambda: nn.init.eye(key, (2, 2, 2)), "matrix, got (2, 2, 2)"),
        (lambda: nn.init.dirac(key, (3, 2, 3), groups=2), "divisible by groups=2"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
