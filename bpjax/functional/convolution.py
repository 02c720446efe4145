"""Two-dimensional convolution.

Everything is written as NHWC x HWIO -> NHWC: inside a loop XLA:CPU runs every other layout on its slowest path (15 times slower).
"""

import jax.numpy as jnp
from jax import lax

from ..engine import op


@op(static=("stride", "padding", "dilation", "groups"))
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """y[n, o] = b[o] + Σ_c W[o, c] ⋆ x[n, c], the cross-correlation of each channel of the group, zeros outside.

    Shapes: input (N, C, H, W) or (C, H, W), weight (O, C/groups, kh, kw), bias (O,) or None -> (N, O, H', W') or (O, H', W'),
    H' = floor((H + padding before and after - dilation (kh - 1) - 1) / stride) + 1. `padding` is a number, a pair, 'valid' or 'same'.
    Backward: dx = dy (spread by the stride) convolved with the flipped W, in and out exchanged;
    dW = x ⋆ dy with the batch as channels;  db = Σ dy over batch and space.
    Errors: ValueError where shapes and options do not fit.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.conv2d(jnp.ones((1, 1, 3, 3)), jnp.ones((1, 1, 2, 2))).tolist()
    [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    stride, dilation, padding = _options(input, weight, stride, padding, dilation, groups)
    dtype = jnp.promote_types(input.dtype, weight.dtype)
    x = (input if input.ndim == 4 else input[None]).transpose(0, 2, 3, 1).astype(dtype)
    y = _convolve(x, weight.transpose(2, 3, 1, 0).astype(dtype), padding, stride=stride, rhs_dilation=dilation, groups=groups)
    y = y if bias is None else y + bias
    y = y.transpose(0, 3, 1, 2)
    return y if input.ndim == 4 else y[0]


@conv2d.def_forward
def _(input, weight, bias, stride, padding, dilation, groups):
    stride, dilation, padding = _options(input, weight, stride, padding, dilation, groups)
    y = conv2d.formula(input, weight, bias, stride, padding, dilation, groups)
    saved = {"x": input, "W": weight, "b": None if bias is None else bias.dtype}
    return y, {**saved, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@conv2d.def_backward
def _(saved, dy):
    x, W, stride, padding, dilation, groups = (saved[k] for k in ("x", "W", "stride", "padding", "dilation", "groups"))
    batched = x.ndim == 4
    X, g = (x, dy) if batched else (x[None], dy[None])
    sizes, kernel, spread = X.shape[2:], W.shape[2:], [(n - 1) * s + 1 for n, s in zip(g.shape[2:], stride)]
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]  # how far a kernel extends beyond its first tap

    # dx: the output of stride s is spread by s, then meets the flipped kernel; the padding brings back the input's size
    out, c, kh, kw = W.shape
    flipped = W[:, :, ::-1, ::-1].reshape(groups, out // groups, c, kh, kw)
    flipped = flipped.transpose(3, 4, 1, 0, 2).reshape(kh, kw, out // groups, groups * c)
    before = [r - p[0] for r, p in zip(reach, padding)]
    around = [(b, n - m + r - b) for b, n, m, r in zip(before, sizes, spread, reach)]
    dx = _convolve(g.transpose(0, 2, 3, 1), flipped.astype(dy.dtype), around, lhs_dilation=stride, rhs_dilation=dilation, groups=groups)
    dx = dx.transpose(0, 3, 1, 2)

    # dW: each channel of x is an example, the batch its channels, dy the kernel
    around = [(p[0], m + r - n - p[0]) for p, n, m, r in zip(padding, sizes, spread, reach)]
    taps = X.transpose(1, 2, 3, 0).astype(dy.dtype)
    dW = _convolve(taps, g.transpose(2, 3, 0, 1), around, stride=dilation, rhs_dilation=stride, batch_groups=groups)
    dW = dW.transpose(3, 0, 1, 2)

    db = None if saved["b"] is None else g.sum((0, 2, 3)).astype(saved["b"])
    return (dx if batched else dx[0]).astype(x.dtype), dW.astype(W.dtype), db


def _convolve(x, kernel, padding, stride=(1, 1), lhs_dilation=(1, 1), rhs_dilation=(1, 1), groups=1, batch_groups=1):
    return lax.conv_general_dilated(
        x, kernel, tuple(stride), tuple(padding), tuple(lhs_dilation), tuple(rhs_dilation), ("NHWC", "HWIO", "NHWC"), groups, batch_groups
    )


def _options(x, W, stride, padding, dilation, groups):
    """Stride and dilation as pairs, padding as two pairs (before, after)."""
    stride, dilation = _pair(stride), _pair(dilation)
    if x.ndim not in (3, 4) or W.ndim != 4:
        raise ValueError(
            f"conv2d: expected an input (N, C, H, W) or (C, H, W) and a weight (O, C/groups, kh, kw), got {x.shape} and {W.shape}"
        )
    if x.shape[-3] != W.shape[1] * groups or W.shape[0] % groups:
        raise ValueError(f"conv2d: an input of shape {x.shape} does not fit a weight of shape {W.shape} in {groups} groups")
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"conv2d: padding='same' needs stride 1, got {stride}")
        total = [d * (k - 1) for d, k in zip(dilation, W.shape[2:])]
        padding = tuple((t // 2, t - t // 2) for t in total)
    elif padding == "valid":
        padding = ((0, 0), (0, 0))
    elif isinstance(padding, str):
        raise ValueError(f"conv2d: padding must be a number, a pair, 'valid' or 'same', got {padding!r}")
    elif isinstance(padding, int) or not isinstance(padding[0], tuple):
        padding = tuple((p, p) for p in _pair(padding))
    for n, k, d, p in zip(x.shape[-2:], W.shape[2:], dilation, padding):
        if n + p[0] + p[1] < d * (k - 1) + 1:
            raise ValueError(f"conv2d: a kernel {W.shape[2:]} (dilation {dilation}) is larger than the padded input {x.shape[-2:]}")
    return stride, dilation, padding


def _pair(v):
    return (v, v) if isinstance(v, int) else tuple(v) * (3 - len(v))
