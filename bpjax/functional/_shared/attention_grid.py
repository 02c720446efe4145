"""The scores of L queries and S keys, cut into blocks, and the steps in which they are gone through."""

import copy
import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from .sizes import is_known, surely

__all__ = ()  # no layers

SCORES = 3 * 2**23  # of a large step: 96 MB
MOST_STRIPS = 16  # more are a loop


def block_size(leading, L, S):
    """How many queries and keys make a block: 256 for at most 4 heads of 2²² scores or more each, else 128.

    Smaller blocks cost more steps; the scores of larger ones leave the cache, and take more memory than they save time.
    """
    return 256 if surely(lambda: math.prod(leading) <= 4 and L * S >= 2**22) else 128


class Span(NamedTuple):
    """Some blocks side by side: from the first one on, so many."""

    first: Any
    count: int


class Grid:
    """L queries and S keys cut into blocks of about one size. Key j is allowed for query i where low <= j - i <= high; None: no limit."""

    def __init__(self, L: int, S: int, low: int | None, high: int | None, block: int):
        self.L, self.S, self.low, self.high = L, S, low, high
        self.rows, self.columns = (max(-(-n // block), 1) for n in (L, S))
        self.q, self.k = -(-L // self.rows), -(-S // self.columns)
        self.columns_with_keys = self.columns

    def padded(self, count: int) -> "Grid":
        """The same with blocks of nothing behind, so that the numbers of rows and columns are multiples of this one."""
        grid = copy.copy(self)
        grid.rows, grid.columns = (-(-n // count) * count for n in (self.rows, self.columns))
        return grid

    def squares(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first row and the first column of each square of count x count blocks that holds an allowed score, in rows."""
        i, j = np.indices((self.rows // count, self.columns // count)).reshape(2, -1) * count
        q, k = count * self.q, count * self.k
        least, most = j * self.k - (i * self.q + q - 1), j * self.k + k - 1 - i * self.q
        holds = np.ones(i.shape, bool)
        if self.high is not None:
            holds &= least <= self.high
        if self.low is not None:
            holds &= most >= self.low
        return i[holds].astype(np.int32), j[holds].astype(np.int32)

    def strips(self, most: int) -> list[tuple[Span, Span]]:
        """All rows, cut into up to so many steps of about as many scores, each with the columns that one of its rows may attend to."""
        i, j = self.squares(1)
        ends = [(0, 0)] * self.rows  # of the columns of each row, where it has some
        for row in np.unique(i):
            ends[row] = int(j[i == row].min()), int(j[i == row].max())

        def packed(blocks):
            """Strips of up to so many blocks: the first row, how many rows, the first column and the last."""
            found: list[tuple[int, int, int, int]] = []
            for row, (low, high) in enumerate(ends):
                if found:
                    first, rows, *around = found[-1]
                    widened = min(low, around[0]), max(high, around[1])
                    if (rows + 1) * (widened[1] - widened[0] + 1) <= blocks:
                        found[-1] = first, rows + 1, *widened
                        continue
                found.append((row, 1, low, high))
            return found

        too_few, enough = 0, self.rows * self.columns
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            too_few, enough = (too_few, middle) if len(packed(middle)) <= most else (middle, enough)
        return [(Span(first, rows), Span(low, high - low + 1)) for first, rows, low, high in packed(enough)]

    def allowed(self, rows: Span, columns: Span):
        """Which scores of these blocks are allowed, (queries, keys); None where all are."""
        shape = rows.count * self.q, columns.count * self.k
        first = rows.first * self.q, columns.first * self.k
        row, column = (start + lax.broadcasted_iota(jnp.int32, shape, axis) for axis, start in enumerate(first))
        inside = None if self._is_inside(first, shape) else in_band(row, column, self.low, self.high)
        if self.columns * self.k == self.S or (isinstance(first[1], int) and first[1] + shape[1] <= self.S):
            return inside
        return column < self.S if inside is None else inside & (column < self.S)

    def _is_inside(self, first, shape):
        """Whether it is known that all of these scores lie in the band."""
        if not all(isinstance(start, int) for start in first):
            return False
        least, most = first[1] - (first[0] + shape[0] - 1), first[1] + shape[1] - 1 - first[0]
        return (self.low is None or least >= self.low) and (self.high is None or most <= self.high)

    def padded_queries(self, a):
        """An array (*, L, X) with zeros behind, up to whole blocks."""
        return _padded(a, self.rows * self.q, -2)

    def padded_keys(self, a):
        """An array (*, S, X) with zeros behind, up to whole blocks."""
        return _padded(a, self.columns * self.k, -2)

    def queries(self, a, rows: Span):
        """These blocks of an array (*, L, X)."""
        return lax.dynamic_slice_in_dim(a, rows.first * self.q, rows.count * self.q, -2)

    def keys(self, a, columns: Span):
        """These blocks of an array (*, S, X)."""
        return lax.dynamic_slice_in_dim(a, columns.first * self.k, columns.count * self.k, -2)

    def mask(self, mask, rows: Span, columns: Span):
        """The part for these blocks of a mask that broadcasts to (*, L, S), with what it lacks at the end; None stays None."""
        if mask is None:
            return None
        for axis, n, size, span in ((-2, self.rows, self.q, rows), (-1, self.columns, self.k, columns)):
            if mask.ndim >= -axis and mask.shape[axis] != 1:
                mask = lax.dynamic_slice_in_dim(_padded(mask, n * size, axis), span.first * size, span.count * size, axis)
        return mask


def in_band(row, column, low, high):
    """Where low <= column - row <= high; None where there is no limit."""
    if low is None and high is None:
        return None
    offset = column - row
    if low is None or high is None:
        return offset <= high if low is None else offset >= low
    return (offset >= low) & (offset <= high)


class Squares(NamedTuple):
    """A loop over squares of count x count blocks that hold an allowed score."""

    grid: Grid
    count: int = 1

    def firsts(self) -> tuple[np.ndarray, np.ndarray]:
        """The first row and the first column of each."""
        return self.grid.squares(self.count)


class Strips(NamedTuple):
    """Few steps, each of some rows and all the columns that one of them may attend to."""

    grid: Grid
    strips: list[tuple[Span, Span]]


def large_steps(grid: Grid, leading, arrays: int) -> Squares | Strips:
    """For a function with so many arrays of scores at a time.

    Where it has four: strips of SCORES each, if all queries met all keys, and two at least. Where it has fewer, so many fewer strips. Where
    they would be more than MOST_STRIPS: squares of SCORES.
    """
    if not is_known(*leading):
        return Strips(grid, grid.strips(MOST_STRIPS))
    of_block = math.prod(leading) * grid.q * grid.k
    strips = max(-(-of_block * grid.rows * grid.columns // SCORES), 2)
    if strips <= MOST_STRIPS:
        return Strips(grid, grid.strips(-(-strips * arrays // 4)))
    count = min(max(math.isqrt(SCORES // max(of_block, 1)), 1), max(grid.rows, grid.columns))
    return Squares(grid.padded(count), count)


def _padded(a, size, axis):
    if a.shape[axis] == size:
        return a
    widths = [(0, 0)] * a.ndim
    widths[axis] = (0, size - a.shape[axis])
    return jnp.pad(a, widths)
