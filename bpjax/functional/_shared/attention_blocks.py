"""Attention in blocks of queries and keys: no array of all L times S scores exists, and pairs that a mask empties are passed over.

`forward` and `backward` go through the blocks in the steps of attention_grid.py and add up what each gives: on a CPU in a loop over small
squares, whose scores stay in the cache, elsewhere in few large strips.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...engine import after, by_platform, in_memory, scan
from .attention_grid import Grid, Span, Squares, Strips, large_steps
from .checks import at_least_float32, wide
from .reduction import unbroadcast

__all__ = ()  # no layers


def scores(q, k, mask, scale, leading, is_allowed):
    """s q kᵀ, -∞ where masked, (*leading, L, S) in at least float32."""
    return masked(scale * times(q, k.mT), mask, leading, is_allowed)


def masked(S, mask, leading, is_allowed):
    """The scores, (*leading, L, S), -∞ where they are not allowed."""
    S = jnp.broadcast_to(S, leading + S.shape[-2:])
    if is_allowed is not None:
        S = jnp.where(is_allowed, S, -jnp.inf)
    if mask is None:
        return S
    return jnp.where(mask, S, -jnp.inf) if mask.dtype == bool else S + mask


def dropout_mask(p, rng, leading, grid, rows, columns):
    """Which weights of these blocks the dropout keeps: drawn for each pair from a key of its own, so that it can be drawn again."""
    draw = partial(_dropout_mask_of_pair, p, rng, leading, grid)
    if rows.count == columns.count == 1:
        return draw(rows.first, columns.first)
    i, j = np.indices((rows.count, columns.count)).astype(np.int32)
    m = jax.vmap(jax.vmap(draw))(rows.first + i, columns.first + j)
    return jnp.moveaxis(m, (0, 1), (-4, -2)).reshape(*leading, rows.count * grid.q, columns.count * grid.k)


def _dropout_mask_of_pair(p, rng, leading, grid, i, j):
    key = jax.random.fold_in(rng, i * grid.columns_with_keys + j)
    return jax.random.uniform(key, (*leading, grid.q, grid.k), jnp.float32) >= p


def whole_dropout_mask(p, rng, leading, grid):
    """What `dropout_mask` gives for all blocks, as one array (*leading, L, S)."""
    return dropout_mask(p, rng, leading, grid, Span(0, grid.rows), Span(0, grid.columns))[..., : grid.L, : grid.S]


def dropped(P, p, m):
    """P m / (1 - p); P where nothing is dropped (m is None)."""
    return P if m is None else jnp.where(m, P / (1 - p) if p < 1 else 0, 0)


class _Weights:
    """The scores and the weights of some blocks."""

    def __init__(self, grid: Grid, mask, rng, p, scale, leading):
        self.grid, self.mask, self.rng, self.p, self.scale, self.leading = grid, mask, rng, p, scale, leading

    def scores(self, q, k, rows: Span, columns: Span):
        """Of these blocks of q and k."""
        mask, is_allowed = self.grid.mask(self.mask, rows, columns), self.grid.allowed(rows, columns)
        return masked(self.scale * times_transposed(q, k), mask, self.leading, is_allowed)

    def dropout(self, rows: Span, columns: Span):
        """Which weights are kept; None where all are."""
        return dropout_mask(self.p, self.rng, self.leading, self.grid, rows, columns) if self.p else None

    def recomputed(self, blocks, rows: Span, columns: Span):
        """The weights as they met the values, and the cotangent of the scores; `blocks`: of q, do, lse, D, k and v, D = Σ do o."""
        q, do, lse, D, k, v = blocks
        P, m = jnp.exp(self.scores(q, k, rows, columns) - lse), self.dropout(rows, columns)
        return dropped(P, self.p, m), P * (dropped(times_transposed(do, v), self.p, m) - D)


def _on_platforms(in_squares: Callable, in_strips: Callable, scores: int, arrays: tuple, *, grid, leading, **options) -> Any:
    """One of the functions, in the steps of each platform; `scores`: how many arrays of scores it has at a time."""

    def form(steps):
        return partial(in_strips if isinstance(steps, Strips) else in_squares, steps=steps, leading=leading, **options)

    return by_platform(*arrays, cpu=form(Squares(grid)), default=form(large_steps(grid, leading, scores)))


def forward(q, k, v, mask, rng, **options):
    """The output in at least float32, and log Σ exp of each row of scores."""
    return _on_platforms(_forward_in_squares, _forward_in_strips, 2, (q, k, v, mask, rng), **options)


def _forward_in_strips(q, k, v, mask, rng, *, p, scale, leading, steps):
    """A step has all the keys that its queries may attend to."""
    grid, weights = steps.grid, _Weights(steps.grid, mask, rng, p, scale, leading)
    arrays, found = (grid.padded_queries(q), grid.padded_keys(k), grid.padded_keys(v)), []
    for rows, columns in steps.strips:
        q_of_rows, (k_of_columns, v_of_columns) = grid.queries(arrays[0], rows), (grid.keys(a, columns) for a in arrays[1:])
        S = weights.scores(q_of_rows, k_of_columns, rows, columns)
        m = S.max(-1, keepdims=True, initial=-jnp.inf)
        finite = jnp.where(m == -jnp.inf, 0, m)
        P = jnp.exp(S - finite)
        s = P.sum(-1, keepdims=True)
        s = jnp.where(s == 0, 1, s)
        o = times(dropped(P, p, weights.dropout(rows, columns)).astype(v.dtype), v_of_columns) / s
        found, arrays = in_memory([*found, (o, finite + jnp.log(s))], arrays)
    return tuple(jnp.concatenate(parts, -2)[..., : q.shape[-2], :] for parts in zip(*found))


def _forward_in_squares(q, k, v, mask, rng, *, p, scale, leading, steps):
    """Each row's maximum m, sum s of exp(S - m) and output o are brought up to date step by step; a rising m lets s and o fade."""
    grid, L, weights = steps.grid, q.shape[-2], _Weights(steps.grid, mask, rng, p, scale, leading)
    q, k, v = grid.padded_queries(q), grid.padded_keys(k), grid.padded_keys(v)

    def step(sums, rows, columns):
        o, m_before, s = (grid.queries(a, rows) for a in sums)
        S = weights.scores(grid.queries(q, rows), grid.keys(k, columns), rows, columns)
        m = jnp.maximum(m_before, S.max(-1, keepdims=True, initial=-jnp.inf))
        finite = jnp.where(m == -jnp.inf, 0, m)
        P, fading = jnp.exp(S - finite), jnp.exp(m_before - finite)
        s = fading * s + P.sum(-1, keepdims=True)
        o = fading * o + times(dropped(P, p, weights.dropout(rows, columns)).astype(v.dtype), grid.keys(v, columns))
        return [lax.dynamic_update_slice_in_dim(a, of_rows, rows.first * grid.q, -2) for a, of_rows in zip(sums, (o, m, s))]

    dtype = wide(q.dtype)
    of_rows = (*leading, q.shape[-2])
    start = [jnp.zeros((*of_rows, v.shape[-1]), dtype), jnp.full((*of_rows, 1), -jnp.inf, dtype), jnp.zeros((*of_rows, 1), dtype)]
    o, m, s = _in_loop(steps, step, start, q)
    s = jnp.where(s == 0, 1, s)
    return (o / s)[..., :L, :], (jnp.where(m == -jnp.inf, 0, m) + jnp.log(s))[..., :L, :]


