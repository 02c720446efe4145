"""What the poolings share: where their windows lie, the sum or the largest value of each, and back. One axis of space after the other."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import lax

from .checks import at_least_float32, refuse
from .masks import pack, unpack
from .sizes import sizes

__all__ = []


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows along one axis: where each begins (negative in the padding), and how many values it holds, `dilation` apart.

    `starts` is a range where the windows are evenly apart; otherwise an array (m,), or (N, C, m) where each channel has its own.
    """

    size: int
    starts: range | np.ndarray
    lengths: int | np.ndarray
    dilation: int = 1

    @property
    def count(self):
        return len(self.starts) if self.is_even else self.starts.shape[-1]

    @property
    def taps(self):
        return int(np.max(self.lengths))

    @property
    def is_even(self):
        return isinstance(self.starts, range)

    @property
    def is_tiled(self):
        """Whether the windows lie side by side, each wholly in the input."""
        return self.is_even and self.dilation == 1 and self.starts.step == self.taps and self.padding == (0, 0)

    @property
    def padding(self):
        """How far the windows reach beyond the input, before and after."""
        if not self.is_even:
            return 0, 0
        return max(-self.starts[0], 0), max(self.starts[-1] + self.dilation * (self.taps - 1) + 1 - self.size, 0)

    def at(self, tap):
        """Where this tap of evenly spaced windows stands in the padded input."""
        start = self.starts[0] + self.padding[0] + tap * self.dilation
        return slice(start, start + (self.count - 1) * self.starts.step + 1, self.starts.step)


def check_image(name, n, input):
    """Refuse what has not n axes of space, or is empty elsewhere than in the batch."""
    axes = ", ".join("DHW"[-n:]) if n > 1 else "L"
    refuse(
        name,
        (input.ndim not in (n + 1, n + 2) or 0 in input.shape[-n - 1 :])
        and f"expected an input of shape (N, C, {axes}) or (C, {axes}), empty at most in N, got {input.shape}",
    )


def exactly(name, n, what, value):
    """As `sizes`, but a sequence of one stands for itself alone."""
    refuse(name, isinstance(value, tuple | list) and len(value) != n and f"{what} must be a number or {n} of them, got {value!r}")
    return sizes(name, n, what, value)


