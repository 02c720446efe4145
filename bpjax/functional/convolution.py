"""Convolutions and transposed convolutions of 1, 2 and 3 dimensions.

They are three bilinear maps between an image x, a kernel W and an image y: `correlate` makes y, `input_grad` x, `weight_grad` W.
A convolution is the first, and its backward the others; a transposed one is the second, and its backward the first and the third.
The formulas have the maps of dense_correlation.py; the written pairs take those of pointwise_correlation.py where a kernel has one tap,
those of depthwise_correlation.py where it has one channel, those of patch_correlation.py where it has few weights, those of
phased_correlation.py where it has a stride, and those of winograd_correlation.py where it has 3 x 3 taps and there is enough to do.
"""

from functools import partial

from ..engine import after, by_platform, in_memory, op, shared
from ._conv import (
    dense_correlation,
    depthwise_correlation,
    patch_correlation,
    phased_correlation,
    pointwise_correlation,
    winograd_correlation,
)
from ._conv.kernel_windows import KernelWindows
from ._shared.checks import inexact, one_dtype, refuse
from ._shared.sizes import is_whole, sizes

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


@op(static=("stride", "padding", "dilation", "groups"))
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """y[n, o] = b[o] + Σ_c W[o, c] ⋆ x[n, c], the cross-correlation of each channel of the group, zeros outside.

    Shapes: input (N, C, L) or (C, L), weight (O, C/groups, k), bias (O,) or None -> (N, O, L') or (O, L'). See `conv2d`.
    Backward: that of `conv2d`.
    Errors: those of `conv2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.conv1d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.conv1d(jnp.arange(4.0).reshape(1, 1, 4), jnp.array([[[1.0, 1.0]]])).tolist()
    [[[1.0, 3.0, 5.0]]]
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)[0]


@op(static=("stride", "padding", "dilation", "groups"))
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """y[n, o] = b[o] + Σ_c W[o, c] ⋆ x[n, c], the cross-correlation of each channel of the group, zeros outside.

    Shapes: input (N, C, H, W) or (C, H, W), weight (O, C/groups, kH, kW), bias (O,) or None -> (N, O, H', W') or (O, H', W'),
    H' = floor((H + padding before and after - dilation (kH - 1) - 1) / stride) + 1. `stride`, `padding` and `dilation` are numbers or
    pairs; padding 'valid' is 0, and 'same' keeps H and W (with stride 1), an odd zero standing behind.
    Backward: dx = dy (input_grad by the stride) convolved with the flipped W, in and out exchanged, or so for each phase of the stride;
    dW = x ⋆ dy with the batch as channels;  db = Σ dy over batch and space.
    Errors: ValueError where shapes and options do not fit; TypeError for several dtypes, or what is neither floating point nor complex.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.conv2d(jnp.ones((1, 1, 3, 3)), jnp.ones((1, 1, 2, 2))).tolist()
    [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)[0]


@op(static=("stride", "padding", "dilation", "groups"))
def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """y[n, o] = b[o] + Σ_c W[o, c] ⋆ x[n, c], the cross-correlation of each channel of the group, zeros outside.

    Shapes: input (N, C, D, H, W) or (C, D, H, W), weight (O, C/groups, kD, kH, kW), bias (O,) or None
    -> (N, O, D', H', W') or (O, D', H', W'). See `conv2d`.
    Backward: that of `conv2d`.
    Errors: those of `conv2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.conv3d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.conv3d(jnp.ones((1, 1, 2, 2, 3)), jnp.ones((1, 1, 2, 2, 2))).tolist()
    [[[[[8.0, 8.0]]]]]
    """
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)[0]


def _conv(name, n, input, weight, bias, stride, padding, dilation, groups, maps=lambda weight, windows, shape: dense_correlation):
    """The convolution, and how its kernels lie."""
    _check(name, n, input, weight, bias, groups, transposed=False)
    windows = _windows(name, weight.shape[2:], stride, padding, dilation, groups)
    padded = [size + sum(p) for size, p in zip(input.shape[-n:], windows.padding)]
    refuse(
        name,
        any(size < 1 + reach for size, reach in zip(padded, windows.reach))
        and f"a kernel {weight.shape[2:]} with dilation {windows.dilation} is larger than the padded input {tuple(padded)}",
    )
    x = _batched(n, input)
    y = maps(weight, windows, x.shape).correlate(x, weight, windows)
    return _with_bias(y, bias).reshape(*input.shape[: -n - 1], *y.shape[1:]), windows


