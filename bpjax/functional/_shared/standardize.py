"""What the norms share: the mean and 1/√variance of an array over axes, in float32 where it has less, and the affine map after them."""

import jax.numpy as jnp
from jax import lax

from .checks import at_least_float32, floating, one_dtype, refuse

__all__ = []  # nothing of it is part of `bpjax.functional`


def standardized(x, axes, eps):
    """x̂ = (x - μ) r, with μ and r = 1/√(var + ε) over the axes, var the biased variance: x̂, μ and r."""
    x = at_least_float32(x)
    mu = x.mean(axes, keepdims=True)
    centred = x - mu
    r = lax.rsqrt((centred * centred).mean(axes, keepdims=True) + eps)
    return centred * r, mu, r


def affine(x_hat, weight, bias, dtype):
    """x̂ γ + β; None is none."""
    y = x_hat if weight is None else x_hat * weight
    return (y if bias is None else y + bias).astype(dtype)


def check_dtypes(name, input, **parameters):
    """Refuse what PyTorch's norms do: all have one floating type, or the input has 16 bits and all others have float32.

    >>> check_dtypes("layer_norm", jnp.ones(2, jnp.bfloat16), weight=jnp.ones(2), bias=None)
    >>> check_dtypes("layer_norm", jnp.ones(2), weight=jnp.ones(2, jnp.bfloat16), bias=None)
    Traceback (most recent call last):
    TypeError: layer_norm: expected one dtype, got input float32, weight bfloat16: convert with .astype
    """
    floating(name, input=input)
    if input.dtype.itemsize != 2 or any(a is not None and a.dtype != jnp.float32 for a in parameters.values()):
        one_dtype(name, input=input, **parameters)


def check_on_channels(name, input, *problems, **arrays):
    """Refuse arrays, such as a weight, that have not one number for each channel (axis 1) of the input; None is no array."""
    channels = input.shape[1:2]
    wrong = [f"{n} of shape {channels}, got {a.shape}" for n, a in arrays.items() if a is not None and a.shape != channels]
    refuse(name, *(f"for an input of shape {input.shape} expected {w}" for w in wrong), *problems)
    check_dtypes(name, input, **arrays)
