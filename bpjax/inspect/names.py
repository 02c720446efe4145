"""What equations are called."""

from ..engine import op_of, rule_of
from ..program import jaxprs


def function_of(eqn, rule=None) -> str:
    """What an equation is called: the op, the function under `custom_jvp` or `jit`, or the primitive."""
    rule = rule or rule_of(eqn)
    op = op_of(rule)
    return ("F." if op and op.__module__.startswith("bpjax.") else "") + name_of(eqn, rule)


def name_of(eqn, rule) -> str:
    """The same without the `F.` of bpjax's own ops."""
    op = op_of(rule)
    return op.__name__ if op else jaxprs.function_name(eqn) or eqn.primitive.name
