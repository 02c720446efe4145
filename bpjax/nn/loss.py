"""Modules of losses."""

from .. import functional as F
from .module import Module


class MSELoss(Module):
    """Mean squared error.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.mse_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MSELoss.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.MSELoss()(jnp.ones(2), jnp.zeros(2)))
    1.0
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        self.size_average = size_average
        self.reduce = reduce
        self.reduction = reduction

    def forward(self, input, target):
        return F.mse_loss(input, target, size_average=self.size_average, reduce=self.reduce, reduction=self.reduction)


class L1Loss(Module):
    """Mean absolute error.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.l1_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.L1Loss.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.L1Loss()(jnp.ones(2), jnp.zeros(2)))
    1.0
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        self.size_average = size_average
        self.reduce = reduce
        self.reduction = reduction

    def forward(self, input, target):
        return F.l1_loss(input, target, size_average=self.size_average, reduce=self.reduce, reduction=self.reduction)


class HuberLoss(Module):
    """Squared near zero, absolute beyond `delta`.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.huber_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.HuberLoss()(jnp.ones(2), jnp.zeros(2)))
    0.5
    """

    def __init__(self, reduction="mean", delta=1.0):
        self.reduction = reduction
        self.delta = delta

    def forward(self, input, target):
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(Module):
    """Cross-entropy of probabilities of two classes.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.binary_cross_entropy`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.BCELoss.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> round(float(nn.BCELoss()(jnp.array([0.5]), jnp.ones(1))), 4)
    0.6931
    """

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        self.weight = weight
        self.size_average = size_average
        self.reduce = reduce
        self.reduction = reduction

    def forward(self, input, target):
        return F.binary_cross_entropy(input, target, self.weight, self.size_average, self.reduce, self.reduction)


class BCEWithLogitsLoss(Module):
    """Cross-entropy of logits of two classes.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.binary_cross_entropy_with_logits`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> round(float(nn.BCEWithLogitsLoss()(jnp.zeros(1), jnp.ones(1))), 4)
    0.6931
    """

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
        self.weight = weight
        self.size_average = size_average
        self.reduce = reduce
        self.reduction = reduction
        self.pos_weight = pos_weight

    def forward(self, input, target):
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.size_average, self.reduce, self.reduction, self.pos_weight
        )
