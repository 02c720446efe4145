"""What is judged: a function traced once, in its user's own types; in float64, that trace widened."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..engine import RULES
from ..program import jaxprs, tracing
from ..program.jaxprs import Literal, Program
from ..program.straight import inlined
from .exposed import exposed
from .widened import Widening, is_op, widened, widest


class Traced:
    """A function of flat arrays, traced. `program` is what depends on them; its other inputs, `given`, have been computed once."""

    def __init__(self, f: Callable, leaves: Sequence[Any]):
        self.leaves, self.settings = list(leaves), jaxprs.Settings.now()
        prog, consts = tracing.traced(f, *leaves)
        prog = jaxprs.dce(inlined(prog, is_op))
        n = len(consts)
        on = {v for v in prog.invars[n:]}
        moving, fixed = [], []
        for eqn in prog.eqns:
            is_moving = jaxprs.is_elsewhere(eqn) or any(v in on for v in eqn.invars if not isinstance(v, Literal))
            (moving if is_moving else fixed).append(eqn)
            if is_moving:
                on.update(eqn.outvars)
        wanted = dict.fromkeys(
            v for v in [*(v for e in moving for v in e.invars), *prog.outvars] if not isinstance(v, Literal) and v not in on
        )
        before = Program(prog.invars[:n], fixed, list(wanted))
        self.given = jax.jit(lambda consts: evaluate(before, consts))(consts) if fixed or wanted else []
        self.program = Program([*prog.invars[n:], *wanted], moving, prog.outvars)
        self.outputs = [v.aval for v in prog.outvars]
        types = [v.aval.dtype for e in moving for v in (*e.invars, *e.outvars) if jaxprs.is_differentiable(v.aval)]
        self.eps = max(float(jnp.finfo(t).eps) for t in [*types, *(x.dtype for x in self.leaves)])

    @property
    def inputs(self) -> list:
        """The values of the program's inputs."""
        return [*self.leaves, *self.given]

    def widened(self, **how) -> "Wide":
        """The same in float64; `how`: see `Widening`."""
        return Wide(self, Widening(self.settings, RULES, **how))


class Wide:
    """A traced function in float64: `program` of `leaves` and `given`, all wide."""

    def __init__(self, traced: Traced, widening: Widening):
        self.widening = widening
        active = [True] * len(traced.leaves) + [False] * len(traced.given)
        program, consts = widened(traced.program, widening, [v.aval for v in traced.program.invars], active)
        self.program = inlined(consts_last(program, len(consts)), is_op)
        with jax.enable_x64(True):
            self.leaves = list(map(wide_array, traced.leaves))
            self.given = [*map(wide_array, traced.given), *map(wide_array, consts)]
        self.outputs = [v.aval for v in self.program.outvars]

    @property
    def inputs(self) -> list:
        """The values of the program's inputs."""
        return [*self.leaves, *self.given]


def consts_last(prog: Program, consts: int) -> Program:
    """The program with its constants, which come first, behind its other inputs."""
    return prog._replace(invars=[*prog.invars[consts:], *prog.invars[:consts]])


def opened(prog: Program, inputs: Sequence[Any], n: int) -> tuple[Program, list]:
    """The program that also returns what flows in it from its first `n` inputs, and its inputs."""
    program, consts = exposed(prog, [True] * n + [False] * (len(inputs) - n), [v.aval for v in prog.invars])
    return consts_last(program, len(consts)), [*inputs, *consts]


def evaluate(prog: Program, values: Sequence[Any]) -> list:
    """The program's outputs, by its equations as they stand: what JAX differentiates."""
    env = dict(zip(prog.invars, values))
    read = lambda v: jaxprs.literal(v) if isinstance(v, Literal) else env[v]
    for eqn in prog.eqns:
        env.update(zip(eqn.outvars, jaxprs.bind(eqn, [read(v) for v in eqn.invars])))
    return [read(v) for v in prog.outvars]


def wide_array(x) -> Any:
    """A value as a wide array (by NumPy: exact, and without a program for each shape)."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    layout = x.sharding if jaxprs.is_laid_out(jax.typeof(x)) else None
    return jax.device_put(np.asarray(widest(np.asarray(x))), layout)
