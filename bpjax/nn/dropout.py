"""Modules of dropout."""

from .. import functional as F
from .module import Module


class _Dropout(Module):
    """In training draws with a key of its own; otherwise the identity."""

    def __init__(self, p=0.5, inplace=False):
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"{type(self).__name__}: p must lie in [0, 1], got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input):
        rng = self.next_key() if self.training and self.p > 0 else None
        return self._drop(input, self.p, self.training, rng=rng)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training zeros each value with probability p and scales the others by 1 / (1 - p).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.dropout`.
    Errors: ValueError where apply(..., train=True) has no rng; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Dropout.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Dropout(0.2)(jnp.ones((3,))).sum().item()
    3.0
    """

    _drop = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """In training zeros each channel of sequences with probability p and scales the others by 1 / (1 - p).

    Shapes: (N, C, L) or (C, L), kept.
    Formula and backward: see `bpjax.functional.dropout1d`.
    Errors: ValueError where apply(..., train=True) has no rng; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Dropout1d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Dropout1d(0.2)(jnp.ones((2, 3))).sum().item()
    6.0
    """

    _drop = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """In training zeros each channel of images with probability p and scales the others by 1 / (1 - p).

    Shapes: (N, C, H, W) or (N, C, L), kept.
    Formula and backward: see `bpjax.functional.dropout2d`.
    Errors: ValueError where apply(..., train=True) has no rng; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Dropout2d(0.2)(jnp.ones((1, 2, 3, 3))).sum().item()
    18.0
    """

    _drop = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """In training zeros each channel of volumes with probability p and scales the others by 1 / (1 - p).

    Shapes: (N, C, D, H, W) or (C, D, H, W), kept.
    Formula and backward: see `bpjax.functional.dropout3d`.
    Errors: ValueError where apply(..., train=True) has no rng; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Dropout3d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Dropout3d(0.2)(jnp.ones((2, 3, 3, 3))).sum().item()
    54.0
    """

    _drop = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """In training sets each value to SELU(-∞) with probability p, and keeps mean 0 and variance 1.

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.alpha_dropout`.
    Errors: ValueError where apply(..., train=True) has no rng; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AlphaDropout.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.AlphaDropout(0.2)(jnp.ones((3,))).sum().item()
    3.0
    """

    _drop = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """In training sets each channel to SELU(-∞) with probability p, and keeps mean 0 and variance 1.

    Shapes: (N, C, *), kept.
    Formula and backward: see `bpjax.functional.feature_alpha_dropout`.
    Errors: ValueError where apply(..., train=True) has no rng; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.FeatureAlphaDropout.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.FeatureAlphaDropout(0.2)(jnp.ones((2, 3, 1))).sum().item()
    6.0
    """

    _drop = staticmethod(F.feature_alpha_dropout)
