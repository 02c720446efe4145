"""Mutable references that a program makes for itself (`jax.new_ref`), turned into the values that they hold."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from jax import lax

from . import jaxprs
from .jaxprs import Literal, Program
from .places import standing_at
from .straight import CALLS, inside

MAKES = ("new_ref", "empty_ref")


class _Unread(Exception):
    """An equation does with a reference what is not known here."""


class _Reference:
    """What a reference holds, at a step of the evaluation."""

    def __init__(self, value: Any):
        self.value = value


def as_values(prog: Program, consts: Sequence[Any]) -> tuple[Program, list]:
    """The program, and its constants, with the references that it makes written out as values, carried through its loops and branches.

    As it was, where there are none, or where something is done with one that only JAX knows.
    """
    if not _makes_references(prog):
        return prog, list(consts)
    inputs = [v.aval for v in prog.invars[len(consts) :]]
    try:
        return jaxprs.trace(lambda *values: _evaluate(prog, [*consts, *values]), *inputs)
    except _Unread:
        return prog, list(consts)


def _makes_references(prog: Program) -> bool:
    return any(eqn.primitive.name in MAKES for eqn in jaxprs.every_equation_of(prog))


def _evaluate(prog: Program, values: Sequence[Any]) -> list:
    env = dict(zip(prog.invars, values))

    def read(atom):
        return jaxprs.literal(atom) if isinstance(atom, Literal) else env[atom]

    for eqn in prog.eqns:
        with standing_at(eqn):
            env.update(zip(eqn.outvars, _equation(eqn, [read(v) for v in eqn.invars])))
    return [read(v) for v in prog.outvars]


def _equation(eqn, values: Sequence[Any]) -> Sequence[Any]:
    name, references = eqn.primitive.name, [x for x in values if isinstance(x, _Reference)]
    if name in MAKES and eqn.params.get("kind") is None:
        return [_Reference(values[0] if values else jaxprs.zeros(eqn.outvars[0].aval.inner_aval))]
    if references and name in OF_ONE:
        return OF_ONE[name](eqn, *values)
    if references and name in _HOLDERS:
        return _HOLDERS[name](eqn, values, list(dict.fromkeys(references)))
    if name in CALLS and (references or _makes_references(inside(eqn))):
        return _evaluate(inside(eqn), values)
    if references:
        raise _Unread
    programs = jaxprs.inner_programs(eqn)
    if any(map(_makes_references, programs)):
        eqn = jaxprs.with_inner(eqn, [_inner(program) for program in programs])
    return jaxprs.evaluate(eqn, values)


def _inner(prog: Program) -> Program:
    return jaxprs.with_constants(*as_values(prog, []))


# ---- equations of one reference ----


def _get(eqn, reference, *indices):
    return [_at(reference.value, _indexers(eqn, indices))]


def _swap(eqn, reference, new, *indices):
    old, indexers = reference.value, _indexers(eqn, indices)
    reference.value = _updated(old, indexers, new, "set")
    return [_at(old, indexers)]


def _addupdate(eqn, reference, more, *indices):
    reference.value = _updated(reference.value, _indexers(eqn, indices), more, "add")
    return []


OF_ONE: dict[str, Callable] = {
    "get": _get,
    "swap": _swap,
    "addupdate": _addupdate,
    "freeze": lambda eqn, reference: [reference.value],
    "free_ref": lambda eqn, reference: [],
}


def _indexers(eqn, indices) -> list:
    found = jaxprs.indexers(eqn, indices)
    if found is None:
        raise _Unread
    return found


def _at(x, indexers):
    for indexer in indexers:
        starts, sizes, index = _cut(x.shape, indexer)
        x = (lax.dynamic_slice(x, starts, sizes) if sizes != x.shape else x)[index]
    return x


def _updated(x, indexers, new, how: str):
    """The array in which the part at the indexers is `set` to what is new, or that is `add`ed to it."""
    if not indexers:
        return new if how == "set" else x + new
    starts, sizes, index = _cut(x.shape, indexers[0])
    block = lax.dynamic_slice(x, starts, sizes) if sizes != x.shape else x
    if len(indexers) > 1:
        new, how = _updated(block[index], indexers[1:], new, how), "set"
    if all(isinstance(i, slice) for i in index) and block[index].shape == block.shape:
        block = new if how == "set" else block + new
    else:
        block = getattr(block.at[index], how)(new)
    return lax.dynamic_update_slice(x, block, starts) if sizes != x.shape else block


def _cut(shape: Sequence[int], indexer: Sequence[Any]) -> tuple[list, tuple[int, ...], tuple]:
    """The block that holds all slices: where it starts and its sizes; and the index of what is asked for in it."""
    starts, sizes, index = [], [], []
    for length, i in zip(shape, indexer):
        start, size, stride = i if isinstance(i, tuple) else (0, length, 1)
        starts.append(start)
        sizes.append((size - 1) * stride + 1 if isinstance(i, tuple) and size else size)
        index.append(slice(None, None, stride) if isinstance(i, tuple) else i)
    return starts, tuple(sizes), tuple(index)


# ---- loops and branches: what a reference holds is carried through ----


def _scan(eqn, values, references):
    s = jaxprs.scan_parts(eqn)
    consts, carry, xs = values[: s.consts], values[s.consts : s.consts + s.carry], values[s.consts + s.carry :]

    def step(states, x):
        held, carry = states
        outputs, held = _holding(references, held, s.body, [*consts, *carry, *x])
        return (held, outputs[: s.carry]), outputs[s.carry :]

    (held, carry), ys = lax.scan(step, (_held(references), carry), xs, s.length, s.reverse, s.unroll)
    _hold(references, held)
    return [*carry, *ys]


def _cond(eqn, values, references):
    index, *inputs = values
    branches = [functools.partial(_holding, references, prog=prog, values=inputs) for prog in jaxprs.cond_branches(eqn)]
    outputs, held = lax.switch(index, branches, _held(references))
    _hold(references, held)
    return outputs


def _while(eqn, values, references):
    condition, body, consts, more, carry = jaxprs.while_parts(eqn, values)
    going_on = lambda states: _holding(references, states[0], condition, [*consts, *states[1]])[0][0]

    def step(states):
        outputs, held = _holding(references, states[0], body, [*more, *states[1]])
        return held, outputs

    held, carry = lax.while_loop(going_on, step, (_held(references), carry))
    _hold(references, held)
    return carry


_HOLDERS: dict[str, Callable] = {"scan": _scan, "cond": _cond, "while": _while}


def _held(references) -> list:
    return [reference.value for reference in references]


def _hold(references, held) -> None:
    for reference, value in zip(references, held):
        reference.value = value


def _holding(references, held, prog: Program, values: Sequence[Any]) -> tuple[list, list]:
    """The outputs of a program at whose start the references hold this; and what they hold at its end."""
    before = _held(references)
    _hold(references, held)
    outputs = _evaluate(prog, values)
    after = _held(references)
    _hold(references, before)
    return outputs, after
