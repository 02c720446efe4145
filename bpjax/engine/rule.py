"""`bpjax.rule`: the backward of one of JAX's primitives, in a few lines, as its docstring shows."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from . import jaxprs
from .again import IfMadeAgain
from .errors import RuleError
from .sweep import RULES, Rule, source_of


class Equation:
    """What a rule may look at: the kept inputs `x` and outputs `y`, parameters, types, activity, and where it stands."""

    __slots__ = ("x", "y", "params", "in_avals", "out_avals", "active", "where")

    def __init__(self, record, x, y):
        eqn = record.eqn
        self.x, self.y = _Kept("x", x, record), _Kept("y", y, record)
        self.params, self.active, self.where = eqn.params, record.active, record.where
        self.in_avals, self.out_avals = [v.aval for v in eqn.invars], [v.aval for v in eqn.outvars]

    def __getitem__(self, name: str) -> Any:
        return self.params[name]


class _Kept(tuple):
    """Arrays that were kept, None for those that were not; reading one that was not is an error."""

    def __new__(cls, letter, arrays, record):
        self = super().__new__(cls, arrays)
        self.letter, self.record = letter, record
        return self

    def __getitem__(self, i):
        array = super().__getitem__(i)
        if array is None:
            rule = self.record.rule
            raise RuleError(
                f"the backward of {rule.name} reads {self.letter}{i}, which needs= does not name for it. Its rule: {rule.source}"
            )
        return array


class PrimitiveRule(Rule):
    may_return_none = False

    def __init__(self, name: str, backward: Callable, needs, again: bool = False):
        self.name, self._backward, self._needs, self.makes_again = name, backward, needs, again
        self.source = source_of(backward)

    def needs(self, active: Sequence[bool]) -> set[str]:
        """Names such as x0, y0 that the cotangents of the active inputs need; "x" and "y" stand for all."""
        needs = self._needs
        if callable(needs):
            needs = needs(active)
        elif not isinstance(needs, str):
            needs = " ".join(n for n, a in zip(needs, active) if a)
        names = set(needs.replace(",", " ").split())
        if wrong := sorted(n for n in names if not re.fullmatch(r"[xy]\d*", n)):
            raise RuleError(f"rule {self.name}: needs= names inputs x0, x1, ... and outputs y0, ...; got {wrong[0]!r}")
        return names

    def forward(self, eqn, values, active, keep=None):
        outputs = jaxprs.bind(eqn, values)
        return outputs, self.remember(eqn, values, outputs, active, None)

    def remember(self, eqn, values, outputs, active, saved):
        wanted = self.needs(active)

        def kept(letter, arrays):
            return tuple(a if letter in wanted or f"{letter}{i}" in wanted else None for i, a in enumerate(arrays))

        return kept("x", values), kept("y", outputs), [IfMadeAgain(v) for v in values if self.makes_again]

    def again(self, record):
        return jaxprs.bind(record.eqn, record.saved[2])

    def backward(self, record, dys, watch):
        x, y, _ = record.saved
        out = self._backward(Equation(record, x, y), *dys)
        return (out,) if len(record.eqn.invars) == 1 and not isinstance(out, (tuple, list)) else out


class _NoGradient(Rule):
    """Outputs that do not depend differentiably on any input: the primitive is run, and never swept."""

    def __init__(self, name: str):
        self.name = name

    def active_outputs(self, eqn, active):
        return [False] * len(eqn.outvars)


def rule(name: str, *, needs: str | Sequence[str] | Callable = "", again: bool = False) -> Callable:
    """Declare the backward of the primitive `name`, replacing what stood there before.

    Args:
        name: the primitive's name, as it stands in a jaxpr.
        needs: what to keep. A string of names, `"x0"` for the first input, `"y0"` for the first output, `"x"` or `"y"` for
            all of them; or a list with such a string for each input, used where that input is differentiated; or a
            function of the tuple that says which inputs are differentiated.
        again: whether the output costs next to nothing, so that, where its inputs are made again on the way back, it is, too,
            instead of being kept for whoever needs it.

    The decorated function takes an equation `eq` (`eq.x`, `eq.y`: what was kept; `eq["axes"]`: a parameter;
    `eq.in_avals`, `eq.out_avals`: types; `eq.active`; `eq.where()`: module and line, for errors) and the
    cotangents of the outputs. It returns a tuple with a cotangent for each input: None for an input that has none, or a function
    without arguments, called only if it is wanted. A primitive of one input may return the bare cotangent.

    >>> import jax, jax.numpy as jnp, bpjax
    >>> @bpjax.rule("tanh", needs="y")
    ... def _(eq, dy):
    ...     return dy * (1 - eq.y[0] ** 2)
    >>> float(bpjax.grad(jnp.tanh)(0.0))
    1.0
    """

    def declare(backward):
        RULES[name] = PrimitiveRule(name, backward, needs, again)
        return backward

    return declare


def no_gradient(*names: str) -> None:
    """Declare primitives whose outputs have no, or an everywhere zero, derivative."""
    for name in names:
        RULES[name] = _NoGradient(name)
