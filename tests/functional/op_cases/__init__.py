"""The cases of every function, family by family."""

from . import (  # noqa: F401
    activation,
    adaptive_pooling,
    attention,
    batch_norm,
    convolution,
    cross_entropy,
    ctc,
    distance,
    dropout,
    feedforward,
    folding,
    linear,
    linear_cross_entropy,
    loss,
    margin,
    normalization,
    padding,
    pooling,
    recurrent,
    reparametrization,
    reversible,
    rotary,
    softmax,
    sparse,
    vision,
)
from .table import CASES

__all__ = ["CASES"]
