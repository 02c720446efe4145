"""A program that also returns what flows in it, so that cotangents can be put in anywhere: also where none arrives."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..program import jaxprs
from ..program.jaxprs import Literal, Program
from ..program.places import standing_at
from ..program.straight import inside

_LARGEST = 2**21  # numbers that may be kept of one loop besides what it returns


def exposed(prog: Program, on: Sequence[bool], avals: Sequence[Any]) -> tuple[Program, list]:
    """The program whose further outputs are its floating values that depend on the inputs `on`, also those inside loops; its constants."""
    return jaxprs.trace(lambda *values: [x for part in _evaluate(prog, values, on) for x in part], *avals)


def _evaluate(prog: Program, values: Sequence[Any], on: Sequence[bool]) -> tuple[list, list]:
    """The outputs, and what flows: the outputs of equations that depend on inputs `on`."""
    env, seen = dict(zip(prog.invars, values)), []
    depends = {v for v, flag in zip(prog.invars, on) if flag}
    final = {v for v in prog.outvars if not isinstance(v, Literal)}

    def read(atom):
        return jaxprs.literal(atom) if isinstance(atom, Literal) else env[atom]

    for eqn in prog.eqns:
        inputs, active = [read(v) for v in eqn.invars], [not isinstance(v, Literal) and v in depends for v in eqn.invars]
        with standing_at(eqn):
            outputs, more = (
                _INSIDE[eqn.primitive.name](eqn, inputs, active) if _is_open(eqn, active) else (jaxprs.evaluate(eqn, inputs), [])
            )
        env.update(zip(eqn.outvars, outputs))
        if any(active):
            depends.update(eqn.outvars)
            seen += [x for v, x in zip(eqn.outvars, outputs) if jaxprs.is_inexact(x) and v not in final]
            seen += more
    return [read(v) for v in prog.outvars], seen


def _is_open(eqn, active) -> bool:
    return any(active) and eqn.primitive.name in _INSIDE and not eqn.effects


def _scan(eqn, values, active):
    scan = jaxprs.scan_parts(eqn)
    avals = [v.aval for v in scan.body.invars]
    on = [*active[: scan.consts], *(True for _ in range(scan.carry)), *active[scan.consts + scan.carry :]]
    body = lambda *inputs: _evaluate(scan.body, inputs, on)
    if sum(x.size for x in jax.eval_shape(body, *avals)[1]) * scan.length > _LARGEST:
        return jaxprs.evaluate(eqn, values), []
    consts, init, xs = values[: scan.consts], values[scan.consts : scan.consts + scan.carry], values[scan.consts + scan.carry :]

    def step(carry, x):
        out, seen = body(*consts, *carry, *x)
        return out[: scan.carry], (out[scan.carry :], seen)

    carry, (ys, seen) = lax.scan(step, list(init), list(xs), length=scan.length, reverse=scan.reverse, unroll=scan.unroll)
    return [*carry, *ys], seen


def _cond(eqn, values, active):
    bodies = [lambda *inputs, b=b: _evaluate(b, inputs, active[1:]) for b in jaxprs.cond_branches(eqn)]
    types = [jax.eval_shape(b, *values[1:])[1] for b in bodies]

    def branch(number):
        def call(*inputs):
            out, seen = bodies[number](*inputs)
            return out, [seen if n == number else [jnp.zeros(t.shape, t.dtype) for t in of] for n, of in enumerate(types)]

        return call

    out, seen = lax.switch(values[0], [branch(n) for n in range(len(bodies))], *values[1:])
    return out, [x for part in seen for x in part]


def _checkpoint(eqn, values, active):
    f = lambda *inputs: _evaluate(inside(eqn), inputs, active)
    return jax.checkpoint(f, policy=eqn.params["policy"], prevent_cse=eqn.params["prevent_cse"])(*values)


_INSIDE = {"scan": _scan, "cond": _cond} | dict.fromkeys(jaxprs.CHECKPOINTS, _checkpoint)
