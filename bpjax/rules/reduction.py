"""Reductions, cumulative reductions, and sorting."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from ..engine import no_gradient, rule, run, unhooked, vjp
from ..program import jaxprs
from .complex import greater, less


def _spread(d, shape, axes):
    """A reduced array, copied back over the reduced axes."""
    return lax.broadcast_in_dim(d, shape, tuple(i for i in range(len(shape)) if i not in axes))


@rule("reduce_sum")
def _(eq, dy):
    return _spread(dy, eq.in_avals[0].shape, eq["axes"])


def _extremum(name):
    @rule(name, needs="x y")
    def _(eq, dy):
        (x,), (y,), axes = eq.x, eq.y, eq["axes"]
        winners = lax.convert_element_type(lax.eq(x, _spread(y, x.shape, axes)), dy.dtype)
        share = dy / lax.reduce_sum(winners, tuple(axes))
        return _spread(share, x.shape, axes) * winners


_extremum("reduce_max")
_extremum("reduce_min")


@rule("reduce_prod", needs="x")
def _(eq, dy):
    """As a tree of products of two: no division, so right where elements are zero."""
    (x,), axes = eq.x, tuple(eq["axes"])
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    order = (*axes, *rest)
    count = math.prod(x.shape[i] for i in axes)
    flat = lax.reshape(lax.transpose(x, order), (count, *dy.shape))

    def tree(x, d):
        n = x.shape[0]
        if n < 2:
            return d if n else x
        half = (n + 1) // 2
        a, b = lax.slice_in_dim(x, 0, half), lax.slice_in_dim(x, half, n)
        b = _extended(b, half, 1)
        d = tree(a * b, d)
        return lax.concatenate([d * b, lax.slice_in_dim(d * a, 0, n - half)], 0)

    d = lax.reshape(tree(flat, lax.expand_dims(dy, (0,))), tuple(x.shape[i] for i in order))
    return lax.transpose(d, tuple(order.index(i) for i in range(x.ndim)))


def _extended(x, n, value=0):
    """Filled up at the end to length n."""
    return lax.pad(x, lax.full((), value, x.dtype), [(0, n - x.shape[0], 0), *[(0, 0, 0)] * (x.ndim - 1)])


@rule("cumsum")
def _(eq, dy):
    return lax.cumsum(dy, eq["axis"], reverse=not eq["reverse"])


def _cumulative(name, combine, cumulate, pull):
    """The backward of y_i = x_0 * ... * x_i, combined as a tree: pairs, their cumulation, and the places in between.

    The same tree as `lax.associative_scan`, so that ties split as JAX splits them. `pull(d, a, b)` gives the cotangents of
    a and b from that of combine(a, b).
    """

    def back(x, dy):
        n = x.shape[0]
        if n < 2:
            return dy
        a, b, later = lax.slice_in_dim(x, 0, n - 1, 2), lax.slice_in_dim(x, 1, n, 2), lax.slice_in_dim(x, min(2, n), n, 2)
        pairs = combine(a, b)
        odd = lax.slice_in_dim(cumulate(pairs, 0), 0, later.shape[0])  # y_1, y_3, ...: the last may have none after it
        d_even, d_odd = lax.slice_in_dim(dy, 0, n, 2), lax.slice_in_dim(dy, 1, n, 2)
        from_odd, d_later = pull(lax.slice_in_dim(d_even, 1, d_even.shape[0]), odd, later)
        d_a, d_b = pull(back(pairs, d_odd + _extended(from_odd, pairs.shape[0])), a, b)
        d_even = lax.concatenate([lax.slice_in_dim(d_even, 0, 1), d_later], 0) + _extended(d_a, d_even.shape[0])
        return _interleaved(d_even, d_b)

    @rule(name, needs="x")
    def _(eq, dy):
        order = [eq["axis"], *(i for i in range(dy.ndim) if i != eq["axis"])]
        turn = (lambda v: lax.rev(v, (0,))) if eq["reverse"] else (lambda v: v)
        d = turn(back(turn(lax.transpose(eq.x[0], order)), turn(lax.transpose(dy, order))))
        return lax.transpose(d, tuple(order.index(i) for i in range(dy.ndim)))


def _interleaved(even, odd):
    """even[0], odd[0], even[1], ..."""
    n, zero, rest = even.shape[0] + odd.shape[0], lax.full((), 0, even.dtype), [(0, 0, 0)] * (even.ndim - 1)
    return lax.pad(even, zero, [(0, n - 2 * even.shape[0] + 1, 1), *rest]) + lax.pad(odd, zero, [(1, n - 2 * odd.shape[0], 1), *rest])


def _pull_chosen(d, a, b, wins):
    """To the one chosen; half to each where they are equal."""
    zero, half = lax.full_like(d, 0), d * lax.full_like(d, 0.5)
    tie = lax.select(lax.eq(a, b), half, zero)
    return lax.select(wins(a, b), d, tie), lax.select(wins(b, a), d, tie)


def _logaddexp(a, b):
    """Written out, since rules should not lean on another function's own rule."""
    high, low = lax.max(a, b), lax.min(a, b)
    same = lax.eq(high, low)  # also two infinities, whose difference is nan
    gap = lax.select(same, lax.full_like(a, 0), low - high)
    return high + lax.log1p(lax.exp(gap))


