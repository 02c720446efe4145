"""Modules of distances."""

from .. import functional as F
from .module import Module


class PairwiseDistance(Module):
    """The p-norm of the difference of vectors.

    Shapes: two of (N, D) or (D,) -> (N,) or (), with keepdim (N, 1) or (1,).
    Formula and backward: see `bpjax.functional.pairwise_distance`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.PairwiseDistance.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.PairwiseDistance(keepdim=True)(jnp.ones((2, 3)), jnp.zeros((2, 3))).shape
    (2, 1)
    """

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2):
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along an axis.

    Shapes: two that broadcast to each other -> without the axis dim.
    Formula and backward: see `bpjax.functional.cosine_similarity`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.CosineSimilarity.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.CosineSimilarity()(jnp.ones((2, 3)), jnp.ones((2, 3))).shape
    (2,)
    """

    def __init__(self, dim=1, eps=1e-8):
        self.dim, self.eps = dim, eps

    def forward(self, x1, x2):
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
