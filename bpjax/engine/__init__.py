"""The algorithm: run and sweep, ops, rules, and the derivatives that stand on them. Knows no layer."""

from . import control as _control  # noqa: F401  the rules of jit, scan, cond, checkpoint and custom rules
from .again import IfMadeAgain, not_before
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
from .errors import GradientError, NoRuleError, RuleError
from .modules import Modules, Place, inlined, key_name, leaf_name, owner_of, owners
from .op import Op, op, op_of, unrecognised
from .replaced import Replacements
from .rule import no_gradient, rule
from .sweep import RULES, Record, Rule, Tape, Watch, Wrapped, checked, live, rule_of, run, substituted_rules, sweep
from .unrolled import unrolled

__all__ = [
    "RULES",
    "Backprop",
    "GradientError",
    "IfMadeAgain",
    "NoRuleError",
    "Modules",
    "Op",
    "Place",
    "Record",
    "Replacements",
    "Rule",
    "RuleError",
    "Tape",
    "Watch",
    "Wrapped",
    "argument_numbers",
    "as_custom_vjp",
    "backprop",
    "checked",
    "chosen_arguments",
    "grad",
    "gradient",
    "inlined",
    "is_naming",
    "key_name",
    "leaf_name",
    "live",
    "no_gradient",
    "not_before",
    "op",
    "op_of",
    "owner_of",
    "owners",
    "rule",
    "rule_of",
    "run",
    "substituted_rules",
    "sweep",
    "tag",
    "unrecognised",
    "unrolled",
    "value_and_aux_of",
    "value_and_grad",
    "vjp",
]
