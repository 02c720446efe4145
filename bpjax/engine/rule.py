"""`bpjax.rule`: the backward of one of JAX's primitives, in a few lines, as its docstring shows."""

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..program import jaxprs
from .errors import RuleError
from .saved import RecomputeOnly
from .sweep import RULES, Rule, source_of


class Equation:
    """What a rule may look at: the kept inputs `x` and outputs `y`, parameters, types, activity, and where it stands."""

    __slots__ = ("x", "y", "params", "active", "where", "_eqn")

    def __init__(self, record, x, y):
        self._eqn = eqn = record.eqn
        self.x, self.y = _Kept("x", x, record), _Kept("y", y, record)
        self.params, self.active, self.where = eqn.params, record.active, record.where

    def __getitem__(self, name: str) -> Any:
        return self.params[name]

    @property
    def in_avals(self) -> list:
        """The types of the inputs."""
        return [v.aval for v in self._eqn.invars]

    @property
    def out_avals(self) -> list:
        """The types of the outputs."""
        return [v.aval for v in self._eqn.outvars]


class _Kept(tuple):
    """Arrays that were kept, None for those that were not; reading one that was not is an error."""

    letter: str
    record: Any

    def __new__(cls, letter, arrays, record):
        self = super().__new__(cls, arrays)
        self.letter, self.record = letter, record
        return self

    def __getitem__(self, i) -> Any:
        array = super().__getitem__(i)
        if array is None:
            rule = self.record.rule
            raise RuleError(
                f"the backward of {rule.name} reads {self.letter}{i}, which needs= does not name for it. Its rule: {rule.source}"
            )
        return jaxprs.as_array(array) if isinstance(array, np.ndarray) and array.ndim else array  # a constant of the program


class PrimitiveRule(Rule):
    may_return_none = False

    def __init__(self, name: str, backward: Callable, needs, recomputes: bool = False, symbolic_zeros: bool = False):
        self.name, self._backward, self._needs = name, backward, needs
        self.recomputes, self.symbolic_zeros = recomputes, symbolic_zeros
        self.source = source_of(backward)
        self._wanted: dict[tuple, tuple] = {}

    def needs(self, active: Sequence[bool]) -> set[str]:
        """Names such as x0, y0 that the cotangents of the active inputs need; "x" and "y" stand for all."""
        needs: Any = self._needs
        if callable(needs):
            needs = needs(active)
        elif not isinstance(needs, str):
            needs = " ".join(n for n, a in zip(needs, active) if a)
        names = set(needs.replace(",", " ").split())
        if wrong := sorted(n for n in names if not re.fullmatch(r"[xy]\d*", n)):
            raise RuleError(f"rule {self.name}: needs= names inputs x0, x1, ... and outputs y0, ...; got {wrong[0]!r}")
        return names

    def forward(self, eqn, values, active):
        outputs = jaxprs.evaluate(eqn, values)
        return outputs, self.residuals(eqn, values, outputs, active, None)

    def residuals(self, eqn, values, outputs, active, saved):
        key = tuple(active), len(values), len(outputs)
        x, y = self._wanted.get(key) or self._wanted.setdefault(key, self._places(*key))
        return _chosen(values, x), _chosen(outputs, y), [RecomputeOnly(v) for v in values] if self.recomputes else ()

    def _places(self, active, n_in, n_out) -> tuple:
        """Which inputs and which outputs are needed."""
        names = self.needs(active)
        return tuple([letter in names or f"{letter}{i}" in names for i in range(n)] for letter, n in (("x", n_in), ("y", n_out)))

    def recompute(self, record):
        return jaxprs.evaluate(record.eqn, record.saved[2])

    def backward(self, record, dys):
        x, y, _ = record.saved
        out = self._backward(Equation(record, x, y), *dys)
        return (out,) if len(record.eqn.invars) == 1 and not isinstance(out, (tuple, list)) else out


def _chosen(arrays, wanted) -> tuple:
    return tuple([a if w else None for a, w in zip(arrays, wanted)])


class _NoGradient(Rule):
    """Outputs that do not depend differentiably on any input: the primitive is run, and never swept."""

    def __init__(self, name: str):
        self.name = name

    def active_outputs(self, eqn, active):
        return [False] * len(eqn.outvars)


def rule(
    name: str,
    *,
    needs: str | Sequence[str] | Callable = "",
    recomputes: bool = False,
    symbolic_zeros: bool = False,
    again: bool | None = None,
) -> Callable:
    """Declare the backward of the primitive `name`, replacing what stood there before.

    Args:
        name: the primitive's name, as it stands in a jaxpr.
        needs: what to keep. A string of names, `"x0"` for the first input, `"y0"` for the first output, `"x"` or `"y"` for
            all of them; or a list with such a string for each input, used where that input is differentiated; or a
            function of the tuple that says which inputs are differentiated.
        recomputes: whether the output costs next to nothing, so that, where its inputs are recomputed on the way back, it is, too,
            instead of being kept for whoever needs it.
        symbolic_zeros: whether None is given for the cotangent of an output to which none came, instead of zeros.
        again: the old name of `recomputes`.

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

    if again is not None:
        warnings.warn("rule(again=) is now called recomputes=, and goes away in the next version", DeprecationWarning, stacklevel=2)
        recomputes = again

    def declare(backward):
        RULES[name] = PrimitiveRule(name, backward, needs, recomputes, symbolic_zeros)
        return backward

    return declare


def no_gradient(*names: str) -> None:
    """Declare primitives whose outputs have no, or an everywhere zero, derivative."""
    for name in names:
        RULES[name] = _NoGradient(name)
