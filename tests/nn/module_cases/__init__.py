"""The cases of every module, family by family."""

from . import (  # noqa: F401
    activation,
    adaptive_softmax,
    cross_entropy,
    ctc,
    dropout,
    feedforward,
    linear,
    linear_cross_entropy,
    loss,
    margin,
    recurrent,
    rotary,
    softmax,
    sparse,
    vision,
)
from .table import CASES

__all__ = ["CASES"]
