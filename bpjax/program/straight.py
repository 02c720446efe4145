"""A program as one list of equations: calls that only group others are written out."""

from collections.abc import Callable, Sequence
from typing import Any

from . import jaxprs
from .jaxprs import Literal, Program

CALLS = ("jit", "pjit", "closed_call", "core_call", "call", "eval_jaxpr", "op")


def called(eqn, active: Sequence[bool] | None = None) -> Program | None:
    """The program that a call only stands for; None for all other equations, and for an op whose written backward is used there.

    `active`: which inputs are differentiated; left out, all that can be. Mapped on an explicit mesh it is the formula that is used: every
    step of it has a layout by its type, while an op's own halves would have to say theirs.
    """
    if eqn.primitive.name not in CALLS:
        return None
    if eqn.primitive.name == "op":
        active = [jaxprs.is_differentiable(v.aval) for v in eqn.invars] if active is None else active
        if eqn.params["call"].is_written(active) and not any(jaxprs.is_laid_out(v.aval) for v in eqn.invars):
            return None
    return inside(eqn)


def inside(eqn) -> Program:
    """The program inside an equation that holds one."""
    return jaxprs.with_constants(*jaxprs.program(jaxprs.inner_jaxpr(eqn)))


def straight(prog: Program, stands_for: Callable[[Any], Program | None], invars: Sequence[Any] | None = None) -> Program:
    """The program with the equations of `stands_for(eqn)` in the place of each equation for which that is a program.

    It is asked of each equation once, in order, and of those that it gave in their turn. What is written out gets variables of its own;
    with `invars` given, everything does.
    """
    eqns: list = []
    env: dict = {} if invars is None else dict(zip(prog.invars, invars))
    stack: list[tuple] = [(iter(prog.eqns), env, None, prog)]
    outvars: list = []

    def read(atom):
        return atom if isinstance(atom, Literal) else env.get(atom, atom)

    while stack:
        rest, env, holder, current = stack[-1]
        eqn = next(rest, None)
        if eqn is None:
            outvars = [read(v) for v in current.outvars]
            stack.pop()
            if stack:
                stack[-1][1].update(zip(holder[0].outvars, outvars))
            continue
        inputs = [read(v) for v in eqn.invars]
        if holder is not None or invars is not None:
            new = jaxprs.renamed(eqn, inputs, [jaxprs.variable(v.aval) for v in eqn.outvars], holder[1:] if holder else ())
        elif inputs != eqn.invars:
            new = eqn.replace(invars=inputs)
        else:
            new = eqn
        inner = stands_for(new)
        if inner is not None:
            inner = jaxprs.dce(inner)
            stack.append((iter(inner.eqns), dict(zip(inner.invars, inputs)), (eqn, new), inner))
            continue
        eqns.append(new)
        if new is not eqn:
            env.update(zip(eqn.outvars, new.outvars))
    return Program(prog.invars if invars is None else invars, eqns, outvars)


def inlined(prog: Program, is_kept: Callable[[Any], bool] = lambda eqn: False) -> Program:
    """The program without calls, also inside loops and branches: each equation once. Ops stay, and what `is_kept` says."""
    return _inlined(prog, is_kept, None)


def _inlined(prog: Program, is_kept, invars) -> Program:
    def fresh(inner: Program) -> Program:
        return _inlined(inner, is_kept, [jaxprs.variable(v.aval) for v in inner.invars])

    prog = straight(prog, lambda eqn: None if is_kept(eqn) else called(eqn), invars)
    return prog._replace(eqns=[jaxprs.with_inner(eqn, list(map(fresh, jaxprs.inner_programs(eqn)))) for eqn in prog.eqns])
