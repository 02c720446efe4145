"""A program as a straight line: at given values every loop is unrolled, every branch taken, every call written out."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from . import jaxprs
from .jaxprs import Literal, Program
from .straight import called, inside


class Line(NamedTuple):
    """The straight program; the value of each of its variables; for equations inside scans, the steps they belong to, by position."""

    program: Program
    values: dict[Any, Any]
    steps: list[tuple[int, ...]]


def unrolled(prog: Program, inputs: Sequence[Any]) -> Line:
    """Evaluate the program equation by equation, and write down what was evaluated.

    Ops, and functions with a derivative of their own (`custom_jvp`, `custom_vjp`), stay whole; so does `while`.
    """
    eqns: list = []
    steps: list[tuple[int, ...]] = []
    values: dict[Any, Any] = dict(zip(prog.invars, inputs))

    def value(atom):
        return jaxprs.literal(atom) if isinstance(atom, Literal) else values[atom]

    def emit(eqn, invars, around, loop):
        outvars = [jaxprs.variable(v.aval) for v in eqn.outvars]
        new = jaxprs.renamed(eqn, invars, outvars, around)
        values.update(zip(outvars, jaxprs.bind(new, [value(v) for v in invars])))
        eqns.append(new)
        steps.append(loop)
        return outvars

    def helper(f: Callable, atoms, around, loop):
        """The equations of a small function of our own, at these atoms."""
        traced, consts = jaxprs.trace(f, *(a.aval for a in atoms))
        return walk(jaxprs.with_constants(traced, consts), atoms, around, loop)

    def walk(inner: Program, atoms, around, loop):
        env = dict(zip(inner.invars, atoms))

        def read(atom):
            return atom if isinstance(atom, Literal) else env[atom]

        for eqn in inner.eqns:
            given, name = [read(v) for v in eqn.invars], eqn.primitive.name
            within = (*around, eqn)
            if name == "scan":
                out = scan(eqn, given, within, loop)
            elif name == "cond":
                branches = jaxprs.cond_branches(eqn)
                index = min(max(int(value(given[0])), 0), len(branches) - 1)
                out = walk(branches[index], given[1:], within, loop)
            elif name in jaxprs.CHECKPOINTS or called(eqn) is not None:
                out = walk(inside(eqn), given, within, loop)
            else:
                out = emit(eqn, given, around, loop)
            env.update(zip(eqn.outvars, out))
        return [read(v) for v in inner.outvars]

    def scan(eqn, given, around, loop):
        s = jaxprs.scan_parts(eqn)
        consts, carry, xs = given[: s.consts], given[s.consts : s.consts + s.carry], given[s.consts + s.carry :]
        rows: list = [None] * s.length
        for i in reversed(range(s.length)) if s.reverse else range(s.length):
            at = (*loop, i)
            row = helper(lambda *xs, i=i: [lax.index_in_dim(x, i, keepdims=False) for x in xs], xs, around, at) if xs else []
            out = walk(s.body, [*consts, *carry, *row], around, at)
            carry, rows[i] = out[: s.carry], out[s.carry :]
        columns = list(zip(*rows)) if rows else [()] * (len(s.body.outvars) - s.carry)
        shapes = [v.aval for v in eqn.outvars[s.carry :]]
        ys = [
            helper(lambda *column: [jnp.stack(column)], column, around, loop)[0]
            if column
            else helper(lambda a=a: [jnp.zeros(a.shape, a.dtype)], (), around, loop)[0]
            for column, a in zip(columns, shapes)
        ]
        return [*carry, *ys]

    outvars = walk(prog, list(prog.invars), (), ())
    return Line(Program(prog.invars, eqns, outvars), values, steps)
