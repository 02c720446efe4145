"""The cases of every module, family by family."""

from . import (  # noqa: F401
    activation,
    adaptive_pooling,
    adaptive_softmax,
    attention,
    batch_norm,
    containers,
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
    reversible,
    rotary,
    softmax,
    sparse,
    transformer,
    utils,
    vision,
)
from .table import CASES

__all__ = ["CASES"]