conv1d.def_forward(lambda **arguments: _conv_forward("conv1d", 1, **arguments))
conv2d.def_forward(lambda **arguments: _conv_forward("conv2d", 2, **arguments))
conv3d.def_forward(lambda **arguments: _conv_forward("conv3d", 3, **arguments))


def _conv_forward(name, n, input, weight, bias, stride, padding, dilation, groups):
    y, windows = _conv(name, n, input, weight, bias, stride, padding, dilation, groups, _LeanMaps)
    return y, {"x": input, "W": weight, "windows": windows, "has_bias": bias is not None}


@conv1d.def_backward(by_kernel=True)
@conv2d.def_backward(by_kernel=True)
@conv3d.def_backward(by_kernel=True)
def _(saved, dy):
    W, windows = saved["W"], saved["windows"]
    x, dy = _batched(W.ndim - 2, saved["x"]), _batched(W.ndim - 2, dy)
    maps = _LeanMaps(W, windows, x.shape)
    db = _db(dy) if saved["has_bias"] else None
    dW, dy = in_memory(maps.weight_grad(x, dy, windows), dy)  # then x, which may have been recomputed, is no longer needed
    dx = maps.input_grad(dy, _late(W, dy, maps), windows, x.shape[2:]).reshape(saved["x"].shape)
    return dx, dW, db


@op(static=("stride", "padding", "output_padding", "groups", "dilation"))
def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """y[n, o] = b[o] + Σ_c W[c, o] placed at each position of x[n, c], `stride` apart, times the value there.

    Shapes: input (N, C, L) or (C, L), weight (C, O/groups, k), bias (O,) or None -> (N, O, L') or (O, L'). See `conv_transpose2d`.
    Backward: that of `conv_transpose2d`.
    Errors: those of `conv_transpose2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose1d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.conv_transpose1d(jnp.array([[[1.0, 2.0]]]), jnp.ones((1, 1, 3)), stride=2).tolist()
    [[[1.0, 1.0, 3.0, 2.0, 2.0]]]
    """
    return _conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)[0]


@op(static=("stride", "padding", "output_padding", "groups", "dilation"))
def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """y[n, o] = b[o] + Σ_c W[c, o] placed at each position of x[n, c], `stride` apart, times the value there.

    It does to x what the backward of `conv2d` with these options does to dy.
    Shapes: input (N, C, H, W) or (C, H, W), weight (C, O/groups, kH, kW), bias (O,) or None -> (N, O, H', W') or (O, H', W'),
    H' = (H - 1) stride - 2 padding + dilation (kH - 1) + output_padding + 1. The options are numbers or pairs; `output_padding` adds
    places behind, fewer than stride or dilation.
    Backward: dx = dy ⋆ W with this stride, a plain convolution;  dW = dy ⋆ x with the batch as channels;  db = Σ dy over batch and space.
    Errors: ValueError where shapes and options do not fit; TypeError for several dtypes, or what is neither floating point nor complex.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose2d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.conv_transpose2d(jnp.array([[[[1.0, 2.0]]]]), jnp.ones((1, 1, 1, 2)), stride=2).tolist()
    [[[[1.0, 1.0, 2.0, 2.0]]]]
    """
    return _conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)[0]


@op(static=("stride", "padding", "output_padding", "groups", "dilation"))
def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """y[n, o] = b[o] + Σ_c W[c, o] placed at each position of x[n, c], `stride` apart, times the value there.

    Shapes: input (N, C, D, H, W) or (C, D, H, W), weight (C, O/groups, kD, kH, kW), bias (O,) or None
    -> (N, O, D', H', W') or (O, D', H', W'). See `conv_transpose2d`.
    Backward: that of `conv_transpose2d`.
    Errors: those of `conv_transpose2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose3d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.conv_transpose3d(jnp.array([[[[[1.0, 2.0]]]]]), jnp.ones((1, 1, 1, 1, 2))).tolist()
    [[[[[1.0, 3.0, 2.0]]]]]
    """
    return _conv_transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)[0]


