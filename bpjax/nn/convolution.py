"""Modules of convolution and transposed convolution."""

import math

from .. import functional as F
from ..functional._shared.checks import refuse
from ..functional._shared.sizes import is_whole, sizes
from ..functional._shared.windows import exactly
from ..functional.convolution import same_padding
from .module import Module, Parameter, uniform


class _ConvNd(Module):
    """What convolutions have in common: their options under PyTorch's names, and the kernels, U(±1/√fan_in) at first.

    A subclass says of how many `dimensions` it is, and which function it is the module of.
    """

    dimensions: int
    transposed: bool

    def __init__(
        self, in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias, padding_mode, dtype
    ):
        name, n = type(self).__name__, self.dimensions
        refuse(
            name,
            not all(is_whole(c) and c >= 0 for c in (in_channels, out_channels))
            and f"in_channels and out_channels must be whole numbers, not negative, got {in_channels!r} and {out_channels!r}",
        )
        refuse(
            name,
            (not is_whole(groups) or groups < 1 or in_channels % groups or out_channels % groups)
            and f"groups must be positive and divide {in_channels} and {out_channels} channels, got {groups!r}",
        )
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size = exactly(name, n, "kernel_size", kernel_size)
        refuse(name, min(self.kernel_size) < 0 and f"kernel_size must be positive, got {self.kernel_size}")
        self.stride, self.dilation = sizes(name, n, "stride", stride), sizes(name, n, "dilation", dilation)
        self.padding = padding if isinstance(padding, str) else sizes(name, n, "padding", padding)
        self.output_padding = sizes(name, n, "output_padding", output_padding)
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (first, second // groups, *self.kernel_size)
        fan_in = math.prod(shape[1:])
        init = uniform(1 / math.sqrt(fan_in) if fan_in > 0 else 0.0)
        self.weight = Parameter(shape, init, dtype)
        self.bias = Parameter((out_channels,), init, dtype) if bias else None

    def extra_repr(self):
        zeros, ones = (0,) * self.dimensions, (1,) * self.dimensions
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != zeros else ""
        text += f", dilation={self.dilation}" if self.dilation != ones else ""
        text += f", output_padding={self.output_padding}" if self.output_padding != zeros else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return text + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class _Conv(_ConvNd):
    transposed = False

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
        name = type(self).__name__
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(f"{name}: padding_mode must be 'zeros', 'reflect', 'replicate' or 'circular', got {padding_mode!r}")
        if isinstance(padding, str) and padding not in ("valid", "same"):
            raise ValueError(f"{name}: padding must be numbers, 'valid' or 'same', got {padding!r}")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias, padding_mode, dtype)
        if padding == "same" and any(s != 1 for s in self.stride):
            raise ValueError(f"{name}: padding='same' needs stride 1, got {self.stride}")

    def forward(self, input):
        self._shape(input)
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._borders(), self.padding_mode), 0
        return self.function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _borders(self):
        """The padding as `F.pad` takes it: before and after, the last axis first."""
        if isinstance(self.padding, str):
            ends = same_padding(self.kernel_size, self.dilation) if self.padding == "same" else [(0, 0)] * self.dimensions
        else:
            ends = [(p, p) for p in self.padding]
        return tuple(p for pair in reversed(ends) for p in pair)


class Conv1d(_Conv):
    """Cross-correlation of sequences with learned kernels.

    Shapes: (N, C, L) or (C, L) -> out_channels in place of C; weight (out, in/groups, k), U(±1/√fan_in) at first.
    Formula and backward: see `bpjax.functional.conv1d`; another padding_mode than 'zeros' is `bpjax.functional.pad` before it.
    Errors: those of the function; ValueError for options that do not fit.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Conv1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.Conv1d(3, 8, 3, padding="same", padding_mode="circular")
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3, 5))).shape
    (2, 8, 5)
    """

    dimensions, function = 1, F.conv1d


class Conv2d(_Conv):
    """Cross-correlation of images with learned kernels.

    Shapes: (N, C, H, W) or (C, H, W) -> out_channels in place of C; weight (out, in/groups, kH, kW), U(±1/√fan_in) at first.
    Formula and backward: see `bpjax.functional.conv2d`; another padding_mode than 'zeros' is `bpjax.functional.pad` before it.
    Errors: those of the function; ValueError for options that do not fit.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Conv2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.Conv2d(3, 8, 3, padding=1)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3, 5, 5))).shape
    (2, 8, 5, 5)
    """

    dimensions, function = 2, F.conv2d


