"""The cases of every module, family by family."""

from . import adaptive_softmax, cross_entropy, ctc, linear, linear_cross_entropy, loss, margin, recurrent, vision  # noqa: F401
from .table import CASES

__all__ = ["CASES"]
