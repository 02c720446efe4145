"""The cases of every module, family by family."""

from . import adaptive_pooling, linear, pooling  # noqa: F401
from .table import CASES

__all__ = ["CASES"]
