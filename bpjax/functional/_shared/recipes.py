"""Recipes for ops of one array, `input`, whose backward is one slope. The recipe says what is kept; the slope stands under the formula.

A slope takes the array that is kept, and by name those static arguments that it asks for. It sees the array in the dtype that it has: where
16 bits are too few, the slope says `at_least_float32`, as the formula does. The cotangent is rounded to its dtype once, at the end.
Errors of the declared halves name the line of the slope.

    @from_output(tanh)                       @from_input(gelu)                          @from_mask(relu)
    def _(y):                                def _(x, approximate):                     def _(x):
        return (1 - y) * (1 + y)                 return Phi(x, ...) + x * phi(x, ...)       return x <= 0
"""

import functools
import inspect

import jax.numpy as jnp

from ...engine import RecomputeOnly
from .masks import pack, unpack


def from_output(op):
    """Keeps y:  dx = slope(y) dy."""

    def declare(slope):
        asked = _asked_for(slope)

        @op.def_forward
        @functools.wraps(slope)
        def _(input, **static):
            y = op.formula(input, **static)
            return y, {"y": y, **static}

        @op.def_backward
        @functools.wraps(slope)
        def _(saved, dy):
            return ((slope(saved["y"], **asked(saved)) * dy).astype(dy.dtype),)

        return slope

    return declare


def from_input(op):
    """Keeps x:  dx = slope(x) dy, recomputed once dy is there (see `gelu`). The output is recomputed, too, where it would be kept."""

    def declare(slope):
        asked = _asked_for(slope)

        @op.def_forward
        @functools.wraps(slope)
        def _(input, **static):
            return op.formula(input, **static), {"x": input, **static}

        @op.def_backward(recomputes="x")
        @functools.wraps(slope)
        def _(saved, dy):
            return ((slope(saved["x"], **asked(saved)) * dy).astype(dy.dtype),)

        _recompute_from_x(op, slope)
        return slope

    return declare


def from_mask(op, *, factor=None, recompute=False, of_output=False):
    """Keeps where x is cut off, 8 to the byte:  dx = 0 there and dy elsewhere; or there dy times the static argument called `factor`.

    The 0 is chosen, not a product: dy may be infinite there. With `recompute` the output is recomputed where x itself is. With `of_output`
    y is asked, which is cut off where x is: it is being written, and a GPU then takes one kernel for both.
    """

    def declare(is_cut_off):
        asked = _asked_for(is_cut_off)

        @op.def_forward
        @functools.wraps(is_cut_off)
        def _(input, **static):
            y = op.formula(input, **static)
            saved = {"off": pack(is_cut_off(y if of_output else input, **asked(static))), **static}
            return y, saved | ({"x": RecomputeOnly(input)} if recompute else {})

        @op.def_backward
        @functools.wraps(is_cut_off)
        def _(saved, dy):
            return (jnp.where(unpack(saved["off"], dy.shape), 0 if factor is None else saved[factor] * dy, dy),)

        if recompute:
            _recompute_from_x(op, is_cut_off)
        return is_cut_off

    return declare


def _recompute_from_x(op, slope):
    @op.def_recompute
    @functools.wraps(slope)
    def _(saved):
        return op.formula(saved["x"], **{n: saved[n] for n in op.static})


def _asked_for(slope):
    """Picks the arguments that the slope has behind its array."""
    _, *names = inspect.signature(slope).parameters
    return lambda named: {n: named[n] for n in names}
