"""The module of rotary position embedding."""

from .. import functional as F
from .module import Module


class RotaryEmbedding(Module):
    """Pairs of the dim features turned by angles that grow with the position; nothing to train, nothing to store.

    Shapes: (*, T, dim), kept; positions (T,), or what broadcasts to (*, T); 0, ..., T - 1 where None.
    Formula and backward: see `bpjax.functional.rotary_embedding`.
    Errors: ValueError for an odd dim, or where the last dimension is not dim; those of the function.
    Source: https://arxiv.org/abs/2104.09864

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.RotaryEmbedding(4)(jnp.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, dim, base=10000.0, interleaved=False):
        if dim < 1 or dim % 2:
            raise ValueError(f"RotaryEmbedding: dim must be even and positive, got {dim}")
        if base <= 0:
            raise ValueError(f"RotaryEmbedding: base must be positive, got {base}")
        self.dim = dim
        self.base = base
        self.interleaved = interleaved

    def forward(self, input, positions=None):
        shape = self._shape(input)
        if not shape or shape[-1] != self.dim:
            raise ValueError(f"expected input with last dimension {self.dim}, got shape {shape}")
        return F.rotary_embedding(input, positions, self.base, self.interleaved)

    def extra_repr(self):
        return f"{self.dim}, base={self.base}, interleaved={self.interleaved}"
