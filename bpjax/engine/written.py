"""A call with a written backward, and the same call under `vmap` and in float64.

`Written` is the rule of a call; its `Halves` are the forward and the backward for one signature, each traced once. An op's own are in
`op.py`; those of a mapped or widened call are made of those of the call inside.
"""

import contextlib
import copy
from typing import Any, NoReturn

import jax
from jax.extend.core import mapped_aval

from ..program import jaxprs
from ..program.call import Bounded, Call, Head, found_under_axis, over_axis
from ..program.places import here
from .errors import RuleError
from .saved import RecomputeOnly, Saved
from .sweep import Rule, source_of

SHAPES = 1024  # of one call that are remembered


class Halves:
    """An op's halves for inputs of these types, each traced once: functions of flat arrays.

    `call` is the forward: it gives `n_out` outputs, and then the saved arrays, of which some are there to recompute the outputs alone.
    """

    call: Call
    n_out: int
    recompute_only: list[bool]

    def __init__(self):
        self._backwards, self._recomputes = Bounded(16), Bounded(16)

    def pull_back(self, arrays, dys, active, record) -> list:
        """The cotangents of the flat arguments: None where there is none."""
        arrays = [None if isinstance(a, RecomputeOnly) else a for a in arrays]
        call, places = self.backward(tuple(map(_typeof, arrays)), tuple(map(_typeof, dys)), tuple(active), record)
        return spread(call(*present([*arrays, *dys])), places, len(active))

    def backward(self, array_avals, dy_avals, active, record) -> tuple[Call, list[int]]:
        """The backward of these types (None: not there), and which arguments' cotangents it gives."""
        key = array_avals, dy_avals, active, jaxprs.trace_context()
        make = lambda: self._backward(array_avals, dy_avals, active, record)
        return self._backwards.get(key, make, lambda made: made[0].is_closed)

    def outputs_again(self, arrays, record) -> list:
        """The outputs, from what was saved."""
        return self.recompute(tuple(map(_typeof, arrays)), record)(*present(arrays))

    def recompute(self, array_avals, record) -> Call:
        """The function that makes the outputs from what was saved, of these types."""
        key = array_avals, jaxprs.trace_context()
        return self._recomputes.get(key, lambda: self._recompute(array_avals, record), lambda call: call.is_closed)

    def _backward(self, array_avals, dy_avals, active, record) -> tuple[Call, list[int]]:
        raise NotImplementedError

    def _recompute(self, array_avals, record) -> Call:
        raise NotImplementedError


class Half(Head):
    """A written half, traced: it only stands for its equations."""

    def __init__(self, name: str):
        self.name = name


