"""Modules of losses of regression and of likelihoods."""

import jax.numpy as jnp

from .. import functional as F
from ..functional._shared.reduction import reduction_of
from .module import Buffer, Module


class _Loss(Module):
    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        self.reduction = reduction_of(type(self).__name__, size_average, reduce, reduction)


class _WeightedLoss(_Loss):
    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.weight = _constant(weight)


def _constant(weight):
    return None if weight is None else Buffer(jnp.asarray(weight), constant=True)


class MSELoss(_Loss):
    """Mean squared error.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.mse_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MSELoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.MSELoss()(jnp.ones(2), jnp.zeros(2)))
    1.0
    """

    def forward(self, input, target):
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """Mean absolute error.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.l1_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.L1Loss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.L1Loss()(jnp.ones(2), jnp.zeros(2)))
    1.0
    """

    def forward(self, input, target):
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Squared within `beta`, absolute beyond; slope 1 there.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.smooth_l1_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.SmoothL1Loss()(jnp.ones(2), jnp.zeros(2)))
    0.5
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input, target):
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Squared within `delta`, absolute beyond; slope `delta` there.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.huber_loss`.
    Errors: those of the function, and a delta that is no number.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.HuberLoss()(jnp.ones(2), jnp.zeros(2)))
    0.5
    """

    def __init__(self, reduction="mean", delta=1.0):
        if not isinstance(delta, int | float):
            raise TypeError(f"HuberLoss: delta must be a number, got a {type(delta).__name__}")
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input, target):
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class PoissonNLLLoss(_Loss):
    """Negative log-likelihood of counts with a Poisson distribution.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.poisson_nll_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.PoissonNLLLoss()(jnp.zeros(2), jnp.ones(2)))
    1.0
    """

    def __init__(self, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input, target):
        return F.poisson_nll_loss(log_input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction)


class GaussianNLLLoss(_Loss):
    """Negative log-likelihood of values with a normal distribution of given mean and variance.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.gaussian_nll_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.GaussianNLLLoss()(jnp.ones(2), jnp.zeros(2), jnp.ones(2)))
    0.5
    """

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input, target, var):
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class KLDivLoss(_Loss):
    """Kullback-Leibler divergence of log-probabilities from the target's distribution.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.kl_div`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.KLDivLoss(reduction="batchmean")(jnp.zeros((1, 2)), jnp.array([[0.0, 1.0]])))
    0.0
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        self.reduction = reduction_of("KLDivLoss", size_average, reduce, reduction, "batchmean")
        self.log_target = log_target

    def forward(self, input, target):
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class BCELoss(_WeightedLoss):
    """Cross-entropy of probabilities of two classes.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.binary_cross_entropy`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.BCELoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> round(float(nn.BCELoss()(jnp.array([0.5]), jnp.ones(1))), 4)
    0.6931
    """

    def forward(self, input, target):
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """Cross-entropy of logits of two classes.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.binary_cross_entropy_with_logits`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> round(float(nn.BCEWithLogitsLoss()(jnp.zeros(1), jnp.ones(1))), 4)
    0.6931
    """

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
        super().__init__(weight, size_average, reduce, reduction)
        self.pos_weight = _constant(pos_weight)

    def forward(self, input, target):
        return F.binary_cross_entropy_with_logits(input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """Cross-entropy of logits of two classes, averaged over several of them.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.multilabel_soft_margin_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MultiLabelSoftMarginLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> round(float(nn.MultiLabelSoftMarginLoss()(jnp.zeros((1, 3)), jnp.ones((1, 3)))), 4)
    0.6931
    """

    def forward(self, input, target):
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)
