"""Modules of linear maps."""

import math

from .. import functional as F
from .module import Module, Parameter, uniform


class Linear(Module):
    """y = x Wᵀ + b on the last axis.

    Shapes: (*, in_features) -> (*, out_features); weight (out_features, in_features), bias (out_features,), both
    U(±1/√in_features) at first.
    Formula and backward: see `bpjax.functional.linear`.
    Errors: ValueError where the last dimension is not in_features; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Linear.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.Linear(2, 3)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((4, 2))).shape
    (4, 3)
    """

    def __init__(self, in_features, out_features, bias=True, *, dtype=None):
        self.in_features, self.out_features = in_features, out_features
        init = uniform(1 / math.sqrt(in_features) if in_features > 0 else 0.0)
        self.weight = Parameter((out_features, in_features), init, dtype)
        self.bias = Parameter((out_features,), init, dtype) if bias else None

    def forward(self, input):
        shape = self._shape(input)
        if not shape or shape[-1] != self.in_features:
            raise ValueError(f"expected input with last dimension {self.in_features}, got shape {shape}")
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y_o = x1ᵀ W_o x2 + b_o on the last axes.

    Shapes: (*, in1_features) and (*, in2_features) -> (*, out_features); weight (out_features, in1_features, in2_features),
    bias (out_features,), both U(±1/√in1_features) at first.
    Formula and backward: see `bpjax.functional.bilinear`.
    Errors: ValueError for in1_features below 1; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Bilinear.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.Bilinear(2, 3, 4)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((5, 2)), jnp.ones((5, 3))).shape
    (5, 4)
    """

    def __init__(self, in1_features, in2_features, out_features, bias=True, *, dtype=None):
        if in1_features <= 0:
            raise ValueError(f"Bilinear: in1_features must be positive, got {in1_features}")
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        init = uniform(1 / math.sqrt(in1_features))
        self.weight = Parameter((out_features, in1_features, in2_features), init, dtype)
        self.bias = Parameter((out_features,), init, dtype) if bias else None

    def forward(self, input1, input2):
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        sizes = f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


class Flatten(Module):
    """Axes start_dim to end_dim as one.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.flatten`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Flatten.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Flatten()(jnp.zeros((1, 2))).shape
    (1, 2)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input):
        return F.flatten(input, start_dim=self.start_dim, end_dim=self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Axis `dim` as several, of unflattened_size, one of which may be -1.

    Shapes: any -> axis `dim` replaced by the sizes.
    Formula and backward: see `bpjax.functional.unflatten`.
    Errors: TypeError for sizes that are not whole numbers; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Unflatten.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Unflatten(1, (3, 4))(jnp.zeros((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, dim, unflattened_size):
        if not isinstance(unflattened_size, tuple | list) or not all(isinstance(n, int) for n in unflattened_size):
            raise TypeError(f"Unflatten: unflattened_size must be a tuple of whole numbers, got {unflattened_size!r}")
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input):
        return F.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Identity(Module):
    """y = x; takes any arguments and ignores them.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.identity`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Identity.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Identity()(jnp.zeros(2)).shape
    (2,)
    """

    def __init__(self, *args, **kwargs):
        pass

    def forward(self, input):
        return F.identity(input)
