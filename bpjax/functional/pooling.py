"""Poolings whose windows move by a stride: the largest value, the mean, the p-norm; and the largest values put back."""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, floating, numbers, refuse
from ._shared.sizes import is_whole, sizes
from ._shared.windows import check_image, exactly, largest, packed_taps, put_back, spread, strided, sums, winning_indices


@op(static=("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"))
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """y = the largest value of each window; the first wins a tie, and NaN wins.

    Shapes: input (N, C, L) or (C, L) -> (N, C, L') or (C, L'). See `max_pool2d`.
    Backward: that of `max_pool2d`.
    Errors: those of `max_pool2d`; TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.max_pool1d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.max_pool1d(jnp.arange(4.0).reshape(1, 4), 2).tolist()
    [[1.0, 3.0]]
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)[0]


@op(static=("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"))
def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """y = the largest value of each window; the first in row-major order wins a tie, and NaN wins.

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, H', W') or (C, H', W'), H' = floor((H + 2 padding - dilation (kH - 1) - 1) / stride)
    + 1, or ceil with ceil_mode (then less a window that would begin behind the input). `stride` is kernel_size where None; the options are
    numbers or pairs. With return_indices also where each winner stands, as h W + w, for `max_unpool2d`.
    Backward: dx = Σ of dy over the windows that x won; the winner's tap is kept in one byte. The indices have no cotangent.
    Errors: ValueError for another shape, padding above half the kernel, or an empty output; TypeError for what is no real number.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.max_pool2d(jnp.arange(16.0).reshape(1, 4, 4), 2).tolist()
    [[[5.0, 7.0], [13.0, 15.0]]]
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)[0]


@op(static=("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"))
def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """y = the largest value of each window; the first in row-major order wins a tie, and NaN wins.

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, C, D', H', W') or (C, D', H', W'). See `max_pool2d`; an index is (d H + h) W + w.
    Backward: that of `max_pool2d`.
    Errors: those of `max_pool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.max_pool3d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.max_pool3d(jnp.arange(8.0).reshape(1, 2, 2, 2), 2).tolist()
    [[[[7.0]]]]
    """
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)[0]


