"""Modules of losses of margins and of embeddings."""

from .. import functional as F
from .distance import PairwiseDistance
from .loss import _Loss, _WeightedLoss


class SoftMarginLoss(_Loss):
    """Logistic loss of two classes, 1 and -1.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.soft_margin_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.SoftMarginLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> round(float(nn.SoftMarginLoss()(jnp.zeros(2), jnp.ones(2))), 4)
    0.6931
    """

    def forward(self, input, target):
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """Which of two inputs ranks above the other, by a margin.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.margin_ranking_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.MarginRankingLoss()(jnp.zeros(2), jnp.ones(2), jnp.ones(2)))
    1.0
    """

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    """Of distances: small where the target is 1, above the margin where it is -1.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.hinge_embedding_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.HingeEmbeddingLoss()(jnp.array([2.0, 0.5]), jnp.array([1, -1])))
    1.25
    """

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input, target):
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """Hinge loss of one class among several.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.multi_margin_loss`.
    Errors: those of the function, and a p or a weight that fits no input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.MultiMarginLoss()(jnp.zeros((1, 2)), jnp.array([0])))
    0.5
    """

    def __init__(self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p must be 1 or 2, got {p}")
        super().__init__(weight, size_average, reduce, reduction)
        if weight is not None and self.weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: expected a weight of shape (C,), got {self.weight.shape}")
        self.p = p
        self.margin = margin

    def forward(self, input, target):
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """Hinge loss of several classes among others.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.multilabel_margin_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.MultiLabelMarginLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.MultiLabelMarginLoss()(jnp.zeros((1, 2)), jnp.array([[0, -1]])))
    0.5
    """

    def forward(self, input, target):
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    """Of pairs of vectors: along one another where the target is 1, apart by their cosine where it is -1.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.cosine_embedding_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> float(nn.CosineEmbeddingLoss()(jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 2.0]]), jnp.array([1])))
    1.0
    """

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """An anchor nearer to a positive than to a negative, by a margin.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.triplet_margin_loss`.
    Errors: those of the function, and a margin that is not positive.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> a, p, n = jnp.zeros((1, 2)), jnp.array([[0.0, 3.0]]), jnp.array([[2.0, 0.0]])
    >>> round(float(nn.TripletMarginLoss()(a, p, n)), 4)
    2.0
    """

    def __init__(self, margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        if not margin > 0:
            raise ValueError(f"TripletMarginLoss: margin must be positive, got {margin}")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_loss(anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction)


class TripletMarginWithDistanceLoss(_Loss):
    """An anchor nearer to a positive than to a negative, by a margin and a distance of one's own.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.triplet_margin_with_distance_loss`.
    Errors: those of the function, and a margin that is not positive.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.TripletMarginWithDistanceLoss.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> a, p, n = jnp.zeros((1, 2)), jnp.array([[0.0, 3.0]]), jnp.array([[2.0, 0.0]])
    >>> float(nn.TripletMarginWithDistanceLoss(distance_function=lambda x, y: jnp.abs(x - y).max(-1))(a, p, n))
    2.0
    """

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        if not margin > 0:
            raise ValueError(f"TripletMarginWithDistanceLoss: margin must be positive, got {margin}")
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
