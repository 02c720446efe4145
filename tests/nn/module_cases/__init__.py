"""The cases of every module, family by family."""

from . import (  # noqa: F401
    activation,
    adaptive_pooling,
    adaptive_softmax,
    containers,
    cross_entropy,
    ctc,
    dropout,
    linear,
    linear_cross_entropy,
    loss,
    margin,
    pooling,
    recurrent,
    softmax,
    sparse,
    utils,
    vision,
)
from .table import CASES

__all__ = ["CASES"]
