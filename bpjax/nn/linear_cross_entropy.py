"""Module of the cross-entropy of a linear map."""

import math

import jax.numpy as jnp

from .. import functional as F
from ..functional.linear_cross_entropy import LinearCrossEntropyOptions
from .linear import Linear
from .module import Buffer, Module

__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions"]


class LinearCrossEntropyLoss(Module):
    """Cross-entropy of the logits of a linear map, which the backward recomputes block by block.

    Shapes: input (in_features,) or (N, in_features), target as for logits (N, num_classes, *out_features); `linear` holds the weight
    (num_classes · Π out_features, in_features). The weights of the classes are a constant buffer.
    Formula and backward: see `bpjax.functional.linear_cross_entropy`.
    Errors: those of the function; ValueError for a weight not of shape (num_classes,) and a label_smoothing outside [0, 1].
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LinearCrossEntropyLoss.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LinearCrossEntropyLoss(3, 10)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((4, 3)), jnp.array([1, 2, 3, 4])).shape
    ()
    """

    def __init__(
        self,
        in_features,
        num_classes,
        *,
        out_features=(),
        bias=False,
        reduction="mean",
        weight=None,
        ignore_index=None,
        label_smoothing=0.0,
        options=None,
        dtype=None,
    ):
        if weight is not None and jnp.shape(weight) != (num_classes,):
            raise ValueError(f"LinearCrossEntropyLoss: expected a weight of shape ({num_classes},), got {jnp.shape(weight)}")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"LinearCrossEntropyLoss: label_smoothing must lie in [0, 1], got {label_smoothing}")
        self.weight = None if weight is None else Buffer(jnp.asarray(weight), constant=True)
        self.num_classes, self.out_features = num_classes, tuple(out_features)
        self.reduction, self.ignore_index, self.label_smoothing = reduction, ignore_index, label_smoothing
        self.linear = Linear(in_features, math.prod(self.out_features, start=num_classes), bias=bias, dtype=dtype)
        self.options = options

    def forward(self, input, target):
        outputs, bias = (self.num_classes, *self.out_features), self.linear.bias
        return F.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*outputs, self.linear.in_features),
            target,
            linear_bias=None if bias is None else bias.reshape(outputs),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self):
        linear = self.linear
        sizes = f"in_features={linear.in_features}, num_classes={self.num_classes}, out_features={self.out_features}"
        how = f"reduction={self.reduction}, ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}"
        return f"{sizes}, bias={linear.bias is not None}, {how}, options={self.options}"
