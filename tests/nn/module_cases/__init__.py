"""The cases of every module, family by family."""

from . import linear, recurrent, vision  # noqa: F401
from .table import CASES

__all__ = ["CASES"]