class Written(Head, Rule):
    """The rule of a call: its halves are run."""

    may_return_none = False
    op: Any
    name: str
    consts = 0  # how many inputs stand first that are no argument: what the formula closes over

    def __init__(self, op: Any):
        self.op, self.name = op, op.__name__
        self._traced = Bounded(SHAPES)

    @property
    def source(self):  # pyright: ignore[reportIncompatibleVariableOverride]  (of other rules it is a constant)
        return source_of(self.op.declared("backward"))

    @property
    def recomputes(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.op._recompute is not None

    @property
    def by_kernel(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.op._by_kernel

    def halves(self, avals: tuple, out_avals: tuple) -> Halves:
        """The halves for inputs and outputs of these types; traced anew where one of them has been declared anew."""
        key = avals, jaxprs.trace_context(), self.op._forward, self.op._backward, self.op._recompute
        return self._traced.get(key, lambda: self._halves(avals, out_avals), lambda halves: halves.call.is_closed)

    def _halves(self, avals: tuple, out_avals: tuple) -> Halves:
        raise NotImplementedError

    def with_consts(self, number: int):
        """The same call, with so many values that its formula closes over before the arguments."""
        if not number:
            return self
        call = copy.copy(self)
        call.consts += number
        return call

    def mapped(self, dims, out_dims, axis):
        return MappedCall(self, dims, out_dims, axis)

    def widened(self, widening, avals, out_avals):
        return WidenedCall(self, widening, avals[self.consts :], out_avals)

    def forward(self, eqn, values, active):
        if any(active[: self.consts]):
            self._closes_over("a value that is differentiated, for which its written backward gives no cotangent")
        with self._nothing_escaped():  # by the types of the equation: a value that some forward made may have lost its weak type
            halves = self.halves(tuple(v.aval for v in eqn.invars[self.consts :]), tuple(v.aval for v in eqn.outvars))
            results = halves.call(*values[self.consts :])
        arrays = [RecomputeOnly(a) if only else a for a, only in zip(results[halves.n_out :], halves.recompute_only)]
        return results[: halves.n_out], Saved(arrays, halves)

    def _closes_over(self, what, cause=None) -> NoReturn:
        raise RuleError(f"op {self.name}{here()} closes over {what}. Make it an argument of the op.") from cause

    @contextlib.contextmanager
    def _nothing_escaped(self):
        try:
            yield
        except jax.errors.UnexpectedTracerError as error:
            self._closes_over("a value that was computed in the function around it, which is over when its halves are run", error)

    def recompute(self, record):
        with self._nothing_escaped():
            return record.saved.static.outputs_again(record.saved.arrays, record)

    def backward(self, record, dys):
        with self._nothing_escaped():
            return [None] * self.consts + record.saved.static.pull_back(record.saved.arrays, dys, record.active[self.consts :], record)


class MappedCall(Written):
    """A call under `vmap`: the same op, its halves mapped. Where an unmapped argument is differentiated, its formula is swept instead.

    (The mapped backward would make that argument's cotangent for each example before they are summed.)
    """

    def __init__(self, call: Written, dims, out_dims, axis):
        super().__init__(call.op)
        self.inner, self.axis = call, axis
        self.consts, self.all_dims = call.consts, dims
        self.dims, self.out_dims = dims[call.consts :], out_dims

    def with_consts(self, number):
        call = super().with_consts(number)
        if number:
            call.all_dims = (None,) * number + tuple(self.all_dims)
        return call

    def is_written(self, active):
        of_consts = any(d is not None for d in self.all_dims[: self.consts])
        unmapped = any(on and d is None for on, d in zip(active, self.all_dims))
        return not of_consts and not unmapped and self.inner.is_written(active)

    def _halves(self, avals, out_avals):
        return _MappedHalves(self, avals, out_avals)

    def unmapped(self, avals, dims) -> tuple:
        """The types of one example."""
        return tuple(a if a is None or d is None else mapped_aval(self.axis.size, d, a) for a, d in zip(avals, dims))


class _MappedHalves(Halves):
    """Those of one example, mapped."""

    def __init__(self, owner: MappedCall, avals, out_avals):
        super().__init__()
        self.owner = owner
        example = owner.unmapped(avals, owner.dims)
        find = lambda: owner.inner.halves(example, owner.unmapped(out_avals, owner.out_dims))
        self.inner = found_under_axis(find, avals, owner.dims, owner.axis)
        self.n_out, self.recompute_only = self.inner.n_out, self.inner.recompute_only
        depends = self.inner.call.depends([d is not None for d in owner.dims], owner.axis.name)
        self.saved_dims = [0 if d else None for d in depends[self.n_out :]]
        self.call = self._mapped(self.inner.call, avals, owner.dims, [*owner.out_dims, *self.saved_dims])

    def _mapped(self, call: Call, avals, dims, out_dims):
        return Call(over_axis(call, dims, out_dims, self.owner.axis), avals, call.head, hands_through=True)

    def _backward(self, array_avals, dy_avals, active, record):
        of_arrays, of_dys = self.owner.unmapped(array_avals, self.saved_dims), self.owner.unmapped(dy_avals, self.owner.out_dims)
        dims = [d for d, a in zip((*self.saved_dims, *self.owner.out_dims), (*array_avals, *dy_avals)) if a is not None]
        avals, find = present([*array_avals, *dy_avals]), lambda: self.inner.backward(of_arrays, of_dys, active, record)
        call, places = found_under_axis(find, avals, dims, self.owner.axis)
        return self._mapped(call, avals, dims, [self.owner.dims[i] for i in places]), places

    def _recompute(self, array_avals, record):
        dims, avals = [d for d, a in zip(self.saved_dims, array_avals) if a is not None], present(array_avals)
        find = lambda: self.inner.recompute(self.owner.unmapped(array_avals, self.saved_dims), record)
        return self._mapped(found_under_axis(find, avals, dims, self.owner.axis), avals, dims, self.owner.out_dims)


class WidenedCall(Written):
    """A call in float64, for the check: the same op, its halves traced in the types that its user gave it, and widened."""

    def __init__(self, call: Written, widening, avals: tuple, out_avals: tuple):
        super().__init__(call.op)
        self.inner, self.widening, self.avals, self.out_avals, self.consts = call, widening, avals, out_avals, call.consts

    def is_written(self, active):
        return self.inner.is_written(active[self.consts - self.inner.consts :])

    def _halves(self, avals, out_avals):
        return _WidenedHalves(self, avals)


class _WidenedHalves(Halves):
    """Those of the user's types, widened."""

    def __init__(self, owner: WidenedCall, avals):
        super().__init__()
        self.owner = owner
        self.inner = owner.inner.halves(owner.avals, owner.out_avals)
        self.n_out, self.recompute_only = self.inner.n_out, self.inner.recompute_only
        self.saved_avals = self.inner.call.types(owner.avals)[self.n_out :]
        self.call = self._widened(self.inner.call, avals)

    def _widened(self, call: Call, avals):
        return Call(self.owner.widening.call(call), avals, call.head, hands_through=True)

    def _own(self, own, given) -> tuple:
        """The user's types where something is given."""
        return tuple(None if g is None else o for o, g in zip(own, given))

    def _backward(self, array_avals, dy_avals, active, record):
        of_arrays, of_dys = self._own(self.saved_avals, array_avals), self._own(self.owner.out_avals, dy_avals)
        call, places = self.inner.backward(of_arrays, of_dys, active, record)
        return self._widened(call, present([*array_avals, *dy_avals])), places

    def _recompute(self, array_avals, record):
        return self._widened(self.inner.recompute(self._own(self.saved_avals, array_avals), record), present(array_avals))


def op_of(rule: Rule) -> Any:
    """The op whose call this is the rule of, if it is one."""
    return rule.op if isinstance(rule, Written) else None


def _typeof(x):
    return None if x is None else jax.typeof(x)


def present(values) -> list:
    return [x for x in values if x is not None]


def spread(values, places, length) -> list:
    """The values at their places, None elsewhere."""
    out = [None] * length
    for i, x in zip(places, values):
        out[i] = x
    return out