def backward(q, k, v, mask, rng, o, lse, do, **options):
    """The cotangents of q, k, v: in each step the scores are recomputed, and what it gives is added up."""
    return _on_platforms(_backward_in_squares, _backward_in_strips, 4, (q, k, v, mask, rng, o, lse, do), **options)


def _backward_in_strips(q, k, v, mask, rng, o, lse, do, *, p, scale, leading, steps):
    """The last queries first, who under a causal mask have all keys: theirs are the sums to which the others' are added."""
    weights = _Weights(steps.grid, mask, rng, p, scale, leading)
    arrays, dq, sums = _for_backward(steps.grid, q, k, v, o, lse, do), [], (None, None)
    for rows, columns in reversed(steps.strips):
        of_rows, left, right = _cotangents(weights, arrays, rows, columns)
        of_columns = [transposed_times(b, a, like) for (a, b), like in ((left, k), (right, v))]
        sums = [_with(a, d, columns.first * steps.grid.k, steps.grid.columns * steps.grid.k, -2) for a, d in zip(sums, of_columns)]
        (dq, sums), arrays = in_memory(([of_rows, *dq], sums), arrays)
    return _cut_out((jnp.concatenate(dq, -2), *sums), (q, k, v))


def _backward_in_squares(q, k, v, mask, rng, o, lse, do, *, p, scale, leading, steps):
    """dk and dv transposed: on a CPU the larger array is not turned over then."""
    grid, weights = steps.grid, _Weights(steps.grid, mask, rng, p, scale, leading)
    arrays, one = _for_backward(grid, q, k, v, o, lse, do), Span(0, steps.count)

    def of_blocks(rows, columns):
        dq, left, right = _cotangents(weights, arrays, rows, columns)
        return dq, transposed_times(*left, k), transposed_times(*right, v)

    def step(sums, rows, columns):
        places = (rows.first * grid.q, -2), (columns.first * grid.k, -1), (columns.first * grid.k, -1)
        return [_added(a, d, *place) for a, d, place in zip(sums, of_blocks(rows, columns), places)]

    dq, dkT, dvT = jax.eval_shape(lambda: of_blocks(one, one))
    L, S = grid.rows * grid.q, grid.columns * grid.k
    sizes = (*dq.shape[:-2], L, dq.shape[-1]), (*dkT.shape[:-1], S), (*dvT.shape[:-1], S)
    dq, dkT, dvT = _in_loop(steps, step, [jnp.zeros(size, d.dtype) for size, d in zip(sizes, (dq, dkT, dvT))], do)
    return _cut_out((dq, dkT.mT, dvT.mT), (q, k, v))


