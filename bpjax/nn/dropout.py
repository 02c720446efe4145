"""Modules of dropout."""

from .. import functional as F
from .module import Module


class Dropout(Module):
    """In training zeros each value with probability p and scales the others by 1 / (1 - p).

    Shapes: any, kept.
    Formula and backward: see `bpjax.functional.dropout`.
    Errors: ValueError where apply(..., train=True) has no rng.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Dropout.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Dropout(0.2)(jnp.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(self, p=0.5, inplace=False):
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"Dropout: p must lie in [0, 1], got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input):
        if not self.training or self.p == 0:
            return F.dropout(input, self.p, False)
        return F.dropout(input, self.p, True, rng=self.next_key())

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"
