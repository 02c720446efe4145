"""Images as the windows that a kernel sees, and back."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, inexact, refuse
from ._shared.sizes import sizes


@op(static=("kernel_size", "dilation", "padding", "stride"))
def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The windows of an image as columns: y[n, (c, i, j), l] = x[n, c, h_l + i dilation, w_l + j dilation], zeros outside.

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C kH kW, L) or (C kH kW, L), L = H' W' windows, row by row,
    H' = floor((H + 2 padding - dilation (kH - 1) - 1) / stride) + 1.
    Backward: dx = the sum of dy over the windows that hold a value: `fold` of dy.
    Errors: ValueError where shapes and options do not fit; TypeError for what is neither floating point nor complex.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.unfold.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.unfold(jnp.arange(6.0).reshape(1, 2, 3), 2).tolist()
    [[0.0, 1.0], [1.0, 2.0], [3.0, 4.0], [4.0, 5.0]]
    """
    return _unfolded(input, _windows_of_image(input, kernel_size, dilation, padding, stride))


@unfold.def_forward
def _(input, kernel_size, dilation, padding, stride):
    windows = _windows_of_image(input, kernel_size, dilation, padding, stride)
    return _unfolded(input, windows), {"windows": windows}


@unfold.def_backward
def _(saved, dy):
    return (_folded(dy, saved["windows"]),)


@op(static=("output_size", "kernel_size", "dilation", "padding", "stride"))
def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The image that is the sum of its windows: y[n, c, h, w] = Σ of x[n, (c, i, j), l] where window l has its tap (i, j) at (h, w).

    Shapes: input (N, C kH kW, L) or (C kH kW, L) -> (N, C, H, W) or (C, H, W), (H, W) being output_size; L windows as `unfold` finds
    them in such an image.
    Backward: dx = the windows of dy: `unfold` of dy.
    Errors: ValueError where shapes and options do not fit; TypeError for what is neither floating point nor complex.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.fold.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.fold(jnp.ones((4, 2)), (2, 3), 2).tolist()
    [[[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]]
    """
    return _folded(input, _windows_of_columns(input, output_size, kernel_size, dilation, padding, stride))


@fold.def_forward
def _(input, output_size, kernel_size, dilation, padding, stride):
    windows = _windows_of_columns(input, output_size, kernel_size, dilation, padding, stride)
    return _folded(input, windows), {"windows": windows}


@fold.def_backward
def _(saved, dy):
    return (_unfolded(dy, saved["windows"]),)


class _Patches(NamedTuple):
    """Where the windows lie in an image: numbers for each of its two axes."""

    image: tuple
    kernel: tuple
    dilation: tuple
    padding: tuple
    stride: tuple

    @property
    def count(self):
        """How many there are along each axis."""
        spans = (n + 2 * p - d * (k - 1) - 1 for n, k, d, p in zip(self.image, self.kernel, self.dilation, self.padding))
        return tuple(span // s + 1 for span, s in zip(spans, self.stride))


def _unfolded(x, windows):
    """(*, C, H, W) -> (*, C kH kW, L): one axis after the other, a slice for each tap."""
    *leading, C, H, W = x.shape
    x = x.reshape(-1, C, H, W)
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *((p, p, 0) for p in windows.padding)])
    for axis in (1, 0):  # (N, C, H, W) -> (N, C, kW, H, W') -> (N, C, kH, kW, H', W')
        stride, count, at = windows.stride[axis], windows.count[axis], axis - 2 + x.ndim
        starts = [i * windows.dilation[axis] for i in range(windows.kernel[axis])]
        x = jnp.stack([lax.slice_in_dim(x, a, a + (count - 1) * stride + 1, stride, at) for a in starts], 2)
    return x.reshape(*leading, C * math.prod(windows.kernel), math.prod(windows.count))


def _folded(x, windows):
    """(*, C kH kW, L) -> (*, C, H, W): one axis after the other, each tap put back at its places and added."""
    *leading, rows, _ = x.shape
    C = rows // math.prod(windows.kernel)
    x = x.reshape(-1, C, *windows.kernel, *windows.count)
    for axis in (0, 1):  # (N, C, kH, kW, H', W') -> (N, C, kW, H, W') -> (N, C, H, W)
        stride, count, size, at = windows.stride[axis], windows.count[axis], windows.image[axis], axis - 2 + x.ndim - 1
        total = 0
        for i in range(windows.kernel[axis]):
            before = i * windows.dilation[axis] - windows.padding[axis]
            around = [(0, 0, 0)] * (x.ndim - 1)
            around[at] = (before, size - before - (count - 1) * stride - 1, stride - 1)
            total = total + at_least_float32(lax.pad(x[:, :, i], jnp.zeros((), x.dtype), around))
        x = total.astype(x.dtype)
    return x.reshape(*leading, C, *windows.image)


def _windows_of_image(input, *options):
    refuse(
        "unfold",
        (input.ndim not in (3, 4) or 0 in input.shape[-3:])
        and f"expected an input (N, C, H, W) or (C, H, W), not empty but in N, got shape {input.shape}",
    )
    return _windows("unfold", input, input.shape[-2:], *options)


def _windows_of_columns(input, output_size, *options):
    refuse(
        "fold",
        (input.ndim not in (2, 3) or 0 in input.shape[-2:])
        and f"expected an input (N, C kH kW, L) or (C kH kW, L), not empty but in N, got shape {input.shape}",
    )
    windows = _windows("fold", input, _pair("fold", "output_size", output_size), *options)
    taps, total = math.prod(windows.kernel), math.prod(windows.count)
    refuse(
        "fold",
        input.shape[-2] % taps and f"expected rows for {taps} taps of kernel {windows.kernel}, got an input of shape {input.shape}",
        input.shape[-1] != total
        and f"an image of size {windows.image} has {windows.count[0]} x {windows.count[1]} = {total} windows, "
        f"got {input.shape[-1]} in an input of shape {input.shape}",
    )
    return windows


def _windows(name, input, image, kernel_size, dilation, padding, stride):
    inexact(name, input=input)
    kernel, dilation = _pair(name, "kernel_size", kernel_size), _pair(name, "dilation", dilation)
    padding, stride = _pair(name, "padding", padding), _pair(name, "stride", stride)
    positive = {"kernel_size": kernel, "dilation": dilation, "stride": stride}
    refuse(
        name,
        *(min(v) < 1 and f"{what} must be positive, got {v}" for what, v in positive.items()),
        min(padding) < 0 and f"padding must not be negative, got {padding}",
    )
    windows = _Patches(image, kernel, dilation, padding, stride)
    refuse(name, min(windows.count) < 1 and f"a kernel {kernel} with dilation {dilation} is larger than the padded image {image}")
    return windows


def _pair(name, what, value):
    refuse(name, isinstance(value, tuple) and len(value) != 2 and f"{what} must be a whole number or 2 of them, got {value!r}")
    return sizes(name, 2, what, value)