def _for_backward(grid, q, k, v, o, lse, do):
    """What the steps take blocks of: q, do, lse, D = Σ do o, k, v."""
    D = (at_least_float32(do) * at_least_float32(o)).sum(-1, keepdims=True)
    return *(grid.padded_queries(a) for a in (q, do, lse, D)), *(grid.padded_keys(a) for a in (k, v))


def _blocks(grid, arrays, rows, columns):
    """These blocks of what `_for_backward` gives."""
    return [grid.queries(a, rows) for a in arrays[:4]] + [grid.keys(a, columns) for a in arrays[4:]]


def _cotangents(weights: _Weights, arrays, rows, columns):
    """What these blocks give: dq, the pair whose product is dkᵀ, and that of dvᵀ."""
    q, do, _, _, k, v = blocks = _blocks(weights.grid, arrays, rows, columns)
    P, dS = weights.recomputed(blocks, rows, columns)
    dS = (weights.scale * dS).astype(q.dtype)
    return times(dS, k), (jnp.broadcast_to(q, weights.leading + q.shape[-2:]), dS), (do, P.astype(v.dtype))


def _cut_out(cotangents, arrays):
    """The cotangents of q, k and v without what was padded or broadcast."""
    return tuple(unbroadcast(d[..., : a.shape[-2], :], a) for d, a in zip(cotangents, arrays))


def d_mask(q, k, v, mask, rng, o, lse, do, **options):
    """The cotangent of a mask that is added: dS of each step, at its place."""
    return _on_platforms(_d_mask_in_squares, _d_mask_in_strips, 4, (q, k, v, mask, rng, o, lse, do), **options)


def _d_mask_in_strips(q, k, v, mask, rng, o, lse, do, *, p, scale, leading, steps):
    grid, weights = steps.grid, _Weights(steps.grid, mask, rng, p, scale, leading)
    arrays, found = _for_backward(grid, q, k, v, o, lse, do), []
    for rows, columns in steps.strips:
        _, dS = weights.recomputed(_blocks(grid, arrays, rows, columns), rows, columns)
        found, arrays = in_memory([*found, _with(None, dS, columns.first * grid.k, grid.columns * grid.k, -1)], arrays)
    return unbroadcast(jnp.concatenate(found, -2)[..., : grid.L, : grid.S], mask)


