"""Windowed reductions."""

import itertools

import numpy as np
from jax import lax

from ..engine import rule


@rule("reduce_window_sum")
def _(eq, dy):
    """Each cotangent goes to every element of its window: spread by the stride, then a window sum over the mirrored window."""
    size = [(w - 1) * d + 1 for w, d in zip(eq["window_dimensions"], eq["window_dilation"])]
    base = [(n - 1) * d + 1 if n else 0 for n, d in zip(eq.in_avals[0].shape, eq["base_dilation"])]
    apart = [(n - 1) * s + 1 if n else 0 for n, s in zip(dy.shape, eq["window_strides"])]
    low = [w - 1 - p for w, (p, _) in zip(size, eq["padding"])]
    high = [b + w - 1 - a - lo for b, w, a, lo in zip(base, size, apart, low)]
    spread = lax.pad(dy, lax.full((), 0, dy.dtype), [(lo, hi, s - 1) for lo, hi, s in zip(low, high, eq["window_strides"])])
    return lax.reduce_window(
        spread,
        np.zeros((), dy.dtype),
        lax.add,
        eq["window_dimensions"],
        eq["base_dilation"],
        [(0, 0)] * dy.ndim,
        window_dilation=eq["window_dilation"],
    )


class _Reduced:
    """The windows of an array, one strided view for each tap (each place in the window), and which tap is best in each.

    The first of equals in row-major order is the best.
    """

    def __init__(self, params, shape, out_shape):
        one = (1,) * len(shape)
        self.shape, self.out_shape, self.padding, self.strides = shape, out_shape, params["padding"], params["window_strides"]
        self.base, self.dilation = params.get("base_dilation", one), params.get("window_dilation", one)
        self.taps = list(itertools.product(*map(range, params["window_dimensions"])))

    def padded(self, x, value):
        return lax.pad(x, lax.full((), value, x.dtype), [(lo, hi, b - 1) for (lo, hi), b in zip(self.padding, self.base)])

    def view(self, padded, tap):
        start = [t * d for t, d in zip(tap, self.dilation)]
        return lax.slice(padded, start, [a + (n - 1) * s + 1 for a, n, s in zip(start, self.out_shape, self.strides)], self.strides)

    def winner(self, x, better, worst):
        padded = self.padded(x, worst)
        best, winner = self.view(padded, self.taps[0]), lax.full(self.out_shape, 0, "int32")
        for i, tap in enumerate(self.taps[1:], 1):
            value = self.view(padded, tap)
            wins = better(value, best)
            best, winner = lax.select(wins, value, best), lax.select(wins, lax.full_like(winner, i), winner)
        return winner

    def scatter(self, dy, winner):
        """Each window's cotangent to its winner."""
        if 0 in self.shape:  # every window lies in the padding
            return lax.full(self.shape, 0, dy.dtype)
        full = [(n - 1) * b + 1 + lo + hi for n, b, (lo, hi) in zip(self.shape, self.base, self.padding)]
        total, zero = None, lax.full((), 0, dy.dtype)
        for i, tap in enumerate(self.taps):
            mine = lax.select(lax.eq(winner, lax.full_like(winner, i)), dy, lax.full_like(dy, 0))
            start = [t * d for t, d in zip(tap, self.dilation)]
            end = [f - (a + (n - 1) * s + 1) for a, f, n, s in zip(start, full, dy.shape, self.strides)]
            placed = lax.pad(mine, zero, [(a, e, s - 1) for a, e, s in zip(start, end, self.strides)])
            total = placed if total is None else total + placed
        cut = lax.pad(total, zero, [(-lo, -hi, 0) for lo, hi in self.padding])
        return lax.slice(cut, [0] * cut.ndim, cut.shape, self.base)

    def gather(self, x, winner):
        """From each window what stands at its winner."""
        padded, out = self.padded(x, 0), lax.full(self.out_shape, 0, x.dtype)
        for i, tap in enumerate(self.taps):
            out = lax.select(lax.eq(winner, lax.full_like(winner, i)), self.view(padded, tap), out)
        return out


_infinity = float("inf")


@rule("reduce_window_max", needs="x")
def _(eq, dy):
    windows = _Reduced(eq.params, eq.in_avals[0].shape, dy.shape)
    return windows.scatter(dy, windows.winner(eq.x[0], lax.gt, -_infinity))


@rule("reduce_window_min", needs="x")
def _(eq, dy):
    windows = _Reduced(eq.params, eq.in_avals[0].shape, dy.shape)
    return windows.scatter(dy, windows.winner(eq.x[0], lax.lt, _infinity))


def _choice(eq):
    return (lax.gt, -_infinity) if eq["select_prim"].name == "ge" else (lax.lt, _infinity)


@rule("select_and_scatter_add", needs="x1")
def _(eq, dy):
    """The backward of a max pool: its own backward gathers; the choice itself has no derivative."""
    source, operand = eq.in_avals
    windows = _Reduced(eq.params, operand.shape, source.shape)
    return lambda: windows.gather(dy, windows.winner(eq.x[1], *_choice(eq))), lambda: lax.full(operand.shape, 0, operand.dtype)


@rule("select_and_gather_add", needs="x1")
def _(eq, dy):
    operand = eq.in_avals[1]
    windows = _Reduced(eq.params, operand.shape, dy.shape)
    return lambda: windows.scatter(dy, windows.winner(eq.x[1], *_choice(eq))), lambda: lax.full(operand.shape, 0, operand.dtype)
