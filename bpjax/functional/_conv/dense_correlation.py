"""The three maps between image, kernel and image that convolutions are made of, by XLA's convolution.

The other maps stand in for these; their `is_for(W, windows, shape)` says for which kernels, and for what shape of the image x.
"""

from jax import lax

__all__ = ()  # no layers


def correlate(x, W, windows):
    """y[o] = Σ_c W[o, c] ⋆ x[c]."""
    return _convolve(x, W, windows.padding, stride=windows.stride, rhs_dilation=windows.dilation, groups=windows.groups)


def input_grad(y, W, windows, size):
    """x[c] = Σ_o W[o, c] placed at each position of y[o], times the value there; what lies beyond `size` is cut.

    y with zeros between, `stride` apart, meets the flipped kernel, in and out exchanged.
    """
    out, c, *kernel = W.shape
    flipped = lax.rev(W, range(2, W.ndim)).reshape(windows.groups, out // windows.groups, c, *kernel)
    flipped = flipped.swapaxes(1, 2).reshape(windows.groups * c, out // windows.groups, *kernel)
    spans = [(m - 1) * s + 1 for m, s in zip(y.shape[2:], windows.stride)]
    before = [r - p for r, (p, _) in zip(windows.reach, windows.padding)]
    around = [(b, n - m + r - b) for b, n, m, r in zip(before, size, spans, windows.reach)]
    # XLA takes an axis of kernel 2, stride 2 without padding for one of groups, and where it also exchanges the operands, as it does when
    # another axis has more taps than values, it aborts (JAX 0.10.2): a place more, which is cut off again, tells them apart
    is_like_groups = [k == s == 2 and p == (0, 0) for k, s, p in zip(kernel, windows.stride, around)]
    is_exchanged = any(k > m for k, m in zip(kernel, y.shape[2:]))
    around = [(low, high + (like and is_exchanged)) for (low, high), like in zip(around, is_like_groups)]
    x = _convolve(y, flipped, around, lhs_dilation=windows.stride, rhs_dilation=windows.dilation, groups=windows.groups)
    return lax.slice(x, (0,) * x.ndim, (*x.shape[:2], *size))


def weight_grad(x, y, windows):
    """W[o, c] = Σ_n x[n, c] ⋆ y[n, o]: each channel of x is an example, the batch its channels, y the kernel."""
    spans = [(m - 1) * s + 1 for m, s in zip(y.shape[2:], windows.stride)]
    around = [(p, m + r - n - p) for (p, _), n, m, r in zip(windows.padding, x.shape[2:], spans, windows.reach)]
    x, y = x.swapaxes(0, 1), y.swapaxes(0, 1)
    W = _convolve(x, y, around, stride=windows.dilation, rhs_dilation=windows.stride, batch_groups=windows.groups)
    return W.swapaxes(0, 1)


def _convolve(x, W, padding, stride=None, lhs_dilation=None, rhs_dilation=None, groups=1, batch_groups=1):
    """The convolution of (N, C, *space) and (O, C, *space) to (N, O, *space), computed with the channels last.

    Inside a loop XLA:CPU runs every layout but NHWC x HWIO -> NHWC on its slowest path (15 times slower).
    """
    space = range(2, x.ndim)
    axes = "DHW"[-len(space) :]
    y = lax.conv_general_dilated(
        x.transpose(0, *space, 1), W.transpose(*space, 1, 0), stride or (1,) * len(space), padding, lhs_dilation, rhs_dilation,
        (f"N{axes}C", f"{axes}IO", f"N{axes}C"), groups, batch_groups,
    )  # fmt: skip
    return y.transpose(0, -1, *range(1, x.ndim - 1))
