"""Reversible layers: their inputs are computed again from their outputs, so that nothing is kept for each of them."""

import jax
import jax.numpy as jnp
from jax import lax

from ..engine import op, vjp
from ._shared.checks import floating, one_dtype, one_shape


@op(static=("f", "g"))
def reversible(input1, input2, f_params, g_params, f, g):
    """y1 = x1 + f(p, x2), then y2 = x2 + g(q, y1), layer after layer, p and q being those of the layer.

    Shapes: input1 and input2 any, one shape, kept; f_params and g_params trees of arrays with an axis for the layers in front. f and g are
    functions of a layer's parameters and an array, to an array of its shape; they are part of what is compiled: hand over the same ones.
    Backward: from the last layer to the first, its input from its output:  x2 = y2 - g(q, y1);  x1 = y1 - f(p, x2);  by the rules of g at
    y1, (dq, d) for dy2;  dx1 = dy1 + d;  by those of f at x2, (dp, d) for dx1;  dx2 = dy2 + d. Only the last y1 and y2 are kept.
    Errors: ValueError for two shapes, f or g that return another shape or dtype, and parameters of several numbers of layers; TypeError for
    two dtypes, or integers. What f and g close over gets no gradient: hand it over among the parameters.
    Source: https://arxiv.org/abs/1707.04585

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> halve = lambda p, x: p * x
    >>> y1, y2 = F.reversible(jnp.ones(1), jnp.ones(1), jnp.array([0.5, 0.5]), jnp.array([0.5, 0.5]), halve, halve)
    >>> y1.tolist(), y2.tolist()
    ([2.375], [2.9375])
    """
    floating("reversible", input1=input1, input2=input2)
    one_dtype("reversible", input1=input1, input2=input2)
    one_shape("reversible", input1=input1, input2=input2)

    counts = {leaf.shape[:1] for leaf in jax.tree.leaves((f_params, g_params))}
    if len(counts) != 1 or () in counts:
        raise ValueError(f"reversible: expected parameters with one number of layers on their first axis, got {sorted(counts)}")

    def layer(x, params):
        (x1, x2), (p, q) = x, params
        y1 = x1 + _like(x2, f(p, x2), "f")
        return (y1, x2 + _like(y1, g(q, y1), "g")), None

    return lax.scan(layer, (input1, input2), (f_params, g_params))[0]


@reversible.def_forward
def _(input1, input2, f_params, g_params, f, g):
    y = reversible.formula(input1, input2, f_params, g_params, f, g)
    return y, {"y": y, "params": (f_params, g_params), "functions": (f, g)}


@reversible.def_backward
def _(saved, dy):
    f, g = saved["functions"]

    def layer(state, params):
        (y1, y2, dy1, dy2), (p, q) = state, params
        of_g, back = vjp(g, q, y1)
        dq, d = back(dy2)
        x2, dx1 = y2 - of_g, dy1 + d
        of_f, back = vjp(f, p, x2)
        dp, d = back(dx1)
        return (y1 - of_f, x2, dx1, dy2 + d), (_arrays(dp), _arrays(dq))

    (_, _, dx1, dx2), (dp, dq) = lax.scan(layer, (*saved["y"], *dy), saved["params"], reverse=True)
    return dx1, dx2, dp, dq


def _like(x, y, name):
    """What f or g made of x, which must be of its type."""
    if not isinstance(y, jax.Array) or (y.shape, y.dtype) != (x.shape, x.dtype):
        got = f"{y.dtype}{list(y.shape)}" if isinstance(y, jax.Array) else f"a {type(y).__name__}"
        raise ValueError(f"reversible: {name} must return what it takes, {x.dtype}{list(x.shape)}, and returned {got}")
    return y


def _arrays(cotangents):
    """None for the keys and whole numbers among the parameters, whose cotangents a scan cannot stack."""
    return jax.tree.map(lambda d: None if d.dtype == jax.dtypes.float0 else jnp.asarray(d), cotangents)
