"""The cases of every module, family by family."""

from . import (  # noqa: F401
    activation,
    adaptive_pooling,
    adaptive_softmax,
    batch_norm,
    containers,
    cross_entropy,
    ctc,
    distance,
    dropout,
    feedforward,
    linear,
    linear_cross_entropy,
    loss,
    margin,
    normalization,
    pooling,
    recurrent,
    rotary,
    softmax,
    sparse,
    utils,
    vision,
)
from .table import CASES

__all__ = ["CASES"]