def _d_mask_in_squares(q, k, v, mask, rng, o, lse, do, *, p, scale, leading, steps):
    grid, weights = steps.grid, _Weights(steps.grid, mask, rng, p, scale, leading)
    arrays = _for_backward(grid, q, k, v, o, lse, do)

    def step(dS, rows, columns):
        _, of_blocks = weights.recomputed(_blocks(grid, arrays, rows, columns), rows, columns)
        before = [jnp.int32(0)] * len(leading)
        return lax.dynamic_update_slice(dS, of_blocks, (*before, rows.first * grid.q, columns.first * grid.k))

    dS = _in_loop(steps, step, jnp.zeros((*leading, grid.rows * grid.q, grid.columns * grid.k), lse.dtype), do)
    return unbroadcast(dS[..., : grid.L, : grid.S], mask)


AT_A_TIME = 2  # steps of a loop: XLA:CPU works on what one does not need of the other beside it


def _in_loop(steps: Squares, step: Callable, sums: Any, first: Any) -> Any:
    """`sums = step(sums, rows, columns)` for each square, one after the other.

    XLA would make the start at the beginning of a program: not before the array `first` is there.
    """
    of_square = lambda sums, at: (step(sums, *(Span(first, steps.count) for first in at)), None)
    return scan(of_square, after(sums, [first]), steps.firsts(), unroll=AT_A_TIME)[0]


def _added(a, d, start, axis):
    """a with d added to it from `start` on."""
    return lax.dynamic_update_slice_in_dim(a, lax.dynamic_slice_in_dim(a, start, d.shape[axis], axis) + d, start, axis)


def _with(a, d, start, size, axis):
    """a (None: so many zeros) with d added to it from `start` on."""
    if a is not None:
        return _added(a, d, start, axis)
    widths = [(0, 0)] * d.ndim
    widths[axis] = (start, size - start - d.shape[axis])
    return jnp.pad(d, widths)


# -- products, in which several heads of queries may share one of keys --------------------------------------------------


def times(a, b):
    """a b in at least float32. Where a has more heads than b, each of b's serves several of a's in a row."""
    return _heads_apart(a, jnp.matmul(_in_groups(a, b), b, preferred_element_type=wide(a.dtype)))


def times_transposed(a, b):
    """a bᵀ in the same way."""
    return _heads_apart(a, jnp.einsum("...xz,...yz->...xy", _in_groups(a, b), b, preferred_element_type=wide(a.dtype)))


def _heads_apart(a, y):
    """y with the heads of a, which `_in_groups` may have joined."""
    return y if y.shape[-2] == a.shape[-2] else y.reshape(*y.shape[:-3], *a.shape[-3:-1], y.shape[-1])


def transposed_times(a, b, like):
    """aᵀ b in at least float32, with as many heads as `like`: summed over those that share one.

    On a CPU a is transposed behind a barrier: XLA would do so in the product, which takes longer.
    """
    a, b = _in_groups(a, like), _in_groups(b, like)
    product = partial(jnp.einsum, "...lx,...ly->...xy", preferred_element_type=wide(a.dtype))
    turned = lambda a, b: jnp.matmul(lax.optimization_barrier(a.mT), b, preferred_element_type=wide(a.dtype))
    return by_platform(a, b, cpu=turned, default=product)


def _in_groups(a, like):
    """(*, H G, L, X) as (*, H, G L, X), H being the heads of `like`: the heads that share one as one longer sequence."""
    heads = like.shape[-3] if like.ndim > 2 else 0
    if a.ndim < 3 or heads == 0 or a.shape[-3] <= heads or a.shape[-3] % heads:
        return a
    return a.reshape(*a.shape[:-3], heads, a.shape[-3] // heads * a.shape[-2], a.shape[-1])
