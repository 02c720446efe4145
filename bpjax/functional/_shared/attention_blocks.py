"""Attention in blocks of queries and keys: no array of all L times S scores exists, and pairs that a mask empties are passed over.

`forward` and `backward` scan over the pairs of blocks that hold an allowed score, row after row, and add up what each pair gives.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...engine import after, scan
from .checks import at_least_float32, wide
from .reduction import unbroadcast
from .sizes import surely


def block_size(leading, L, S):
    """How many queries and keys make a block: 256 for at most 4 heads of 2²² scores or more each, else 128.

    Smaller blocks cost more steps; the scores of larger ones leave the cache, and take more memory than they save time.
    """
    return 256 if surely(lambda: math.prod(leading) <= 4 and L * S >= 2**22) else 128


class Grid:
    """L queries and S keys cut into blocks of about one size. Key j is allowed for query i where low <= j - i <= high; None: no limit."""

    def __init__(self, L: int, S: int, low: int | None, high: int | None, block: int):
        self.L, self.S, self.low, self.high = L, S, low, high
        self.rows, self.columns = (max(-(-n // block), 1) for n in (L, S))
        self.q, self.k = -(-L // self.rows), -(-S // self.columns)

    def pairs(self):
        """The pairs (i, j) of a block of queries and one of keys that hold an allowed score, in rows."""
        i, j = np.indices((self.rows, self.columns)).reshape(2, -1)
        least, most = j * self.k - (i * self.q + self.q - 1), j * self.k + self.k - 1 - i * self.q
        holds = np.ones(i.shape, bool)
        if self.high is not None:
            holds &= least <= self.high
        if self.low is not None:
            holds &= most >= self.low
        return i[holds].astype(np.int32), j[holds].astype(np.int32)

    def allowed(self, i, j):
        """Which scores of a pair of blocks are allowed, (q, k); None where all are."""
        row = i * self.q + lax.broadcasted_iota(jnp.int32, (self.q, self.k), 0)
        column = j * self.k + lax.broadcasted_iota(jnp.int32, (self.q, self.k), 1)
        inside = in_band(row, column, self.low, self.high)
        if self.columns * self.k == self.S:
            return inside
        return column < self.S if inside is None else inside & (column < self.S)

    def padded_queries(self, a):
        """An array (*, L, X) with zeros behind, up to whole blocks."""
        return _padded(a, self.rows * self.q, -2)

    def padded_keys(self, a):
        """An array (*, S, X) with zeros behind, up to whole blocks."""
        return _padded(a, self.columns * self.k, -2)

    def queries(self, a, i):
        """Block i of an array (*, L, X)."""
        return lax.dynamic_slice_in_dim(a, i * self.q, self.q, -2)

    def keys(self, a, j):
        """Block j of an array (*, S, X)."""
        return lax.dynamic_slice_in_dim(a, j * self.k, self.k, -2)

    def mask(self, mask, i, j):
        """The part for a pair of blocks of a mask that broadcasts to (*, L, S), with what it lacks at the end; None stays None."""
        if mask is None:
            return None
        for axis, n, size, at in ((-2, self.rows, self.q, i), (-1, self.columns, self.k, j)):
            if mask.ndim >= -axis and mask.shape[axis] != 1:
                mask = lax.dynamic_slice_in_dim(_padded(mask, n * size, axis), at * size, size, axis)
        return mask


def in_band(row, column, low, high):
    """Where low <= column - row <= high; None where there is no limit."""
    if low is None and high is None:
        return None
    offset = column - row
    if low is None or high is None:
        return offset <= high if low is None else offset >= low
    return (offset >= low) & (offset <= high)


def scores(q, k, mask, scale, leading, is_allowed):
    """s q kᵀ, -∞ where masked, (*leading, L, S) in at least float32."""
    S = scale * times(q, k.mT)
    S = jnp.broadcast_to(S, leading + S.shape[-2:])
    if is_allowed is not None:
        S = jnp.where(is_allowed, S, -jnp.inf)
    if mask is None:
        return S
    return jnp.where(mask, S, -jnp.inf) if mask.dtype == bool else S + mask


def dropout_mask(p, rng, leading, grid, i, j):
    """Which weights of a pair of blocks the dropout keeps: drawn for each pair from a key of its own, so that it can be drawn again."""
    key = jax.random.fold_in(rng, i * grid.columns + j)
    return jax.random.uniform(key, (*leading, grid.q, grid.k), jnp.float32) >= p


def whole_dropout_mask(p, rng, leading, grid):
    """What `dropout_mask` gives for all pairs, as one array (*leading, L, S)."""
    i, j = np.indices((grid.rows, grid.columns)).astype(np.int32)
    draw = partial(dropout_mask, p, rng, leading, grid)
    m = jax.vmap(jax.vmap(draw))(i, j)
    m = jnp.moveaxis(m, (0, 1), (-4, -2)).reshape(*leading, grid.rows * grid.q, grid.columns * grid.k)
    return m[..., : grid.L, : grid.S]


def dropped(P, p, m):
    """P m / (1 - p); P where nothing is dropped (m is None)."""
    return P if m is None else jnp.where(m, P / (1 - p) if p < 1 else 0, 0)


def forward(q, k, v, mask, rng, *, p, scale, leading, grid):
    """The output in at least float32, and log Σ exp of each row of scores.

    Each row's maximum m, sum s of exp(S - m) and output o are brought up to date block by block; a rising m lets s and o fade.
    """
    L = q.shape[-2]
    q, k, v = grid.padded_queries(q), grid.padded_keys(k), grid.padded_keys(v)

    def step(sums, at):
        i, j = at
        o, m_before, s = (grid.queries(a, i) for a in sums)
        S = scores(grid.queries(q, i), grid.keys(k, j), grid.mask(mask, i, j), scale, leading, grid.allowed(i, j))
        m = jnp.maximum(m_before, S.max(-1, keepdims=True, initial=-jnp.inf))
        finite = jnp.where(m == -jnp.inf, 0, m)
        P, fading = jnp.exp(S - finite), jnp.exp(m_before - finite)
        s = fading * s + P.sum(-1, keepdims=True)
        P = dropped(P, p, dropout_mask(p, rng, leading, grid, i, j) if p else None)
        o = fading * o + times(P.astype(v.dtype), grid.keys(v, j))
        return [lax.dynamic_update_slice_in_dim(a, of_block, i * grid.q, -2) for a, of_block in zip(sums, (o, m, s))], None

    dtype = wide(q.dtype)
    rows = (*leading, q.shape[-2])
    start = [jnp.zeros((*rows, v.shape[-1]), dtype), jnp.full((*rows, 1), -jnp.inf, dtype), jnp.zeros((*rows, 1), dtype)]
    (o, m, s), _ = _over_pairs(step, start, grid, q)
    s = jnp.where(s == 0, 1, s)
    return (o / s)[..., :L, :], (jnp.where(m == -jnp.inf, 0, m) + jnp.log(s))[..., :L, :]


def backward(q, k, v, mask, rng, o, lse, do, *, p, scale, leading, grid):
    """The cotangents of q, k, v: of each pair of blocks the scores are recomputed, and what it gives is added up, dk and dv transposed."""
    again = _Again(q, k, v, mask, rng, o, lse, do, p, scale, leading, grid)

    def of_pair(i, j):
        q, do, k, v = again.blocks(i, j)
        P, dS = again.weights_and_d_scores(i, j)
        dS = (scale * dS).astype(q.dtype)
        dq, dkT = times(dS, k), transposed_times(jnp.broadcast_to(q, leading + q.shape[-2:]), dS, k)
        return dq, dkT, transposed_times(do, P.astype(v.dtype), v)

    def step(sums, at):
        i, j = at
        places = (i * grid.q, -2), (j * grid.k, -1), (j * grid.k, -1)
        return [_added(a, d, *place) for a, d, place in zip(sums, of_pair(i, j), places)], None

    dq, dkT, dvT = jax.eval_shape(of_pair, jnp.int32(0), jnp.int32(0))
    sizes = (*dq.shape[:-2], again.L, dq.shape[-1]), (*dkT.shape[:-1], again.S), (*dvT.shape[:-1], again.S)
    (dq, dkT, dvT), _ = _over_pairs(step, [jnp.zeros(size, d.dtype) for size, d in zip(sizes, (dq, dkT, dvT))], grid, do)
    return tuple(unbroadcast(d[..., : a.shape[-2], :], a) for d, a in zip((dq, dkT.mT, dvT.mT), (q, k, v)))


def d_mask(q, k, v, mask, rng, o, lse, do, *, p, scale, leading, grid):
    """The cotangent of a mask that is added: dS of each pair of blocks, at its place."""
    again = _Again(q, k, v, mask, rng, o, lse, do, p, scale, leading, grid)

    def step(dS, at):
        i, j = at
        _, of_pair = again.weights_and_d_scores(i, j)
        before = [jnp.int32(0)] * len(leading)
        return lax.dynamic_update_slice(dS, of_pair, (*before, i * grid.q, j * grid.k)), None

    dS, _ = _over_pairs(step, jnp.zeros((*leading, again.L, again.S), lse.dtype), grid, do)
    return unbroadcast(dS[..., : grid.L, : grid.S], mask)


class _Again:
    """What `forward` did, pair by pair, with the cotangent of the output."""

    def __init__(self, q, k, v, mask, rng, o, lse, do, p, scale, leading, grid):
        D = (at_least_float32(do) * at_least_float32(o)).sum(-1, keepdims=True)
        self.of_queries, self.of_keys = [grid.padded_queries(a) for a in (q, do, lse, D)], [grid.padded_keys(a) for a in (k, v)]
        self.mask, self.rng, self.p, self.scale, self.leading, self.grid = mask, rng, p, scale, leading, grid
        self.L, self.S = grid.rows * grid.q, grid.columns * grid.k

    def blocks(self, i, j):
        """The blocks of q, do, k and v."""
        return [self.grid.queries(a, i) for a in self.of_queries[:2]] + [self.grid.keys(a, j) for a in self.of_keys]

    def weights_and_d_scores(self, i, j):
        """The weights of a pair of blocks as they met the values, and the cotangent of its scores."""
        (q, do, k, v), (lse, D) = self.blocks(i, j), (self.grid.queries(a, i) for a in self.of_queries[2:])
        P = jnp.exp(scores(q, k, self.grid.mask(self.mask, i, j), self.scale, self.leading, self.grid.allowed(i, j)) - lse)
        m = dropout_mask(self.p, self.rng, self.leading, self.grid, i, j) if self.p else None
        return dropped(P, self.p, m), P * (dropped(times(do, v.mT), self.p, m) - D)


AT_A_TIME = 2  # pairs of blocks in a step: XLA:CPU works on what one does not need of the other beside it


def _over_pairs(step, start, grid, first):
    """A scan over the pairs of blocks. XLA would make all starts at the beginning of a program: not before the array `first` is there."""
    return scan(step, after(start, [first]), grid.pairs(), unroll=AT_A_TIME)


def _added(a, d, start, axis):
    """a with d added to it from `start` on."""
    return lax.dynamic_update_slice_in_dim(a, lax.dynamic_slice_in_dim(a, start, d.shape[axis], axis) + d, start, axis)


def _padded(a, size, axis):
    if a.shape[axis] == size:
        return a
    widths = [(0, 0)] * a.ndim
    widths[axis] = (0, size - a.shape[axis])
    return jnp.pad(a, widths)


# -- products, in which several heads of queries may share one of keys --------------------------------------------------


def times(a, b):
    """a b in at least float32. Where a has more heads than b, each of b's serves several of a's in a row."""
    grouped = _in_groups(a, b)
    y = jnp.matmul(grouped, b, preferred_element_type=wide(a.dtype))
    return y if grouped is a else y.reshape(*y.shape[:-3], *a.shape[-3:-1], y.shape[-1])


def transposed_times(a, b, like):
    """aᵀ b in at least float32, with as many heads as `like`: summed over those that share one.

    a is transposed behind a barrier: XLA:CPU would do so in the product, which takes longer.
    """
    a, b = _in_groups(a, like), _in_groups(b, like)
    return jnp.matmul(lax.optimization_barrier(a.mT), b, preferred_element_type=wide(a.dtype))


def _in_groups(a, like):
    """(*, H G, L, X) as (*, H, G L, X), H being the heads of `like`: the heads that share one as one longer sequence."""
    heads = like.shape[-3] if like.ndim > 2 else 0
    if a.ndim < 3 or heads == 0 or a.shape[-3] <= heads or a.shape[-3] % heads:
        return a
    return a.reshape(*a.shape[:-3], heads, a.shape[-3] // heads * a.shape[-2], a.shape[-1])
