"""Modules of losses of classes."""

from .. import functional as F
from .module import Module


class CrossEntropyLoss(Module):
    """Cross-entropy of softmax(input) with class indices or probabilities.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.cross_entropy`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> round(float(nn.CrossEntropyLoss()(jnp.zeros((1, 2)), jnp.array([0]))), 4)
    0.6931
    """

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0):
        self.weight = weight
        self.size_average = size_average
        self.ignore_index = ignore_index
        self.reduce = reduce
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        return F.cross_entropy(
            input, target, self.weight, self.size_average, self.ignore_index, self.reduce, self.reduction, self.label_smoothing
        )


class NLLLoss(Module):
    """Negative log-likelihood of log-probabilities.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.nll_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.NLLLoss()(jnp.array([[-1.0, -2.0]]), jnp.array([0])))
    1.0
    """

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        self.weight = weight
        self.size_average = size_average
        self.ignore_index = ignore_index
        self.reduce = reduce
        self.reduction = reduction

    def forward(self, input, target):
        return F.nll_loss(input, target, self.weight, self.size_average, self.ignore_index, self.reduce, self.reduction)
