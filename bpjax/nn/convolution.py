"""Modules of convolution."""

import math

from .. import functional as F
from .module import Module, Parameter, uniform


class Conv2d(Module):
    """Cross-correlation of images with learned kernels.

    Shapes: (N, C, H, W) or (C, H, W) -> out_channels in place of C; weight (out, in/groups, kh, kw), U(±1/√fan_in) at first.
    Formula and backward: see `bpjax.functional.conv2d`.
    Errors: ValueError for another shape.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Conv2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.Conv2d(3, 8, 3, padding=1)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3, 5, 5))).shape
    (2, 8, 5, 5)
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        *,
        dtype=None,
    ):
        if padding_mode != "zeros":
            raise NotImplementedError(f"Conv2d: padding_mode must be 'zeros', got {padding_mode!r}")
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"Conv2d: {in_channels} and {out_channels} channels must both be divisible by groups={groups}")
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size, self.stride, self.dilation = _pair(kernel_size), _pair(stride), _pair(dilation)
        self.padding = padding if isinstance(padding, str) else _pair(padding)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        init = uniform(1 / math.sqrt(math.prod(shape[1:])))
        self.weight = Parameter(shape, init, dtype)
        self.bias = Parameter((out_channels,), init, dtype) if bias else None

    def forward(self, input):
        shape = self._shape(input)
        if len(shape) not in (3, 4) or shape[-3] != self.in_channels:
            expected = f"(N, {self.in_channels}, H, W) or ({self.in_channels}, H, W)"
            raise ValueError(f"expected input of shape {expected}, got shape {shape}")
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != (0, 0) else ""
        text += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        return text + (", bias=False" if self.bias is None else "")


def _pair(v):
    return (v, v) if isinstance(v, int) else tuple(v)