class Conv3d(_Conv):
    """Cross-correlation of volumes with learned kernels.

    Shapes: (N, C, D, H, W) or (C, D, H, W) -> out_channels in place of C; weight (out, in/groups, kD, kH, kW), U(±1/√fan_in) at first.
    Formula and backward: see `bpjax.functional.conv3d`; another padding_mode than 'zeros' is `bpjax.functional.pad` before it.
    Errors: those of the function; ValueError for options that do not fit.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Conv3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.Conv3d(3, 4, 2, stride=2)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((3, 4, 4, 6))).shape
    (4, 2, 2, 3)
    """

    dimensions, function = 3, F.conv3d


class _ConvTranspose(_ConvNd):
    transposed = True

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        *,
        dtype=None,
    ):
        if padding_mode != "zeros":
            raise ValueError(f"{type(self).__name__}: padding_mode must be 'zeros', got {padding_mode!r}")
        if isinstance(padding, str):
            raise ValueError(f"{type(self).__name__}: padding must be numbers, got {padding!r}")
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias, padding_mode, dtype
        )

    def forward(self, input, output_size=None):
        shape = self._shape(input)
        output_padding = self.output_padding if output_size is None else self._reaching(output_size, shape)
        return self.function(input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation)

    def _reaching(self, output_size, shape):
        """The output_padding with which an input of this shape gets this size; channels and batch in front of it are ignored."""
        n = self.dimensions
        is_size = isinstance(output_size, tuple | list) and len(output_size) in (n, len(shape)) and all(map(is_whole, output_size))
        if len(shape) not in (n + 1, n + 2) or not is_size:
            raise ValueError(f"output_size must have {n} numbers, or one for each axis of the input, got {output_size} for shape {shape}")
        size = tuple(output_size)[-n:]
        options = zip(shape[-n:], self.kernel_size, self.stride, self.padding, self.dilation)
        least = tuple((m - 1) * s - 2 * p + d * (k - 1) + 1 for m, k, s, p, d in options)
        most = tuple(low + s - 1 for low, s in zip(least, self.stride))
        if not all(low <= asked <= high for low, asked, high in zip(least, size, most)):
            raise ValueError(f"output_size must be from {least} to {most} for an input of shape {shape}, got {size}")
        return tuple(asked - low for asked, low in zip(size, least))


class ConvTranspose1d(_ConvTranspose):
    """Sequences spread by learned kernels: what the backward of `Conv1d` does to a cotangent.

    Shapes: (N, C, L) or (C, L) -> out_channels in place of C; weight (in, out/groups, k), U(±1/√(k out/groups)) at first.
    `output_size` chooses among the sizes that a `Conv1d` brings to the size of the input.
    Formula and backward: see `bpjax.functional.conv_transpose1d`.
    Errors: those of the function; ValueError for options that do not fit, or an output_size out of range.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ConvTranspose1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.ConvTranspose1d(3, 8, 3, stride=2)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3, 5)), output_size=(12,)).shape
    (2, 8, 12)
    """

    dimensions, function = 1, F.conv_transpose1d


class ConvTranspose2d(_ConvTranspose):
    """Images spread by learned kernels: what the backward of `Conv2d` does to a cotangent.

    Shapes: (N, C, H, W) or (C, H, W) -> out_channels in place of C; weight (in, out/groups, kH, kW), U(±1/√(kH kW out/groups)) at first.
    `output_size` chooses among the sizes that a `Conv2d` brings to the size of the input.
    Formula and backward: see `bpjax.functional.conv_transpose2d`.
    Errors: those of the function; ValueError for options that do not fit, or an output_size out of range.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.ConvTranspose2d(3, 8, 2, stride=2)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3, 5, 5))).shape
    (2, 8, 10, 10)
    """

    dimensions, function = 2, F.conv_transpose2d


class ConvTranspose3d(_ConvTranspose):
    """Volumes spread by learned kernels: what the backward of `Conv3d` does to a cotangent.

    Shapes: (N, C, D, H, W) or (C, D, H, W) -> out_channels in place of C; weight (in, out/groups, kD, kH, kW),
    U(±1/√(kD kH kW out/groups)) at first. `output_size` chooses among the sizes that a `Conv3d` brings to the size of the input.
    Formula and backward: see `bpjax.functional.conv_transpose3d`.
    Errors: those of the function; ValueError for options that do not fit, or an output_size out of range.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ConvTranspose3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.ConvTranspose3d(3, 4, 3, padding=1)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((3, 2, 2, 2))).shape
    (4, 2, 2, 2)
    """

    dimensions, function = 3, F.conv_transpose3d
