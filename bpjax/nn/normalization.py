"""Modules that normalise the last axes, groups of channels, or neighbouring channels."""

from .. import functional as F
from ..functional._shared.checks import refuse
from .module import Module, Parameter


class LayerNorm(Module):
    """Normalises the last axes.

    Shapes: (*, *normalized_shape), kept; weight and bias of normalized_shape.
    Formula and backward: see `bpjax.functional.layer_norm`.
    Errors: ValueError where the input does not end in normalized_shape.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LayerNorm(3)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3))).shape
    (2, 3)
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, *, dtype=None):
        self.normalized_shape = _sizes("LayerNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = Parameter(self.normalized_shape, 1.0, dtype) if elementwise_affine else None
        self.bias = Parameter(self.normalized_shape, 0.0, dtype) if elementwise_affine and bias else None

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        options = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {options}"


class RMSNorm(Module):
    """Normalises the last axes by their root mean square.

    Shapes: (*, *normalized_shape), kept; weight of normalized_shape.
    Formula and backward: see `bpjax.functional.rms_norm`.
    Errors: ValueError where the input does not end in normalized_shape.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.RMSNorm(3)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3))).shape
    (2, 3)
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, *, dtype=None):
        self.normalized_shape = _sizes("RMSNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = Parameter(self.normalized_shape, 1.0, dtype) if elementwise_affine else None

    def forward(self, x):
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalises each group of channels of each example.

    Shapes: (N, C, *), kept; weight and bias (C,).
    Formula and backward: see `bpjax.functional.group_norm`.
    Errors: ValueError where num_groups does not divide num_channels, or for another shape.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.GroupNorm(2, 6)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 6, 3))).shape
    (2, 6, 3)
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, *, bias=True, dtype=None):
        if num_groups < 1 or num_channels < 0 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: expected a num_groups that divides num_channels, got {num_groups} and {num_channels}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight = Parameter((num_channels,), 1.0, dtype) if affine else None
        self.bias = Parameter((num_channels,), 0.0, dtype) if affine and bias else None

    def forward(self, input):
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """Divides by a power of the mean square of neighbouring channels.

    Shapes: (N, C, *) of at least 3 axes, kept.
    Formula and backward: see `bpjax.functional.local_response_norm`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LocalResponseNorm.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.LocalResponseNorm(2)(jnp.ones((1, 3, 4))).shape
    (1, 3, 4)
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input):
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _sizes(name, shape):
    """The shape as a tuple; a number is one axis."""
    sizes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    is_shape = all(hasattr(n, "__index__") and n >= 0 for n in sizes)
    refuse(name, not is_shape and f"normalized_shape must be whole numbers, none negative, got {shape!r}")
    return sizes