def strided(name, n, shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The windows of a kernel that moves by `stride`, one for each axis of space."""
    kernel, padding, dilation = (
        sizes(name, n, what, value) for what, value in (("kernel_size", kernel_size), ("padding", padding), ("dilation", dilation))
    )
    stride = kernel if stride is None or stride == () else sizes(name, n, "stride", stride)
    refuse(
        name,
        *(min(v) < 1 and f"{what} must be positive, got {v}" for what, v in (("kernel_size", kernel), ("stride", stride))),
        min(dilation) < 1 and f"dilation must be positive, got {dilation}",
        not isinstance(ceil_mode, bool) and f"ceil_mode must be True or False, got {ceil_mode!r}",
        any(not 0 <= 2 * p <= k for p, k in zip(padding, kernel))
        and f"padding must be at least 0 and at most half the kernel {kernel}, got {padding}",
    )
    counts = [_count(*along, ceil_mode) for along in zip(shape[-n:], kernel, stride, padding, dilation)]
    refuse(
        name,
        min(counts) < 1
        and f"an input of shape {shape} is too small for a kernel {kernel} with padding {padding}, dilation {dilation}: "
        f"the output would have size {tuple(counts)}",
    )
    return tuple(
        Windows(size, range(-p, m * s - p, s), k, d) for size, m, k, s, p, d in zip(shape[-n:], counts, kernel, stride, padding, dilation)
    )


def _count(size, kernel, stride, padding, dilation, ceil_mode):
    free = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return free // stride + 1
    count = -(-free // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count  # none begins behind the input


def fitted(size, count):
    """`count` windows that cover an axis: the i-th from floor(i size / count) to ceil((i + 1) size / count)."""
    if size % count == 0:
        return Windows(size, range(0, size, size // count), size // count)
    i = np.arange(count)
    starts = i * size // count
    return Windows(size, starts, -(-(i + 1) * size // count) - starts)


# -- sums --------------------------------------------------------------------------------------------------------------


def sums(x, axes):
    """The sum of each window."""
    for axis, windows in enumerate(axes, x.ndim - len(axes)):
        x = _sum_along(x, axis, windows)
    return x


def spread(d, axes):
    """The transpose of `sums`: to each value the sum of what its windows have."""
    for axis, windows in enumerate(axes, d.ndim - len(axes)):
        d = _spread_along(d, axis, windows)
    return d


def _sum_along(x, axis, windows):
    if not windows.is_even:
        tap = np.arange(windows.taps)
        at = np.minimum(windows.starts[:, None] + tap, windows.size - 1)
        inside = (tap < windows.lengths[:, None]).reshape(at.shape + (1,) * (x.ndim - axis - 1))
        return jnp.where(inside, jnp.take(x, at, axis), 0).sum(axis + 1)
    x = _padded(x, axis, windows, 0)
    if windows.taps > 8:
        return _window_sum(x, axis, windows.taps, windows.starts.step)
    return sum(_pick(x, axis, windows, tap) for tap in range(windows.taps))  # of a few taps 2 to 10 times faster on a CPU


def _spread_along(d, axis, windows):
    if not windows.is_even:
        return _sum_along(d, axis, fitted(windows.count, windows.size))  # value j lies in window i just where i lies in "window" j
    taps, stride, (before, _) = windows.taps, windows.starts.step, windows.padding
    if windows.is_tiled:
        d = jnp.repeat(d, taps, axis)
        return _pad(d, axis, 0, 0, windows.size - d.shape[axis])
    low = taps - 1 - before
    span = (windows.count - 1) * stride + 1
    return _window_sum(_pad(d, axis, 0, low, windows.size + before - span, stride - 1), axis, taps, 1)


def _window_sum(x, axis, taps, stride):
    def along(n):
        return tuple(n if a == axis else 1 for a in range(x.ndim))

    return lax.reduce_window(x, np.zeros((), x.dtype), lax.add, along(taps), along(stride), "valid")


# -- the largest -------------------------------------------------------------------------------------------------------

_FEW = 16  # taps that are met one by one


def largest(x, axes):
    """The largest value of each window and its tap, counted in row-major order: the first of equals, the last NaN."""
    taps = math.prod(windows.taps for windows in axes)
    tap = jnp.zeros(x.shape, jnp.uint8 if taps <= 2**8 else jnp.uint16 if taps <= 2**16 else jnp.uint32)
    if taps <= _FEW and all(windows.is_even for windows in axes):
        return _largest_of_few(x, tap, axes)
    later = 1  # taps of the axes that are done
    for axis, windows in reversed([*enumerate(axes, x.ndim - len(axes))]):
        x, tap = _largest_along(x, tap, axis, windows, later)
        later *= windows.taps
    return x, tap


def _better(left, right, is_void):
    """Of two values with their taps the larger one; `is_void` says where the left is padding, which never wins."""
    (a, i), (b, j) = left, right
    wins = (b > a) | (b != b)
    wins = wins if is_void is None else wins | is_void
    return jnp.where(wins, b, a), jnp.where(wins, j, i)


def _largest_of_few(x, tap, axes):
    """One tap after the other."""
    first = np.zeros((), int)  # the first tap of each window that is not in the padding
    for axis, windows in enumerate(axes, x.ndim - len(axes)):
        x = _padded(x, axis, windows, _lowest(x.dtype))
        missing = -(np.minimum(windows.starts, 0) // windows.dilation)
        first = first * windows.taps + missing.reshape(-1, *(1,) * (x.ndim - axis - 1))
    best = None
    for i, taps in enumerate(np.ndindex(*(windows.taps for windows in axes))):
        value = x[(..., *(windows.at(t) for windows, t in zip(axes, taps)))]
        this = value, jnp.full(value.shape, i, tap.dtype)
        best = this if best is None else _better(best, this, first == i if first.any() else None)
    return best


def _largest_along(x, tap, axis, windows, later):
    """Along one axis, by doubling: the best of 2, 4, 8, ... values from each place on; two of those make up a window."""
    before, _ = windows.padding
    state = _padded(x, axis, windows, _lowest(x.dtype)), _padded(tap, axis, windows, 0)
    reach, d, longest = 1, windows.dilation, windows.taps

    def void(places):
        """Where the `reach` values from these padded places on are all before the input."""
        return _beside(places + (reach - 1) * d < before, axis, x.ndim) if before else None

    def ahead(state, n):
        return state[0], state[1] + _beside(np.asarray(n * later), axis, x.ndim).astype(tap.dtype)

    while 2 * reach < longest:
        n = state[0].shape[axis] - reach * d
        left, right = ([lax.slice_in_dim(v, a, a + n, axis=axis) for v in state] for a in (0, reach * d))
        state = _better(left, ahead(right, reach), void(np.arange(n)))
        reach *= 2
    left = [_pick(v, axis, windows, 0) for v in state]
    if longest == 1:
        return left
    rest = windows.lengths - reach
    right = ahead([_pick(v, axis, windows, rest) for v in state], rest)
    return _better(left, right, void(np.asarray(windows.starts) + before) if before else None)


def winning_indices(tap, axes):
    """Where the winners stand in the input, each as one number in its channel."""
    return _flat(tap, axes, [(0, windows.size) for windows in axes]).astype(jnp.result_type(int))


def packed_taps(tap, axes):
    """What `put_back` needs of the winners: their taps, in as few bits as tell them apart."""
    bits = _bits(axes)
    return tap if bits == 8 else pack(tap, bits)


def _bits(axes):
    """How many bits hold a tap; 8 stands for a whole number of bytes."""
    taps = math.prod(windows.taps for windows in axes)
    return next((bits for bits in (1, 2, 4) if taps <= 2**bits), 8)


def put_back(dy, tap, axes):
    """The backward of `largest`: each cotangent to the value that won, by its tap as `packed_taps`."""
    n, bits = len(axes), _bits(axes)
    lead = dy.shape[:-n]
    zero = jnp.zeros((), dy.dtype)
    tap = tap if bits == 8 else unpack(tap, dy.shape, bits).astype(jnp.uint8)
    if all(windows.is_tiled for windows in axes):  # each value lies in one window: one pass
        number = np.zeros((), int)
        for axis, windows in enumerate(axes, dy.ndim - n):
            tap, dy = (jnp.repeat(a, windows.taps, axis) for a in (tap, dy))
            number = number[..., None] * windows.taps + np.arange(windows.count * windows.taps) % windows.taps
        dx = jnp.where(tap == number.astype(tap.dtype), dy, zero)
        return lax.pad(dx, zero, [(0, 0, 0)] * len(lead) + [(0, w.size - w.count * w.taps, 0) for w in axes])
    frame = [(before, before + windows.size + after) for windows in axes for before, after in [windows.padding]]
    padded = [size for _, size in frame]
    dtype, dy, zero = dy.dtype, at_least_float32(dy), at_least_float32(zero)  # a value may win in as many windows as there are taps
    if all(windows.is_even for windows in axes) and math.prod(windows.taps for windows in axes) <= 2 * _FEW:
        dx = jnp.zeros((*lead, *padded), dy.dtype)
        for i, taps in enumerate(np.ndindex(*(windows.taps for windows in axes))):
            # dy where this tap won, put back at its place: one position in `stride`
            at = [windows.at(t) for windows, t in zip(axes, taps)]
            around = [(a.start, size - a.stop, a.step - 1) for a, size in zip(at, padded)]
            dx = dx + lax.pad(jnp.where(tap == i, dy, zero), zero, [(0, 0, 0)] * len(lead) + around)
    else:
        dx = scatter(dy, _flat(tap, axes, frame), padded)
    return dx[(..., *(slice(before, before + windows.size) for windows, (before, _) in zip(axes, frame)))].astype(dtype)


def scatter(dy, index, size):
    """An image of this size with each value added at its place, one number in its channel."""
    lead = dy.shape[: -len(size)]
    rows = math.prod(lead)
    columns = math.prod(dy.shape[-len(size) :])
    dx = jnp.zeros((rows, math.prod(size)), dy.dtype)
    dx = dx.at[jnp.arange(rows)[:, None], index.reshape(rows, columns)].add(dy.reshape(rows, columns))
    return dx.reshape(*lead, *size)


def _flat(tap, axes, frame):
    """Where the taps stand, each as one number, where the input begins at the first and ends with the second of `frame` along each axis."""
    index, tap, row = 0, tap.astype(jnp.int32), 1
    for axis, windows, (before, size) in reversed([*zip(range(tap.ndim - len(axes), tap.ndim), axes, frame)]):
        starts = _beside(np.asarray(windows.starts) if windows.is_even else windows.starts, axis, tap.ndim)
        index = index + (starts + before + tap % windows.taps * windows.dilation) * row
        tap, row = tap // windows.taps, row * size
    return index


# -- along an axis -----------------------------------------------------------------------------------------------------


def _lowest(dtype):
    return -jnp.inf if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).min


def _pad(x, axis, value, before, after, between=0):
    return lax.pad(x, jnp.asarray(value, x.dtype), [(before, after, between) if a == axis else (0, 0, 0) for a in range(x.ndim)])


def _padded(x, axis, windows, value):
    """With what the windows need before and after the input."""
    return _pad(x, axis, value, *windows.padding)


def _pick(x, axis, windows, tap):
    """This tap of each window, of what is padded."""
    if windows.is_even:
        at = windows.at(tap)
        return lax.slice_in_dim(x, at.start, at.stop, at.step, axis)
    at = windows.starts + tap
    return jnp.take(x, at, axis) if at.ndim == 1 else jnp.take_along_axis(x, _beside(at, axis, x.ndim), axis)


def _beside(values, axis, ndim):
    """Numbers of the windows along an axis (or one number, or those of each channel) so that they broadcast with the whole."""
    if values.ndim == 0:
        return values
    *lead, count = values.shape
    return values.reshape(*lead, *(1,) * (axis - len(lead)), count, *(1,) * (ndim - axis - 1))
