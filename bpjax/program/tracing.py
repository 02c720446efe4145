"""A user's function as a program: traced, and where its Python asks for values, traced with those beside the equations."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.core import Trace, Tracer
from jax.extend import core, linear_util

from . import jaxprs
from .jaxprs import Program
from .references import as_values

NEEDS_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.TracerArrayConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


def traced(f: Callable, *args) -> tuple[Program, list]:
    """The equations of a user's `f`, from flat arrays to a flat list of them, and the constants that come first."""
    try:
        return as_values(*jaxprs.trace(f, *args))
    except NEEDS_VALUES:
        return as_values(*_with_values(f, args))


def _with_values(f: Callable, args: Sequence[Any]) -> tuple[Program, list]:
    """The same of a function whose Python asks for values: they are computed while it is traced, as under `jax.grad`.

    What depends on no argument, and what no derivative runs through, is then no equation, but a constant.
    """
    with core.take_current_trace() as around:
        pass

    @functools.wraps(f)
    def recording(*recorded):
        return _beside(f, around, args, recorded)[0]

    return jaxprs.trace(recording, *args)


def _beside(f: Callable, around, values: Sequence[Any], recorded: Sequence[Any]) -> tuple[list, list]:
    """What records the outputs of `f`, whose Python sees these values of what is recorded; and their values."""
    with core.take_current_trace() as recorder:
        trace = _WithValues(recorder, around)
        with core.set_current_trace(trace):
            out = f(*(_Known(trace, value, x) if jaxprs.is_traced(x) else x for value, x in zip(values, recorded)))
        return list(map(trace.recorded, out)), list(map(trace.value, out))


class _Known(Tracer):
    """A value that is being recorded, and what it is; None where nobody can tell."""

    __slots__ = ("value", "recorded")

    def __init__(self, trace: "_WithValues", value: Any, recorded: Any):
        super().__init__(trace, jax.typeof(recorded))
        self.value, self.recorded = value, recorded

    def __repr__(self):
        return f"Differentiated({self.value if self.value is not None else self.aval})"

    def to_concrete_value(self) -> Any:
        """What Python branches on, converts, prints."""
        return self.value.to_concrete_value() if jaxprs.is_traced(self.value) else self.value


class _WithValues(Trace):
    """Hands each equation that depends on an argument to the trace that records, and computes its value in the trace around that."""

    def __init__(self, recorder, around):
        super().__init__()
        self.recorder, self.around = recorder, around

    def recorded(self, x):
        """What stands for a value in the trace that records."""
        return x.recorded if self._is_mine(x) else x

    def value(self, x):
        """What it is; None where nobody can tell."""
        return x.value if self._is_mine(x) else x

    def _is_mine(self, x) -> bool:
        return isinstance(x, _Known) and x._trace is self

    def _paired(self, values, recorded):
        """Values with what records them; alone, where no derivative runs through them and Python may have them whole."""
        return [value if value is not None and not jaxprs.is_inexact(x) else _Known(self, value, x) for value, x in zip(values, recorded)]

    def stage_value(self, val):
        return self.around.stage_value(val)

    def process_primitive(self, primitive, args, params):
        values, out = list(map(self.value, args)), None
        if all(value is not None for value in values):
            with core.set_current_trace(self.around):
                out = primitive.bind(*values, **params)
            if primitive.name == "stop_gradient" or not any(map(self._is_mine, args)):
                return out
        with core.set_current_trace(self.recorder):
            recorded = primitive.bind(*map(self.recorded, args), **params)
        if primitive.multiple_results:
            return self._paired([None] * len(recorded) if out is None else out, recorded)
        return self._paired([out], [recorded])[0]

    def process_custom_jvp_call(self, primitive, fun, jvp, args, **params):
        values = list(map(self.value, args))
        return self._call(primitive, [(fun, values), (jvp, [*values, *[None] * len(values)])], args, params)

    def process_custom_vjp_call(self, primitive, fun, fwd, bwd, args, **params):
        values = list(map(self.value, args))
        with_flags = [v for value in values for v in (value, None)]  # behind each, whether it is differentiated
        return self._call(primitive, [(fun, values), (fwd, with_flags), (bwd, None)], args, params)

    def _call(self, primitive, functions, args, params):
        """A function with a rule of its own, recorded as that: its Python, and its rule's, see values."""
        outputs = []

        def with_values(values):
            def of_recorded(f, *recorded):
                found, known = _beside(f, self.around, values, recorded)
                outputs.append(known)
                return found

            return of_recorded

        subfuns = [f if values is None else linear_util.transformation2(with_values(values))(f) for f, values in functions]
        with core.set_current_trace(self.recorder):
            recorded = primitive.bind(*map(self.recorded, args), subfuns=tuple(subfuns), **params)
        return self._paired(outputs[0], recorded)

    def process_shard_map(self, primitive, fun, args, **params):
        """Recorded; of what each device computes nothing is known here."""
        with core.set_current_trace(self.recorder):
            recorded = self.recorder.process_shard_map(primitive, fun, list(map(self.recorded, args)), **params)
        return self._paired([None] * len(recorded), recorded)
