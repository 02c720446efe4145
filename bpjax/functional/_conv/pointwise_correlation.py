"""The three maps of dense_correlation.py for kernels of one tap: products of matrices, one for each example.

On a CPU they are 3 to 6 times as fast as XLA's convolution, which turns every image over to have its channels last.
"""

import math

import jax.numpy as jnp

from .._shared.checks import wide
from .._shared.sizes import surely
from .kernel_windows import tap_scatter, tap_slice

__all__ = ()  # no layers


def is_for(W, windows, shape):
    """Whether the kernels have one tap, in one group, on an image without padding."""
    return math.prod(windows.kernel) == 1 and windows.groups == 1 and not any(map(any, windows.padding))


def correlate(x, W, windows):
    """y[o] = Σ_c W[o, c] x[c], at each place on which a kernel lies."""
    x = _met(x, windows)
    return times_each(W.reshape(W.shape[:2]), x).reshape(x.shape[0], len(W), *x.shape[2:])


def input_grad(y, W, windows, size):
    """x[c] = Σ_o W[o, c] y[o] at the places on which a kernel lies, 0 at the others."""
    x = times_each(W.reshape(W.shape[:2]).T, y).reshape(y.shape[0], W.shape[1], *y.shape[2:])
    return tap_scatter(x, (0,) * len(size), size, windows)


def weight_grad(x, y, windows):
    """W[o, c] = Σ x[n, c] y[n, o] over the examples and the places on which a kernel lies."""
    x, y = (a.reshape(*a.shape[:2], math.prod(a.shape[2:])) for a in (_met(x, windows), y))
    if surely(lambda: x.shape[0] * y.shape[1] * x.shape[1] <= x.size + y.size):
        W = jnp.einsum("nos,ncs->noc", y, x, preferred_element_type=wide(y.dtype)).sum(0)
    else:
        W = jnp.einsum("nos,ncs->oc", y, x, preferred_element_type=wide(y.dtype))
    return W.reshape(*W.shape, *windows.kernel).astype(y.dtype)


def _met(x, windows):
    """The places on which a kernel lies."""
    size = x.shape[2:]
    return tap_slice(x, (0,) * len(size), windows.positions(size), windows)


def times_each(W, x):
    """W times each example of x (N, C, *space), (N, O, places)."""
    x = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    if W.size <= sum(W.shape) * x.shape[2]:
        y = jnp.matmul(jnp.broadcast_to(W, (x.shape[0], *W.shape)), x, preferred_element_type=wide(x.dtype))
    else:  # transposing x and y, for one product, costs less than a W for each example
        y = jnp.einsum("oc,ncs->nos", W, x, preferred_element_type=wide(x.dtype))
    return y.astype(x.dtype)
