"""Modules of embeddings."""

import jax

from .. import functional as F
from .module import Buffer, Module, Parameter


class _Table(Module):
    """A table of rows: what an embedding and a bag of them declare and print alike."""

    def _declare(self, num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, weight, dtype):
        name = type(self).__name__
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"{name}: padding_idx {padding_idx} must lie within the {num_embeddings} embeddings")
        if weight is not None and weight.shape != (num_embeddings, embedding_dim):
            raise ValueError(f"{name}: expected a weight of shape {(num_embeddings, embedding_dim)}, got {weight.shape}")
        if max_norm is not None or sparse:
            raise NotImplementedError(f"{name}: max_norm (which changes the weight) and sparse gradients are not supported: leave them out")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = max_norm, norm_type, scale_grad_by_freq, sparse
        self.weight = Parameter((num_embeddings, embedding_dim), self._start, dtype) if weight is None else Parameter(weight)

    def _start(self, key, shape, dtype):
        weight = jax.random.normal(key, shape, dtype)
        return weight if self.padding_idx is None else weight.at[self.padding_idx].set(0)

    @classmethod
    def _pretrained(cls, embeddings, freeze, **options):
        if embeddings.ndim != 2:
            raise ValueError(f"{cls.__name__}.from_pretrained: expected embeddings of two axes, got shape {embeddings.shape}")
        table = cls(*embeddings.shape, _weight=embeddings, **options)
        if freeze:
            table.weight = Buffer(embeddings, constant=True)
        return table

    def _printed(self, *options):
        """The sizes, and of the options (name, default) those that differ."""
        given = [(name, getattr(self, name)) for name, default in options if getattr(self, name) != default]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *(f"{name}={value!r}" for name, value in given)])


class Embedding(_Table):
    """Rows of a table by index; the row padding_idx starts at 0 and gets no gradient.

    Shapes: integers (*) -> (*, embedding_dim); weight (num_embeddings, embedding_dim), N(0, 1) at first.
    Formula and backward: see `bpjax.functional.embedding`.
    Errors: NotImplementedError for max_norm and sparse; those of the function.
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
        _weight=None,
        *,
        dtype=None,
    ):
        self._declare(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, dtype)

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
    ):
        """An embedding that starts at this table; `freeze` makes it a constant buffer, which is not trained.

        >>> import jax.numpy as jnp
        >>> from bpjax import nn
        >>> nn.Embedding.from_pretrained(jnp.array([[1.0], [2.0]]))(jnp.array([1])).tolist()
        [[2.0]]
        """
        options = {"padding_idx": padding_idx, "max_norm": max_norm, "norm_type": norm_type}
        return cls._pretrained(embeddings, freeze, **options, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)

    def forward(self, input):
        return F.embedding(input, self.weight, self.padding_idx, scale_grad_by_freq=self.scale_grad_by_freq)

    def extra_repr(self):
        return self._printed(("padding_idx", None), ("norm_type", 2), ("scale_grad_by_freq", False))


class EmbeddingBag(_Table):
    """The sum, mean or maximum of rows of a table, over bags of indices; padding_idx counts in none.

    Shapes: integers (B, N), or (n,) with offsets (B,), and per_sample_weights as the integers -> (B, embedding_dim); weight
    (num_embeddings, embedding_dim), N(0, 1) at first, with the row padding_idx 0.
    Formula and backward: see `bpjax.functional.embedding_bag`.
    Errors: NotImplementedError for max_norm and sparse; those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.EmbeddingBag.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.EmbeddingBag(10, 3, mode="sum")
    >>> model.apply(model.init(jax.random.key(0)), jnp.array([1, 2, 4]), jnp.array([0, 2])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings,
        embedding_dim,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        mode="mean",
        sparse=False,
        _weight=None,
        include_last_offset=False,
        padding_idx=None,
        *,
        dtype=None,
    ):
        self._declare(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, dtype)
        self.mode, self.include_last_offset = mode, include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings,
        freeze=True,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        mode="mean",
        sparse=False,
        include_last_offset=False,
        padding_idx=None,
    ):
        """As `Embedding.from_pretrained`.

        >>> import jax.numpy as jnp
        >>> from bpjax import nn
        >>> nn.EmbeddingBag.from_pretrained(jnp.array([[1.0], [2.0]]))(jnp.array([[0, 1]])).tolist()
        [[1.5]]
        """
        options = {"max_norm": max_norm, "norm_type": norm_type, "scale_grad_by_freq": scale_grad_by_freq, "mode": mode, "sparse": sparse}
        return cls._pretrained(embeddings, freeze, **options, include_last_offset=include_last_offset, padding_idx=padding_idx)

    def forward(self, input, offsets=None, per_sample_weights=None):
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            scale_grad_by_freq=self.scale_grad_by_freq,
            mode=self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self):
        return self._printed(("norm_type", 2), ("scale_grad_by_freq", False), ("mode", None), ("padding_idx", None))
