"""How the kernels of a convolution lie in an image, and what each of their taps meets there."""

import itertools
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

__all__ = ()  # no layers


class KernelWindows(NamedTuple):
    """How kernels lie in the image x: numbers for each axis of space; the padding as pairs (before, after), negative where x is cut."""

    kernel: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int

    @property
    def reach(self):
        """How far a kernel extends beyond its first tap."""
        return tuple(d * (k - 1) for d, k in zip(self.dilation, self.kernel))

    def positions(self, size):
        """How many kernels lie along each axis of an image of this size."""
        return tuple((n + sum(p) - 1 - r) // s + 1 for n, p, r, s in zip(size, self.padding, self.reach, self.stride))


def taps_of(windows):
    """The taps of a kernel, row by row."""
    return itertools.product(*map(range, windows.kernel))


def tap_slice(x, tap, size, windows):
    """What this tap of each of so many windows meets of x (N, C, *space)."""
    ends = [(-start, -rest, 0) for start, rest, _ in _along(tap, size, x.shape[2:], windows)]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0)] * 2 + ends)
    return lax.slice(x, (0,) * x.ndim, x.shape, (1, 1, *windows.stride))


def tap_scatter(y, tap, size, windows):
    """The transpose of `tap_slice`: y (N, C, *windows) where this tap of its windows stands in an image of this size."""
    ends = [(start, rest, s - 1) for start, rest, s in _along(tap, y.shape[2:], size, windows)]
    return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0)] * 2 + ends)


def _along(tap, m, n, windows):
    """For each axis of n values where the first of m windows has this tap, and how far it is from the last one to the end."""
    for t, d, (before, _), s, m, n in zip(tap, windows.dilation, windows.padding, windows.stride, m, n):
        start = t * d - before
        yield start, n - start - (m - 1) * s - 1, s
