"""What is judged: a function traced once, in its user's own types; in float64, that trace widened."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..engine import RULES
from ..program import jaxprs
from ..program.jaxprs import Literal, Program
from ..program.straight import inlined
from ..program.widened import Widening, widened, widest
from .exposed import exposed


class Traced:
    """A function of flat arrays, traced. `program` is what depends on them; its other inputs, `given`, have been computed once."""

    def __init__(self, f: Callable, leaves: Sequence[Any]):
        self.leaves, self.settings = list(leaves), jaxprs.Settings.now()
        prog, consts = jaxprs.trace(f, *leaves)
        prog = jaxprs.dce(inlined(prog, is_op))
        n = len(consts)
        on = {v for v in prog.invars[n:]}
        moving, fixed = [], []
        for eqn in prog.eqns:
            is_moving = any(v in on for v in eqn.invars if not isinstance(v, Literal))
            (moving if is_moving else fixed).append(eqn)
            if is_moving:
                on.update(eqn.outvars)
        wanted = dict.fromkeys(
            v for v in [*(v for e in moving for v in e.invars), *prog.outvars] if not isinstance(v, Literal) and v not in on
        )
        before = Program(prog.invars[:n], fixed, list(wanted))
        self.given = jax.jit(functools.partial(_evaluate, before))(*consts) if wanted or fixed else []
        self.program = Program([*prog.invars[n:], *wanted], moving, prog.outvars)
        self.outputs = [v.aval for v in prog.outvars]
        types = [v.aval.dtype for e in moving for v in (*e.invars, *e.outvars) if jaxprs.is_differentiable(v.aval)]
        self.eps = max((float(jnp.finfo(t).eps) for t in [*types, *(x.dtype for x in self.leaves)]), default=0.0)

    @property
    def inputs(self) -> list:
        """The values of the program's inputs."""
        return [*self.leaves, *self.given]

    def widened(self, **how) -> "Wide":
        """The same in float64; `how`: see `Widening`."""
        return Wide(self, Widening(self.settings, RULES, **how))

    def customs(self) -> list:
        """The `custom_jvp` and `custom_vjp` equations that are not JAX's own."""
        return [
            e
            for e in jaxprs.every_equation_of(self.program)
            if e.primitive.name in ("custom_jvp_call", "custom_vjp_call") and not jaxprs.is_of_jax(e)
        ]


class Wide:
    """A traced function in float64: `program` of `leaves` and `given`, all wide."""

    def __init__(self, traced: Traced, widening: Widening):
        self.widening = widening
        program, consts = widened(traced.program, widening, [v.aval for v in traced.program.invars])
        n = len(consts)
        invars = [*program.invars[n : n + len(traced.leaves)], *program.invars[:n], *program.invars[n + len(traced.leaves) :]]
        self.program = inlined(program._replace(invars=invars), is_op)
        with jax.enable_x64(True):
            self.leaves = list(map(wide_array, traced.leaves))
            self.given = [*map(wide_array, consts), *map(wide_array, traced.given)]
        self.outputs = [v.aval for v in self.program.outvars]
        self.traced = traced

    @property
    def inputs_of_traced(self) -> list:
        """The values of the inputs of the program that was widened."""
        return [*self.leaves, *self.given[len(self.given) - len(self.traced.given) :]]

    @property
    def inputs(self) -> list:
        """The values of the program's inputs."""
        return [*self.leaves, *self.given]


def is_op(eqn) -> bool:
    """Whether this is a call of an op that has a written backward, wherever it may be used."""
    return eqn.primitive.name == "op" and eqn.params["call"].is_written([False] * len(eqn.invars))


class Open(NamedTuple):
    """A program that also returns what flows in it."""

    program: Program
    inputs: list
    outputs: list


def exposed_program(wide) -> Open:
    """Of a traced function, wide or not."""
    n = len(wide.leaves)
    on = [True] * n + [False] * len(wide.given)
    program, consts = exposed(wide.program, on, [v.aval for v in wide.program.invars])
    k = len(consts)
    program = program._replace(invars=[*program.invars[k:], *program.invars[:k]])
    return Open(program, [*wide.inputs, *consts], [v.aval for v in program.outvars])


def _evaluate(prog: Program, *values) -> list:
    env = dict(zip(prog.invars, values))
    read = lambda v: jaxprs.literal(v) if isinstance(v, Literal) else env[v]
    for eqn in prog.eqns:
        env.update(zip(eqn.outvars, jaxprs.bind(eqn, [read(v) for v in eqn.invars])))
    return [read(v) for v in prog.outvars]


def evaluate(prog: Program, values: Sequence[Any]) -> list:
    """The program's outputs, by its equations as they stand: what JAX differentiates."""
    return _evaluate(prog, *values)


def wide_array(x) -> Any:
    """A value as a wide array (by NumPy: exact, and without a program for each shape)."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    return jax.device_put(np.asarray(widest(np.asarray(x))))
