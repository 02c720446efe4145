"""The cases of every module, family by family."""

from . import batch_norm, distance, linear, normalization  # noqa: F401
from .table import CASES

__all__ = ["CASES"]
