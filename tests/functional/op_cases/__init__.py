"""The cases of every function, family by family."""

from . import activation, convolution, dropout, linear, loss, normalization, pooling, recurrent, sparse, vision  # noqa: F401
from .table import CASES

__all__ = ["CASES"]
