"""Equations without a backward rule: the tools name them and go on, where `bpjax.grad` raises."""

from typing import Any

import jax.numpy as jnp

from ..engine import Hook
from .names import function_of


class Unruled(Hook):
    """Lets NaN go on from an equation that has no rule, so that nobody takes what lies before it for a gradient.

    `met`: each such equation with its place, in the order of the sweep; `errors`: by equation, what `bpjax.grad` says of it.
    """

    def __init__(self):
        self.met: list[str] = []
        self.errors: dict[Any, str] = {}

    def without_rule(self, record, error):
        name = f"{function_of(record.eqn, record.rule)}{record.where()}"
        if name not in self.met:
            self.met.append(name)
        self.errors[record.eqn] = str(error)
        return [jnp.full(v.aval.shape, jnp.nan, v.aval.dtype) if on else None for v, on in zip(record.eqn.invars, record.active)]
