"""The normal distribution, exact or approximated by tanh: what gelu and geglu are made of."""

import math

import jax.numpy as jnp
from jax import lax

__all__ = ()  # no layers

_SQRT_HALF = math.sqrt(0.5)
_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
_1_OVER_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
_CUBIC = 0.044715


def Phi(x, approximate):
    """The distribution function."""
    return 0.5 * (1 + (lax.erf(x * _SQRT_HALF) if approximate == "none" else _tanh(x)))


def phi(x, approximate):
    """The density: the derivative of `Phi`."""
    if approximate == "none":
        return jnp.exp(-0.5 * x * x) * _1_OVER_SQRT_2PI
    t = _tanh(x)
    return 0.5 * (1 - t) * (1 + t) * _SQRT_2_OVER_PI * (1 + 3 * _CUBIC * x * x)


def _tanh(x):
    return jnp.tanh(_SQRT_2_OVER_PI * (x + _CUBIC * x * x * x))
