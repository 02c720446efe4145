"""Modules of pooling."""

from .. import functional as F
from .module import Module


class MaxPool2d(Module):
    """The largest value of each window.

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.max_pool2d`.
    Errors: ValueError for another shape.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.MaxPool2d(2)(jnp.ones((1, 1, 4, 4))).shape
    (1, 1, 2, 2)
    """

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.return_indices, self.ceil_mode = padding, dilation, return_indices, ceil_mode

    def forward(self, input):
        shape = self._shape(input)
        if len(shape) not in (3, 4):
            raise ValueError(f"expected input of shape (N, C, H, W) or (C, H, W), got shape {shape}")
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)

    def extra_repr(self):
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}"
        return f"{sizes}, ceil_mode={self.ceil_mode}"
