"""Modules of poolings whose windows move by a stride."""

from .. import functional as F
from .module import Module


class _MaxPool(Module):
    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.return_indices, self.ceil_mode = padding, dilation, return_indices, ceil_mode

    def extra_repr(self):
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}"
        return f"{sizes}, ceil_mode={self.ceil_mode}"


class MaxPool1d(_MaxPool):
    """The largest value of each window.

    Shapes: (N, C, L) or (C, L).
    Formula and backward: see `bpjax.functional.max_pool1d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.MaxPool1d(2)(jnp.ones((1, 1, 4))).shape
    (1, 1, 2)
    """

    def forward(self, input):
        return F.max_pool1d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)


class MaxPool2d(_MaxPool):
    """The largest value of each window.

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.max_pool2d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.MaxPool2d(2)(jnp.ones((1, 1, 4, 4))).shape
    (1, 1, 2, 2)
    """

    def forward(self, input):
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)


class MaxPool3d(_MaxPool):
    """The largest value of each window.

    Shapes: (N, C, D, H, W) or (C, D, H, W).
    Formula and backward: see `bpjax.functional.max_pool3d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MaxPool3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.MaxPool3d(2)(jnp.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 2, 2, 2)
    """

    def forward(self, input):
        return F.max_pool3d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)


class _MaxUnpool(Module):
    def _sizes(self, n, kernel_size, stride, padding):
        self.kernel_size, self.padding = _tuple(n, kernel_size), _tuple(n, padding)
        self.stride = self.kernel_size if stride is None else _tuple(n, stride)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """What MaxPool1d with return_indices took, put back among zeros.

    Shapes: (N, C, L) or (C, L).
    Formula and backward: see `bpjax.functional.max_unpool1d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MaxUnpool1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.MaxUnpool1d(2)(jnp.ones((1, 1, 2)), jnp.zeros((1, 1, 2), int)).shape
    (1, 1, 4)
    """

    def __init__(self, kernel_size, stride=None, padding=0):
        self._sizes(1, kernel_size, stride, padding)

    def forward(self, input, indices, output_size=None):
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpool):
    """What MaxPool2d with return_indices took, put back among zeros.

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.max_unpool2d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.MaxUnpool2d(2)(jnp.ones((1, 1, 2, 2)), jnp.zeros((1, 1, 2, 2), int)).shape
    (1, 1, 4, 4)
    """

    def __init__(self, kernel_size, stride=None, padding=0):
        self._sizes(2, kernel_size, stride, padding)

    def forward(self, input, indices, output_size=None):
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpool):
    """What MaxPool3d with return_indices took, put back among zeros.

    Shapes: (N, C, D, H, W) or (C, D, H, W).
    Formula and backward: see `bpjax.functional.max_unpool3d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MaxUnpool3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.MaxUnpool3d(2)(jnp.ones((1, 1, 2, 2, 2)), jnp.zeros((1, 1, 2, 2, 2), int)).shape
    (1, 1, 4, 4, 4)
    """

    def __init__(self, kernel_size, stride=None, padding=0):
        self._sizes(3, kernel_size, stride, padding)

    def forward(self, input, indices, output_size=None):
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class _AvgPool(Module):
    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of each window.

    Shapes: (N, C, L) or (C, L).
    Formula and backward: see `bpjax.functional.avg_pool1d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.AvgPool1d(2)(jnp.ones((1, 1, 4))).shape
    (1, 1, 2)
    """

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        stride = kernel_size if stride is None else stride
        super().__init__(_tuple(1, kernel_size), _tuple(1, stride), _tuple(1, padding), ceil_mode, count_include_pad)

    def forward(self, input):
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window.

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.avg_pool2d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.AvgPool2d(2)(jnp.ones((1, 1, 4, 4))).shape
    (1, 1, 2, 2)
    """

    def forward(self, input):
        options = self.ceil_mode, self.count_include_pad, self.divisor_override
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding, *options)


class AvgPool3d(_AvgPool):
    """The mean of each window.

    Shapes: (N, C, D, H, W) or (C, D, H, W).
    Formula and backward: see `bpjax.functional.avg_pool3d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AvgPool3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.AvgPool3d(2)(jnp.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 2, 2, 2)
    """

    def forward(self, input):
        options = self.ceil_mode, self.count_include_pad, self.divisor_override
        return F.avg_pool3d(input, self.kernel_size, self.stride, self.padding, *options)


class _LPPool(Module):
    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def extra_repr(self):
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"


class LPPool1d(_LPPool):
    """The p-norm of each window, p being `norm_type`.

    Shapes: (N, C, L) or (C, L).
    Formula and backward: see `bpjax.functional.lp_pool1d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LPPool1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.LPPool1d(2, 2)(jnp.ones((1, 1, 4))).shape
    (1, 1, 2)
    """

    def forward(self, input):
        return F.lp_pool1d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPool):
    """The p-norm of each window, p being `norm_type`.

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.lp_pool2d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LPPool2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.LPPool2d(2, 2)(jnp.ones((1, 1, 4, 4))).shape
    (1, 1, 2, 2)
    """

    def forward(self, input):
        return F.lp_pool2d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPool):
    """The p-norm of each window, p being `norm_type`.

    Shapes: (N, C, D, H, W) or (C, D, H, W).
    Formula and backward: see `bpjax.functional.lp_pool3d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LPPool3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.LPPool3d(2, 2)(jnp.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 2, 2, 2)
    """

    def forward(self, input):
        return F.lp_pool3d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


def _tuple(n, value):
    return tuple(value) if isinstance(value, tuple | list) else (value,) * n
