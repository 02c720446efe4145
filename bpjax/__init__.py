"""bpjax: PyTorch-style modules on JAX whose every layer has a backward pass that someone wrote, and proved.

`bpjax.grad` runs the hand-written rules, `jax.grad` differentiates the plain formulas, and each checks the other.
"""

from . import functional, inspect, interop, nn
from . import rules as _rules  # noqa: F401  the primitives' rules
from .check import check_custom_vjp, check_gradients
from .engine import (
    BorrowedRuleWarning,
    GradientError,
    NoRuleError,
    RuleError,
    as_custom_vjp,
    backprop,
    bounded_while,
    grad,
    op,
    rule,
    tag,
    value_and_grad,
    vjp,
)
from .inspect import cost, explain, find_nan

setattr(nn, "summary", inspect.summary)  # it reads costs, which stand above the modules

__version__ = "0.1.0"

__all__ = [
    "BorrowedRuleWarning",
    "GradientError",
    "NoRuleError",
    "RuleError",
    "as_custom_vjp",
    "backprop",
    "bounded_while",
    "check_custom_vjp",
    "check_gradients",
    "cost",
    "explain",
    "find_nan",
    "functional",
    "grad",
    "inspect",
    "interop",
    "nn",
    "op",
    "rule",
    "tag",
    "value_and_grad",
    "vjp",
]