def _conv_transpose(
    name, n, input, weight, bias, stride, padding, output_padding, groups, dilation, maps=lambda weight, windows, shape: dense_correlation
):
    """The transposed convolution, and how its kernels lie."""
    _check(name, n, input, weight, bias, groups, transposed=True)
    refuse(name, isinstance(padding, str) and f"padding must be a whole number or {n} of them, got {padding!r}")
    windows = _windows(name, weight.shape[2:], stride, padding, dilation, groups)
    more = sizes(name, n, "output_padding", output_padding)
    refuse(
        name,
        any(not 0 <= m < max(s, d) for m, s, d in zip(more, windows.stride, windows.dilation))
        and f"output_padding must be at least 0 and less than stride {windows.stride} or dilation {windows.dilation}, got {more}",
    )
    windows = windows._replace(padding=tuple((before, after - m) for (before, after), m in zip(windows.padding, more)))
    size = tuple((m - 1) * s + r + 1 - sum(p) for m, s, r, p in zip(input.shape[-n:], windows.stride, windows.reach, windows.padding))
    refuse(name, min(size) < 1 and f"an input of shape {input.shape} is too small: the output would have size {size}")
    x = _batched(n, input)
    y = maps(weight, windows, (x.shape[0], weight.shape[1] * groups, *size)).input_grad(x, weight, windows, size)
    return _with_bias(y, bias).reshape(*input.shape[: -n - 1], *y.shape[1:]), windows


conv_transpose1d.def_forward(lambda **arguments: _conv_transpose_forward("conv_transpose1d", 1, **arguments))
conv_transpose2d.def_forward(lambda **arguments: _conv_transpose_forward("conv_transpose2d", 2, **arguments))
conv_transpose3d.def_forward(lambda **arguments: _conv_transpose_forward("conv_transpose3d", 3, **arguments))


def _conv_transpose_forward(name, n, input, weight, bias, stride, padding, output_padding, groups, dilation):
    y, windows = _conv_transpose(name, n, input, weight, bias, stride, padding, output_padding, groups, dilation, _LeanMaps)
    return y, {"x": input, "W": weight, "windows": windows, "has_bias": bias is not None}


@conv_transpose1d.def_backward(by_kernel=True)
@conv_transpose2d.def_backward(by_kernel=True)
@conv_transpose3d.def_backward(by_kernel=True)
def _(saved, dy):
    W, windows = saved["W"], saved["windows"]
    x, dy = _batched(W.ndim - 2, saved["x"]), _batched(W.ndim - 2, dy)
    maps = _LeanMaps(W, windows, dy.shape)
    db = _db(dy) if saved["has_bias"] else None
    dW, dy = in_memory(maps.weight_grad(dy, x, windows), dy)
    dx = maps.correlate(dy, _late(W, dy, maps), windows).reshape(saved["x"].shape)
    return dx, dW, db


conv1d.def_vmap(lambda size, mapped, **arguments: _in_one_batch(conv1d, mapped, **arguments))
conv2d.def_vmap(lambda size, mapped, **arguments: _in_one_batch(conv2d, mapped, **arguments))
conv3d.def_vmap(lambda size, mapped, **arguments: _in_one_batch(conv3d, mapped, **arguments))
conv_transpose1d.def_vmap(lambda size, mapped, **arguments: _in_one_batch(conv_transpose1d, mapped, **arguments))
conv_transpose2d.def_vmap(lambda size, mapped, **arguments: _in_one_batch(conv_transpose2d, mapped, **arguments))
conv_transpose3d.def_vmap(lambda size, mapped, **arguments: _in_one_batch(conv_transpose3d, mapped, **arguments))


def _in_one_batch(op, mapped, input, weight, bias, **options):
    """Under vmap, where the kernels are not mapped: the mapped axis is the batch, or joins it."""
    if mapped["weight"] or mapped["bias"]:
        return None
    if input.ndim == weight.ndim:
        return op(input, weight, bias, **options)
    y = op(input.reshape(input.shape[0] * input.shape[1], *input.shape[2:]), weight, bias, **options)
    return y.reshape(*input.shape[:2], *y.shape[1:])


