"""The cases of every function, family by family."""

from . import activation, adaptive_pooling, convolution, dropout, linear, loss, normalization, pooling, recurrent, sparse  # noqa: F401
from .table import CASES

__all__ = ["CASES"]
