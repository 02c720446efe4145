"""The cases of every function, family by family."""

from . import (  # noqa: F401
    activation,
    batch_norm,
    convolution,
    distance,
    dropout,
    linear,
    loss,
    normalization,
    pooling,
    recurrent,
    reparametrization,
    sparse,
)
from .table import CASES

__all__ = ["CASES"]