def _max_pool(name, n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    """The value, the winners' taps, and the windows."""
    check_image(name, n, input)
    (floating if n == 1 else numbers)(name, input=input)
    axes = strided(name, n, input.shape, kernel_size, stride, padding, dilation, ceil_mode)
    y, tap = largest(input, axes)
    return (y, winning_indices(tap, axes)) if return_indices else y, tap, axes


max_pool1d.def_forward(lambda **arguments: _max_pool_forward("max_pool1d", 1, **arguments))
max_pool2d.def_forward(lambda **arguments: _max_pool_forward("max_pool2d", 2, **arguments))
max_pool3d.def_forward(lambda **arguments: _max_pool_forward("max_pool3d", 3, **arguments))


def _max_pool_forward(name, n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    value, tap, axes = _max_pool(name, n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return value, {"tap": packed_taps(tap, axes), "axes": axes}


@max_pool1d.def_backward
@max_pool2d.def_backward
@max_pool3d.def_backward
def _(saved, dy):
    dy = dy[0] if isinstance(dy, tuple) else dy  # a pair where the indices are returned
    return (put_back(dy, saved["tap"], saved["axes"]),)


def max_pool1d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """`max_pool1d` with return_indices, whatever `return_indices` says.

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.max_pool1d_with_indices(jnp.arange(4.0).reshape(1, 4), 2)[1].tolist()
    [[1, 3]]
    """
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """`max_pool2d` with return_indices, whatever `return_indices` says.

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.max_pool2d_with_indices(jnp.arange(16.0).reshape(1, 4, 4), 2)[1].tolist()
    [[[5, 7], [13, 15]]]
    """
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """`max_pool3d` with return_indices, whatever `return_indices` says.

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.max_pool3d_with_indices(jnp.arange(8.0).reshape(1, 2, 2, 2), 2)[1].tolist()
    [[[[7]]]]
    """
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


@op(static=("kernel_size", "stride", "padding", "output_size"))
def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """y = zeros, with each x put where its index says: what `max_pool1d` with return_indices took, put back.

    Shapes: input and indices (N, C, L) or (C, L) -> (N, C, L') or (C, L'). See `max_unpool2d`.
    Backward: that of `max_unpool2d`.
    Errors: those of `max_unpool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool1d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.max_unpool1d(jnp.array([[5.0, 6.0]]), jnp.array([[1, 2]]), 2).tolist()
    [[0.0, 5.0, 6.0, 0.0]]
    """
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@op(static=("kernel_size", "stride", "padding", "output_size"))
def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """y = zeros, with each x put where its index h W' + w says: what `max_pool2d` with return_indices took, put back.

    Shapes: input and indices (N, C, H, W) or (C, H, W) -> (N, C, H', W') or (C, H', W'), H' = (H - 1) stride - 2 padding + kH, or as
    `output_size` says: (H', W') or (N, C, H', W'), less than `stride` away from that. A channel with an index out of range is NaN.
    Backward: dx = dy at its index.
    Errors: ValueError where shapes and options do not fit; TypeError for indices that are no integers, or an input that is not floating.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool2d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.max_unpool2d(jnp.array([[[5.0]]]), jnp.array([[[2]]]), 2).tolist()
    [[[0.0, 0.0], [5.0, 0.0]]]
    """
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@op(static=("kernel_size", "stride", "padding", "output_size"))
def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """y = zeros, with each x put where its index (d H' + h) W' + w says: what `max_pool3d` with return_indices took, put back.

    Shapes: input and indices (N, C, D, H, W) or (C, D, H, W) -> (N, C, D', H', W') or (C, D', H', W'). See `max_unpool2d`.
    Backward: that of `max_unpool2d`.
    Errors: those of `max_unpool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool3d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.max_unpool3d(jnp.array([[[[5.0]]]]), jnp.array([[[[3]]]]), 2).tolist()
    [[[[0.0, 0.0], [0.0, 5.0]], [[0.0, 0.0], [0.0, 0.0]]]]
    """
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


def _max_unpool(name, n, input, indices, kernel_size, stride, padding, output_size):
    check_image(name, n, input)
    floating(name, input=input)
    refuse(name, input.shape != indices.shape and f"expected indices of the input's shape {input.shape}, got {indices.shape}")
    is_integer = jnp.issubdtype(indices.dtype, jnp.integer)
    refuse(name, not is_integer and f"expected indices that are integers, got {indices.dtype}", kind=TypeError)
    size = _unpooled_size(name, n, input.shape, kernel_size, stride, padding, output_size)
    at, is_lost = _in_channels(indices, n, size)
    rows = jnp.arange(at.shape[0])[:, None]
    # indices of overlapping windows may be the same, and their values then are; called unique, each has the derivative 1, as in PyTorch
    y = jnp.zeros((at.shape[0], math.prod(size)), input.dtype).at[rows, at].set(input.reshape(at.shape), unique_indices=True)
    return jnp.where(is_lost, jnp.nan, y).reshape(*input.shape[:-n], *size)


max_unpool1d.def_forward(lambda **arguments: _max_unpool_forward("max_unpool1d", 1, **arguments))
max_unpool2d.def_forward(lambda **arguments: _max_unpool_forward("max_unpool2d", 2, **arguments))
max_unpool3d.def_forward(lambda **arguments: _max_unpool_forward("max_unpool3d", 3, **arguments))


def _max_unpool_forward(name, n, input, indices, kernel_size, stride, padding, output_size):
    return _max_unpool(name, n, input, indices, kernel_size, stride, padding, output_size), {"indices": indices, "n": n}


@max_unpool1d.def_backward
@max_unpool2d.def_backward
@max_unpool3d.def_backward
def _(saved, dy):
    indices, n = saved["indices"], saved["n"]
    at, is_lost = _in_channels(indices, n, dy.shape[-n:])
    dy = dy.reshape(at.shape[0], math.prod(dy.shape[-n:]))
    dx = jnp.where(is_lost, 0, jnp.take_along_axis(dy, at, 1))
    return dx.reshape(indices.shape), None


def _in_channels(indices, n, size):
    """The indices, one channel to a row, and which rows have one out of range."""
    at = indices.reshape(math.prod(indices.shape[:-n]), math.prod(indices.shape[-n:]))
    return at, ((at < 0) | (at >= math.prod(size))).any(1, keepdims=True)


def _unpooled_size(name, n, shape, kernel_size, stride, padding, output_size):
    kernel, padding = exactly(name, n, "kernel_size", kernel_size), exactly(name, n, "padding", padding)
    stride = kernel if stride is None else exactly(name, n, "stride", stride)
    refuse(
        name,
        min(kernel + stride) < 1 and f"kernel_size and stride must be positive, got {kernel} and {stride}",
        min(padding) < 0 and f"padding must not be negative, got {padding}",
    )
    size = tuple((m - 1) * s + k - 2 * p for m, s, k, p in zip(shape[-n:], stride, kernel, padding))
    if output_size is not None:
        refuse(
            name,
            not (isinstance(output_size, tuple) and len(output_size) in (n, n + 2))
            and f"output_size must be a sequence of {n} or {n + 2} whole numbers, got {output_size!r}",
        )
        given = sizes(name, n, "output_size", output_size[-n:])
        refuse(
            name,
            any(abs(g - m) >= s for g, m, s in zip(given, size, stride))
            and f"output_size must be less than the stride {stride} away from {size}, got {given}",
        )
        size = given
    refuse(name, min(size) < 1 and f"an input of shape {shape} with padding {padding} leaves an output of size {size}")
    return size


@op(static=("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"))
def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """y = the mean of each window.

    Shapes: input (N, C, L) or (C, L) -> (N, C, L') or (C, L'). See `avg_pool2d`.
    Backward: that of `avg_pool2d`.
    Errors: those of `avg_pool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool1d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.avg_pool1d(jnp.arange(4.0).reshape(1, 4), 2).tolist()
    [[0.5, 2.5]]
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)[0]


@op(static=("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"))
def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """y = the sum of each window by its number of values k, or by divisor_override.

    Shapes: as `max_pool2d` without dilation. The zeros of the padding are counted, unless count_include_pad is False; what ceil_mode lets a
    window reach beyond them is not.
    Backward: dx = Σ of dy/k over the windows that hold x; nothing is kept.
    Errors: ValueError for another shape, padding above half the kernel, divisor 0, or an empty output; TypeError for what is not floating.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool2d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.avg_pool2d(jnp.arange(16.0).reshape(1, 4, 4), 2).tolist()
    [[[2.5, 4.5], [10.5, 12.5]]]
    """
    return _avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)[0]


@op(static=("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"))
def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """y = the sum of each window by its number of values, or by divisor_override.

    Shapes: as `max_pool3d` without dilation. See `avg_pool2d`.
    Backward: that of `avg_pool2d`.
    Errors: those of `avg_pool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool3d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.avg_pool3d(jnp.arange(8.0).reshape(1, 2, 2, 2), 2).tolist()
    [[[[3.5]]]]
    """
    return _avg_pool("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)[0]


def _avg_pool(name, n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """The means, the windows, and what their sums were divided by."""
    axes = _averaged(name, n, input, kernel_size, stride, padding, ceil_mode)
    refuse(
        name,
        not (divisor_override is None or is_whole(divisor_override) and divisor_override != 0)
        and f"divisor_override must be a whole number other than 0, got {divisor_override!r}",
        not isinstance(count_include_pad, bool) and f"count_include_pad must be True or False, got {count_include_pad!r}",
    )
    divisor = divisor_override or _counts(axes, sizes(name, n, "padding", padding) if count_include_pad else (0,) * n)
    return (sums(at_least_float32(input), axes) / divisor).astype(input.dtype), axes, divisor


avg_pool1d.def_forward(lambda **arguments: _avg_pool_forward("avg_pool1d", 1, **arguments))
avg_pool2d.def_forward(lambda **arguments: _avg_pool_forward("avg_pool2d", 2, **arguments))
avg_pool3d.def_forward(lambda **arguments: _avg_pool_forward("avg_pool3d", 3, **arguments))


def _avg_pool_forward(name, n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override=None):
    y, axes, divisor = _avg_pool(name, n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return y, {"axes": axes, "divisor": divisor}


@avg_pool1d.def_backward
@avg_pool2d.def_backward
@avg_pool3d.def_backward
def _(saved, dy):
    return (spread(at_least_float32(dy) / saved["divisor"], saved["axes"]).astype(dy.dtype),)


def _averaged(name, n, input, kernel_size, stride=None, padding=0, ceil_mode=False):
    """The windows of a mean."""
    check_image(name, n, input)
    floating(name, input=input)
    axes = strided(name, n, input.shape, kernel_size, stride, padding, 1, ceil_mode)
    kernel = tuple(windows.taps for windows in axes)
    refuse(  # in three dimensions alone, as PyTorch
        name,
        n == 3 and any(w.size < k for w, k in zip(axes, kernel)) and f"a kernel {kernel} is larger than the input of shape {input.shape}",
    )
    return axes


def _counts(axes, padding):
    """How many values each window holds, of the input and this much padding: a number where all hold as many."""
    counts = np.ones(())
    for windows, p in zip(axes, padding):
        starts = np.asarray(windows.starts)
        counts = counts[..., None] * (np.minimum(starts + windows.taps, windows.size + p) - np.maximum(starts, -p))
    return float(counts.flat[0]) if (counts == counts.flat[0]).all() else counts


@op(static=("norm_type", "kernel_size", "stride", "ceil_mode"))
def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """y = (Σ x^p)^(1/p) over each window.

    Shapes: as `max_pool1d` without padding and dilation. See `lp_pool2d`.
    Backward: that of `lp_pool2d`.
    Errors: those of `lp_pool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool1d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.lp_pool1d(jnp.array([[3.0, 4.0]]), 2, 2).tolist()
    [[5.0]]
    """
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)[0]


@op(static=("norm_type", "kernel_size", "stride", "ceil_mode"))
def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """y = (Σ x^p)^(1/p) over each window; for p = inf the largest |x|, for p = -inf the smallest.

    Shapes: as `max_pool2d` without padding and dilation. Where ceil_mode lets a window reach beyond the input, its sum is the mean of its
    values times kH kW. There is no absolute value: an odd p may make the sum negative, and its root NaN.
    Backward: dx = x^(p - 1) Σ of y^(1 - p) dy over the windows that hold x, with derivative 0 where Σ x^p = 0; for p = ±inf
    dx = sign(x) times that of `max_pool2d`.
    Errors: ValueError for another shape, p = 0, or an empty output; TypeError for what is not floating point, or p no number.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool2d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.lp_pool2d(jnp.array([[[3.0, 4.0]]]), 2, (1, 2)).tolist()
    [[[5.0]]]
    """
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)[0]


@op(static=("norm_type", "kernel_size", "stride", "ceil_mode"))
def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """y = (Σ x^p)^(1/p) over each window.

    Shapes: as `max_pool3d` without padding and dilation. See `lp_pool2d`.
    Backward: that of `lp_pool2d`.
    Errors: those of `lp_pool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool3d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.lp_pool3d(jnp.array([[[[3.0, 4.0]]]]), 2, (1, 1, 2)).tolist()
    [[[[5.0]]]]
    """
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)[0]


def _lp_pool(name, n, input, norm_type, kernel_size, stride, ceil_mode):
    """The norms, and what the backward needs."""
    p = norm_type
    refuse(name, not isinstance(p, int | float) and f"norm_type must be a number, got {p!r}", kind=TypeError)
    refuse(name, p == 0 and "norm_type must not be 0")
    exactly(name, n, "kernel_size", kernel_size)
    if abs(p) == math.inf:
        check_image(name, n, input)
        floating(name, input=input)
        axes, sign = strided(name, n, input.shape, kernel_size, stride, ceil_mode=ceil_mode), math.copysign(1, p)
        y, tap = largest(sign * input * jnp.sign(input), axes)  # |x|, with derivative 0 at 0
        return sign * y, {"x": input, "axes": axes, "tap": packed_taps(tap, axes)}
    axes = _averaged(name, n, input, kernel_size, stride, ceil_mode=ceil_mode)
    scale = math.prod(windows.taps for windows in axes) / _counts(axes, (0,) * n)  # 1 but where ceil_mode cuts a window
    s = sums(_power(at_least_float32(input), p), axes) * scale
    y = _power(jnp.where(s == 0, lax.stop_gradient(s), s), 1 / p)
    return y.astype(input.dtype), {"x": input, "y": y, "axes": axes, "scale": scale, "p": p}


lp_pool1d.def_forward(lambda **arguments: _lp_pool("lp_pool1d", 1, **arguments))
lp_pool2d.def_forward(lambda **arguments: _lp_pool("lp_pool2d", 2, **arguments))
lp_pool3d.def_forward(lambda **arguments: _lp_pool("lp_pool3d", 3, **arguments))


@lp_pool1d.def_backward
@lp_pool2d.def_backward
@lp_pool3d.def_backward
def _(saved, dy):
    x, axes = saved["x"], saved["axes"]
    if "tap" in saved:
        return (jnp.sign(x) * put_back(dy, saved["tap"], axes),)
    y, p = saved["y"], saved["p"]  # y not yet rounded to 16 bits: y^(1 - p) would be off by p times as much
    is_zero = y == (0 if p > 0 else jnp.inf)
    ds = jnp.where(is_zero, 0, dy * _power(jnp.where(is_zero, 1, y), 1 - p) * saved["scale"])
    return ((_power(at_least_float32(x), p - 1) * spread(ds, axes)).astype(x.dtype),)


def _power(x, p):
    return x ** (int(p) if float(p).is_integer() else p)
