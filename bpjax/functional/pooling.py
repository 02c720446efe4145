"""Two-dimensional max-pooling."""

import jax.numpy as jnp
from jax import lax

from ..engine import op


@op(static=("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"))
def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """y = the largest value of each window; the first in row-major order wins a tie.

    Shapes: input (*, H, W) -> (*, H', W'), H' = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1, or ceil with ceil_mode
    (then less a window that would begin beyond the input and the padding before it). `stride` is kernel_size where None.
    Backward: dx = Σ of dy over the windows that x won; the winner's index is kept in one byte.
    Errors: ValueError for padding above half the kernel, or an empty output; NotImplementedError for return_indices.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.max_pool2d(jnp.arange(16.0).reshape(1, 4, 4), 2).tolist()
    [[[5.0, 7.0], [13.0, 15.0]]]
    """
    if return_indices:
        raise NotImplementedError("max_pool2d: return_indices is not supported")
    return _winners(input, _Windows(input.shape, kernel_size, stride, padding, dilation, ceil_mode))[0]


@max_pool2d.def_forward
def _(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    windows = _Windows(input.shape, kernel_size, stride, padding, dilation, ceil_mode)
    y, index = _winners(input, windows)
    return y, {"index": index, "windows": windows}


@max_pool2d.def_backward
def _(saved, dy):
    index, windows = saved["index"], saved["windows"]
    zero = jnp.zeros((), dy.dtype)
    if windows.tile:  # each value lies in one window: one pass
        (kh, kw), (H, W) = windows.stride, windows.size
        tap = jnp.arange(kh * kw, dtype=index.dtype).reshape(kh, 1, kw)
        dx = jnp.where(index[..., :, None, :, None] == tap, dy[..., :, None, :, None], zero)
        dx = dx.reshape(*dy.shape[:-2], dy.shape[-2] * kh, dy.shape[-1] * kw)
        return (lax.pad(dx, zero, [(0, 0, 0)] * (dy.ndim - 2) + [(0, H - dx.shape[-2], 0), (0, W - dx.shape[-1], 0)]),)
    dx = jnp.zeros((*dy.shape[:-2], *windows.padded), dy.dtype)
    for i, (start, _) in enumerate(windows.taps):
        # dy where this tap won, put back at its place: one position in `stride`
        ends = [(a, n - a - (m - 1) * s - 1, s - 1) for a, n, m, s in zip(start, windows.padded, windows.out, windows.stride)]
        dx = dx + lax.pad(jnp.where(index == i, dy, zero), zero, [(0, 0, 0)] * (dy.ndim - 2) + ends)
    (top, left), (H, W) = windows.padding, windows.size
    return (dx[..., top : top + H, left : left + W],)


def _winners(x, windows):
    """The largest value of each window, and which tap it is."""
    low = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    around = [(p, max(n - p - s, 0), 0) for p, n, s in zip(windows.padding, windows.padded, windows.size)]
    x = lax.pad(x, jnp.asarray(low, x.dtype), [(0, 0, 0)] * (x.ndim - 2) + around)
    y, index = None, None
    dtype = jnp.uint8 if len(windows.taps) <= 256 else jnp.int32
    for i, (start, stop) in enumerate(windows.taps):
        tap = x[..., start[0] : stop[0] : windows.stride[0], start[1] : stop[1] : windows.stride[1]]
        if y is None:
            y, index = tap, jnp.zeros(tap.shape, dtype)
        else:
            wins = (tap > y) | (tap != tap)  # a NaN wins, as in PyTorch
            y, index = jnp.where(wins, tap, y), jnp.where(wins, jnp.asarray(i, dtype), index)
    return y, index


class _Windows:
    """Where the windows lie: `taps` holds, for each position in a window, its first and last places in the padded input.

    `tile` says that they lie side by side, without padding.
    """

    def __init__(self, shape, kernel_size, stride, padding, dilation, ceil_mode):
        kernel, self.padding, dilation = _pair(kernel_size), _pair(padding), _pair(dilation)
        self.stride = kernel if stride is None or stride == () else _pair(stride)
        self.size = shape[-2:]
        if len(shape) < 2 or any(2 * p > k for p, k in zip(self.padding, kernel)):
            raise ValueError(f"max_pool2d: padding {self.padding} must be at most half the kernel {kernel}; input shape {shape}")
        self.out = tuple(map(_out_size, self.size, kernel, self.stride, self.padding, dilation, (ceil_mode, ceil_mode)))
        if min(self.out) < 1:
            raise ValueError(f"max_pool2d: an input of shape {shape} is too small for kernel {kernel}, dilation {dilation}")
        used = [(m - 1) * s + d * (k - 1) + 1 for m, s, d, k in zip(self.out, self.stride, dilation, kernel)]
        self.padded = tuple(max(u, n + p) for u, n, p in zip(used, self.size, self.padding))
        self.tile = self.stride == kernel and dilation == (1, 1) and self.padding == (0, 0) and not ceil_mode
        starts = [(i * dilation[0], j * dilation[1]) for i in range(kernel[0]) for j in range(kernel[1])]
        self.taps = [(a, tuple(b + (m - 1) * s + 1 for b, m, s in zip(a, self.out, self.stride))) for a in starts]


def _out_size(n, k, s, p, d, ceil_mode):
    span = n + 2 * p - d * (k - 1) - 1
    out = -(-span // s) + 1 if ceil_mode else span // s + 1
    return out - 1 if ceil_mode and (out - 1) * s >= n + p else out


def _pair(v):
    return (v, v) if isinstance(v, int) else tuple(v) * (3 - len(v))
