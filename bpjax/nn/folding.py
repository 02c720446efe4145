"""Modules that take images apart into windows, and put them together."""

from .. import functional as F
from .module import Module


class Unfold(Module):
    """The windows of an image as columns.

    Shapes: (N, C, H, W) or (C, H, W) -> (N, C kH kW, L) or (C kH kW, L).
    Formula and backward: see `bpjax.functional.unfold`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Unfold.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Unfold((2, 3))(jnp.ones((2, 5, 3, 4))).shape
    (2, 30, 4)
    """

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input):
        self._shape(input)
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """The image that is the sum of its windows.

    Shapes: (N, C kH kW, L) or (C kH kW, L) -> (N, C, H, W) or (C, H, W), (H, W) being output_size.
    Formula and backward: see `bpjax.functional.fold`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Fold.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Fold((4, 5), kernel_size=2)(jnp.ones((1, 12, 12))).shape
    (1, 3, 4, 5)
    """

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        self.output_size = output_size
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input):
        self._shape(input)
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        options = f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        return f"output_size={self.output_size}, {options}"