class _LeanMaps:
    """The maps of the written pairs, for an image x of this shape: on a CPU those of its kind, elsewhere the platform's convolution."""

    def __init__(self, W, windows, shape):
        candidates = pointwise_correlation, depthwise_correlation, patch_correlation, phased_correlation, winograd_correlation
        self.on_cpu = next((maps for maps in candidates if maps.is_for(W, windows, shape)), dense_correlation)

    def correlate(self, x, W, windows):
        return self._form("correlate", x, W, windows=windows)

    def input_grad(self, y, W, windows, size):
        return self._form("input_grad", y, W, windows=windows, size=size)

    def weight_grad(self, x, y, windows):
        return self._form("weight_grad", x, y, windows=windows)

    def _form(self, name, *arrays, **options):
        form = lambda maps: partial(getattr(maps, name), **options)
        return by_platform(*arrays, cpu=form(self.on_cpu), default=form(dense_correlation))


def _late(W, dy, maps):
    """The kernels; XLA would transpose those of all layers at the beginning of a program, and keep them: not before dy is there.

    Of devices that share dy each waits for its own part.
    """
    if maps.on_cpu in (pointwise_correlation, depthwise_correlation):
        return W
    axes = [f"axis{i}" for i in range(W.ndim)]
    return shared(lambda over, W, dy: [after(W, [dy.ravel()[:1]])], (W, dy), (axes, ...), (axes,))[0]


def _with_bias(y, bias):
    return y if bias is None else y + bias.reshape(-1, *(1,) * (y.ndim - 2))


def _db(dy):
    return dy.sum((0, *range(2, dy.ndim)))


def _batched(n, x):
    """With an axis for the batch before channels and n axes of space."""
    return x if x.ndim == n + 2 else x[None]


def _check(name, n, input, weight, bias, groups, transposed):
    """Refuse arrays that are not images of n axes of space, a kernel and a bias that belong together."""
    axes = ", ".join("DHW"[-n:]) if n > 1 else "L"
    ends = ", ".join(f"k{a}" for a in "DHW"[-n:]) if n > 1 else "k"
    layout = f"(C, O/groups, {ends})" if transposed else f"(O, C/groups, {ends})"
    refuse(
        name,
        (input.ndim not in (n + 1, n + 2) or weight.ndim != n + 2)
        and f"expected an input (N, C, {axes}) or (C, {axes}) and a weight {layout}, got {input.shape} and {weight.shape}",
        (not is_whole(groups) or groups < 1) and f"groups must be a positive whole number, got {groups!r}",
    )
    inexact(name, input=input, weight=weight, bias=bias)
    one_dtype(name, input=input, weight=weight, bias=bias)
    first, second = weight.shape[0], weight.shape[1] * groups
    channels, out = (first, second) if transposed else (second, first)
    refuse(
        name,
        first % groups and f"expected a weight {layout} whose first axis is divisible by groups={groups}, got {weight.shape}",
        0 in (out, *weight.shape[2:]) and f"expected a kernel and output channels, got a weight of shape {weight.shape}",
        input.shape[-n - 1] != channels
        and f"a weight of shape {weight.shape} in {groups} groups takes {channels} channels, got an input of shape {input.shape}",
        bias is not None and bias.shape != (out,) and f"expected a bias of shape ({out},), got {bias.shape}",
        0 in input.shape[-n:] and f"expected an image that is not empty, got an input of shape {input.shape}",
        transposed and channels == 0 and f"expected input channels, got a weight of shape {weight.shape}",
    )


def same_padding(kernel, dilation):
    """(before, after) of each axis, with which a convolution of stride 1 keeps the size."""
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    return tuple((r // 2, r - r // 2) for r in reach)


def _windows(name, kernel, stride, padding, dilation, groups):
    n = len(kernel)
    stride, dilation = sizes(name, n, "stride", stride), sizes(name, n, "dilation", dilation)
    if padding == "same":
        refuse(name, stride != (1,) * n and f"padding='same' needs stride 1, got {stride}")
        padding = same_padding(kernel, dilation)
    elif isinstance(padding, str):
        refuse(name, padding != "valid" and f"padding must be a whole number, {n} of them, 'valid' or 'same', got {padding!r}")
        padding = ((0, 0),) * n
    else:
        padding = tuple((p, p) for p in sizes(name, n, "padding", padding))
    refuse(
        name,
        min(stride) < 1 and f"stride must be positive, got {stride}",
        min(dilation) < 1 and f"dilation must be positive, got {dilation}",
        min(min(p) for p in padding) < 0 and f"padding must not be negative, got {tuple(p for p, _ in padding)}",
    )
    return KernelWindows(kernel, stride, padding, dilation, groups)
