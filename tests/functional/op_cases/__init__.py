"""The cases of every function, family by family."""

from . import (  # noqa: F401
    activation,
    convolution,
    cross_entropy,
    ctc,
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
    vision,
)
from .table import CASES

__all__ = ["CASES"]
