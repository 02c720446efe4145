"""Modules of embeddings."""

import jax
import jax.numpy as jnp

from .. import functional as F
from .module import Module, Parameter


class Embedding(Module):
    """Rows of a table by index; the row padding_idx starts at 0 and gets no gradient.

    Shapes: integers (*) -> (*, embedding_dim); weight (num_embeddings, embedding_dim), N(0, 1) at first.
    Formula and backward: see `bpjax.functional.embedding`.
    Errors: TypeError for indices that are not integers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Embedding.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.Embedding(10, 3)
    >>> model.apply(model.init(jax.random.key(0)), jnp.array([1, 2])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings,
        embedding_dim,
        padding_idx=None,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        sparse=False,
        *,
        dtype=None,
    ):
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx {padding_idx} must lie within the {num_embeddings} embeddings")
        if max_norm is not None or scale_grad_by_freq or sparse:
            raise NotImplementedError("Embedding: max_norm, scale_grad_by_freq and sparse are not supported: leave them at their defaults")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter((num_embeddings, embedding_dim), self._start, dtype)

    def _start(self, key, shape, dtype):
        weight = jax.random.normal(key, shape, dtype)
        return weight if self.padding_idx is None else weight.at[self.padding_idx].set(0)

    def forward(self, input):
        shape = self._shape(input)
        if not jnp.issubdtype(input.dtype, jnp.integer):
            raise TypeError(f"expected integer indices, got {input.dtype} of shape {shape}")
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
