"""The algorithm: run and sweep, ops, rules, and the derivatives that stand on them. Knows no layer."""

import warnings

from ..program.jaxprs import is_deleted
from . import control as _control  # noqa: F401  the rules of jit, scan, cond, checkpoint and custom rules
from . import implicit as _implicit  # noqa: F401  those of linear maps and systems, and of while
from . import sharded as _sharded  # noqa: F401  that of shard_map
from .derivatives import (
    Backprop,
    argument_numbers,
    as_custom_vjp,
    backprop,
    chosen_arguments,
    grad,
    gradient,
    is_naming,
    tag,
    value_and_aux_of,
    value_and_grad,
    vjp,
)
from .errors import BorrowedRuleWarning, GradientError, HalfAnOpError, NoRuleError, RuleError
from .hooks import Finding, Hook, hooked, hooks, lent, report, unhooked
from .loops import bounded_while, scan
from .op import Op, op
from .platforms import by_platform, in_memory
from .recompute import after
from .replaced import Replacements, replacements
from .rule import no_gradient, rule
from .saved import RecomputeOnly
from .shared import added_up, along, shared
from .sweep import RULES, Missing, Record, Rule, Tape, Wrapped, checked, rule_of, run, sweep
from .written import op_of


def __getattr__(name: str):
    if name == "IfMadeAgain":
        warnings.warn("IfMadeAgain is now called RecomputeOnly, and goes away in the next version", DeprecationWarning, stacklevel=2)
        return RecomputeOnly
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "RULES",
    "Backprop",
    "BorrowedRuleWarning",
    "Finding",
    "GradientError",
    "HalfAnOpError",
    "Hook",
    "Missing",
    "NoRuleError",
    "Missing",
    "Op",
    "Record",
    "RecomputeOnly",
    "Replacements",
    "Rule",
    "RuleError",
    "Tape",
    "Wrapped",
    "after",
    "added_up",
    "along",
    "argument_numbers",
    "as_custom_vjp",
    "backprop",
    "bounded_while",
    "by_platform",
    "checked",
    "chosen_arguments",
    "grad",
    "gradient",
    "hooked",
    "hooks",
    "in_memory",
    "is_deleted",
    "is_naming",
    "lent",
    "no_gradient",
    "op",
    "op_of",
    "replacements",
    "report",
    "rule",
    "rule_of",
    "run",
    "scan",
    "shared",
    "sweep",
    "tag",
    "unhooked",
    "value_and_aux_of",
    "value_and_grad",
    "vjp",
]
