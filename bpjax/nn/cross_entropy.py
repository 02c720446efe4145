"""Modules of losses of classes."""

import jax.numpy as jnp

from .. import functional as F
from ..functional._shared.reduction import reduction_of
from .module import Buffer, Module


class CrossEntropyLoss(Module):
    """Cross-entropy of softmax(input) with class indices or probabilities. The weights of the classes are a constant buffer.

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
        self.weight = None if weight is None else Buffer(jnp.asarray(weight), constant=True)
        self.ignore_index = ignore_index
        self.reduction = reduction_of("CrossEntropyLoss", size_average, reduce, reduction)
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        options = {"ignore_index": self.ignore_index, "reduction": self.reduction, "label_smoothing": self.label_smoothing}
        return F.cross_entropy(input, target, self.weight, **options)


class NLLLoss(Module):
    """Negative log-likelihood of log-probabilities. The weights of the classes are a constant buffer.

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
        self.weight = None if weight is None else Buffer(jnp.asarray(weight), constant=True)
        self.ignore_index = ignore_index
        self.reduction = reduction_of("NLLLoss", size_average, reduce, reduction)

    def forward(self, input, target):
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)
