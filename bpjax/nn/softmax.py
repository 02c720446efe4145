"""Modules of the softmax family."""

from .. import functional as F
from .module import Module


class _AlongAnAxis(Module):
    """One of the family, along `dim`."""

    def __init__(self, dim=None):
        self.dim = dim

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(_AlongAnAxis):
    """y = exp(x) / Σ exp(x) along `dim`.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.softmax`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Softmax.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Softmax(-1)(jnp.array([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """

    def forward(self, input):
        return F.softmax(input, self.dim)


class Softmin(_AlongAnAxis):
    """y = exp(-x) / Σ exp(-x) along `dim`.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.softmin`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Softmin.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Softmin(-1)(jnp.array([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """

    def forward(self, input):
        return F.softmin(input, self.dim)


class LogSoftmax(_AlongAnAxis):
    """y = x - log Σ exp(x) along `dim`.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.log_softmax`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.LogSoftmax(-1)(jnp.array([7.0])).tolist()
    [0.0]
    """

    def forward(self, input):
        return F.log_softmax(input, self.dim)


class Softmax2d(Module):
    """y = exp(x) / Σ exp(x) over the channels of images.

    Shapes: (N, C, H, W) or (C, H, W), kept.
    Formula and backward: see `bpjax.functional.softmax`.
    Errors: ValueError for another rank; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Softmax2d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Softmax2d()(jnp.zeros((2, 1, 1))).flatten().tolist()
    [0.5, 0.5]
    """

    def forward(self, input):
        if len(self._shape(input)) not in (3, 4):
            raise ValueError(f"expected input (N, C, H, W) or (C, H, W), got shape {input.shape}")
        return F.softmax(input, -3)