def _log_share(a, b):
    """exp(a) / (exp(a) + exp(b))"""
    same = lax.eq(a, b)
    return lax.logistic(lax.select(same, lax.full_like(a, 0), a - b))


_cumulative("cumprod", lax.mul, lax.cumprod, lambda d, a, b: (d * b, d * a))
_cumulative("cummax", lax.max, lax.cummax, lambda d, a, b: _pull_chosen(d, a, b, greater))
_cumulative("cummin", lax.min, lax.cummin, lambda d, a, b: _pull_chosen(d, a, b, less))
_cumulative("cumlogsumexp", _logaddexp, lax.cumlogsumexp, lambda d, a, b: (d * _log_share(a, b), d * _log_share(b, a)))


@rule("sort", needs="x")
def _(eq, *dys):
    axis = eq["dimension"]
    position = lax.broadcasted_iota("int32", eq.in_avals[0].shape, axis)
    *_, order = lax.sort((*eq.x, position), dimension=axis, is_stable=eq["is_stable"], num_keys=eq["num_keys"])
    _, back = lax.sort((order, position), dimension=axis, num_keys=1)
    return tuple(None if d is None else (lambda d=d: _along(d, back, axis)) for d in dys)


def _along(x, index, axis):
    """x[..., index, ...] along one axis."""
    return jnp.take_along_axis(x, index, axis=axis)


def _chosen(eq, dy, axis):
    """Each cotangent to the place along the axis that was chosen."""
    axis %= len(eq.in_avals[0].shape)
    index, aval = eq.y[1], eq.in_avals[0]
    grid = [lax.broadcasted_iota(index.dtype, index.shape, i) for i in range(index.ndim)]
    grid[axis] = index
    return jnp.zeros(aval.shape, aval.dtype).at[tuple(grid)].add(dy)


@rule("top_k", needs="y1")
def _(eq, dy, _):
    return _chosen(eq, dy, eq.params.get("axis", -1))


@rule("approx_top_k", needs="y1")
def _(eq, dy, _):
    return _chosen(eq, dy, eq["reduction_dimension"])


@rule("reduce", needs="x")
def _(eq, *dys):
    """Of a function of the user's: the backward of the same reduction written as a tree of pairs, JAX's own, so that ties split alike."""
    n, axes = len(eq.x) // 2, tuple(eq["dimensions"])
    program, consts = jaxprs.program(eq["jaxpr"])

    def tree(*operands):
        inputs, first = operands[:n], operands[n:]
        rest = tuple(i for i in range(inputs[0].ndim) if i not in axes)
        count = math.prod(inputs[0].shape[i] for i in axes)
        flat = [lax.reshape(lax.transpose(x, (*axes, *rest)), (count, *(x.shape[i] for i in rest))) for x in inputs]

        def combined(left, right):
            one = lambda *pair: run(program, [*consts, *pair])[0]
            for _ in range(left[0].ndim):
                one = jax.vmap(one)
            return one(*left, *right)

        while flat[0].shape[0] > 1:
            half = flat[0].shape[0] // 2
            second = flat[0].shape[0] - half
            middle = [lax.slice_in_dim(x, half, second) for x in flat]
            flat = combined([lax.slice_in_dim(x, 0, half) for x in flat], [lax.slice_in_dim(x, second, None) for x in flat])
            flat = [lax.concatenate([x, m], 0) if m.shape[0] else x for x, m in zip(flat, middle)]
        whole = [lax.expand_dims(lax.broadcast(f, x.shape[1:]), (0,)) for f, x in zip(first, flat)]
        return [x[0] for x in (combined(whole, flat) if count else whole)]

    with unhooked():  # what is looked at is this equation, not those of the tree
        return vjp(tree, *eq.x)[1](list(dys))


no_gradient("argmax", "argmin", "reduce_and", "reduce_or", "reduce_xor")
