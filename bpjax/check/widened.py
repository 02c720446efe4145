"""A program in float64: each equation evaluated wide, whatever type its user gave it. No Python of the user's runs under x64.

    outputs = Widening(settings).evaluate(program, values)       # floats in and out are float64

What rounds on purpose (a cast to fewer bits) is an identity; what the program draws or counts (integers, keys, random bits) stays as it
is, and bits become floats in the type given, so that every precision sees the same numbers. Ops, `custom_jvp` and `custom_vjp` functions
stay what they are: their halves are traced in their own types, and that trace is widened.
"""

import types
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import primitives

from ..program import jaxprs
from ..program.call import Call
from ..program.jaxprs import Literal, Program
from ..program.places import place_of, standing_at
from ..program.straight import CALLS, inside

_KNOWN = {p.name for p in vars(primitives).values() if hasattr(p, "bind")}
_NARROW = {"random_gamma", "random_gamma_grad", "nextafter", "bitcast_convert_type", "rng_bit_generator", "rng_uniform", "shard_map"}
_SILENT = {"debug_callback", "debug_print"}


class Widening:
    """How a program is widened.

    Args:
        settings: those of the user, under which ops' halves and custom rules are traced.
        known: names of primitives that can be widened besides JAX's own.
        casts: whether casts to fewer bits round all the same; their slope is one then.
        stop: what stands for `stop_gradient`, a function of the value; left out, it stays.
        is_plain: of which `custom_jvp` and `custom_vjp` equations only the plain function is taken.

    `narrow` fills with the names and places of what was run in its own types, `eps` is the rounding of the coarsest of them that has a
    floating result.
    """

    def __init__(
        self,
        settings: jaxprs.Settings,
        known: Collection[str] = (),
        casts: bool = False,
        stop: Callable | None = None,
        is_plain: Callable[[Any], bool] = lambda eqn: False,
    ):
        self.settings, self.known, self.casts, self.stop, self.is_plain = settings, known, casts, stop, is_plain
        self.narrow: dict[str, None] = {}
        self.eps = 0.0
        self._calls: dict[Any, Any] = {}

    def type(self, dtype) -> Any:
        """The type in which values of this one are computed."""
        return wide_type(dtype)

    def value(self, x) -> Any:
        """A value in that type."""
        return widest(x)

    def evaluate(self, prog: Program, values: Sequence[Any], active: Sequence[bool] | None = None) -> list:
        """The program's outputs in float64, for inputs in float64.

        `active`: which of those are differentiated, [] for none; left out, all that can be.
        """
        env = dict(zip(prog.invars, values))
        on = set(prog.invars if active is None else (v for v, a in zip(prog.invars, active) if a))

        def read(atom):
            return self.value(jaxprs.literal(atom)) if isinstance(atom, Literal) else env[atom]

        for eqn in prog.eqns:
            actives = [not isinstance(v, Literal) and v in on and jaxprs.is_differentiable(v.aval) for v in eqn.invars]
            with standing_at(eqn), jax.enable_x64(True):  # the equation itself may have been traced without
                outputs = self._equation(eqn, [read(v) for v in eqn.invars], actives)
            env.update(zip(eqn.outvars, map(self.value, outputs)))
            if any(actives) and eqn.primitive.name != "stop_gradient":
                on.update(eqn.outvars)
        return [read(v) for v in prog.outvars]

    def call(self, call: Call) -> Callable:
        """A traced call of flat arrays, as a function of wide ones."""

        def wide(*values):
            noted, everything = dict(self.narrow), [*map(self.value, call.consts), *values]
            everything += self.evaluate(call.program, everything)
            self.narrow = noted  # what an op's half does inside, such as looking at a cotangent's bits to wait for it, is its own affair
            return [everything[i] if isinstance(i, int) else self.value(i) for i in call.outputs]

        return wide

    def _equation(self, eqn, values, active) -> Sequence[Any]:
        name = eqn.primitive.name
        if name in _SILENT:
            return []
        if is_op(eqn):
            return self._op(eqn, values)
        if name in CALLS:
            return self.evaluate(inside(eqn), values, active)
        if name == "convert_element_type" or name == "reduce_precision":
            return [self._cast(eqn, values[0])]
        if name == "stop_gradient" and self.stop is not None:
            return [self.stop(values[0])]
        if name in ("custom_jvp_call", "custom_vjp_call"):
            if self.is_plain(eqn) or not any(active):
                return self.evaluate(inside(eqn), values, active)
            return self._custom_jvp(eqn, values, active) if name == "custom_jvp_call" else self._custom_vjp(eqn, values, active)
        if name in _NARROW or not (name in _KNOWN or name in self.known):
            return self._narrow(eqn, values)
        params = {key: self._parameter(value, _active_inside(eqn, active)) for key, value in eqn.params.items()}
        return jaxprs.evaluate(eqn.replace(params=params), values)

    def _cast(self, eqn, x):
        new = np.dtype(eqn.params.get("new_dtype", eqn.outvars[0].aval.dtype))
        if not _is_floating(x) or not jnp.issubdtype(new, jnp.floating):
            return lax.convert_element_type(x, self.type(new))
        if not self.casts or (eqn.primitive.name == "convert_element_type" and _bits(new) >= _bits(eqn.invars[0].aval.dtype)):
            return x
        if eqn.primitive.name == "reduce_precision":
            low = lax.reduce_precision(x, eqn.params["exponent_bits"], eqn.params["mantissa_bits"])
        else:
            low = lax.convert_element_type(lax.convert_element_type(x, new), x.dtype)
        return x + lax.stop_gradient(low - x)

    def _narrow(self, eqn, values):
        """In its own types, and widened after."""
        types = [v.aval.dtype for v in eqn.outvars if hasattr(v.aval, "dtype") and jnp.issubdtype(v.aval.dtype, jnp.floating)]
        if eqn.primitive.name != "bitcast_convert_type" or _is_floating(values[0]):
            self.narrow.setdefault(f"{eqn.primitive.name}{place_of(eqn)}")
            self.eps = max([self.eps, *(float(jnp.finfo(t).eps) for t in types)])
        own = [_in_type(x, v.aval) for x, v in zip(values, eqn.invars)]
        return jaxprs.evaluate(eqn, own)

    def _parameter(self, value, active=None):
        """A parameter of an equation, with float64 for each floating type, and wide programs for programs."""
        if hasattr(value, "eqns"):
            return self._jaxpr(value, active)
        if isinstance(value, tuple) and value:
            wide = [self._parameter(part, active) for part in value]
            if all(a is b for a, b in zip(wide, value)):
                return value
            return type(value)(*wide) if hasattr(value, "_fields") else tuple(wide)
        if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
            return self.type(np.dtype(value))
        if isinstance(value, ShapedArray):
            return self._aval(value)
        if isinstance(value, lax.DotAlgorithmPreset):  # asks for fewer bits
            return None
        return value

    def _jaxpr(self, jaxpr, active):
        prog, consts = jaxprs.program(jaxpr)
        avals = [self._aval(v.aval) for v in prog.invars[len(consts) :]]
        on = None if active is None else [False] * len(consts) + active
        found, closed = jaxprs.trace(lambda *values: self.evaluate(prog, [*map(self.value, consts), *values], on), *avals)
        return jaxprs.like(jaxpr, jaxprs.with_constants(found, closed))

    def _aval(self, aval):
        if not hasattr(aval, "dtype") or not jnp.issubdtype(aval.dtype, jnp.inexact):
            return aval
        return aval.update(dtype=self.type(aval.dtype), weak_type=False)

    def _op(self, eqn, values):
        types = tuple(v.aval for v in eqn.invars), tuple(v.aval for v in eqn.outvars)
        key = (eqn.params["call"], eqn.params["jaxpr"], types, jaxprs.trace_context())
        if key not in self._calls:
            call, jaxpr = eqn.params["call"], eqn.params["jaxpr"]
            formula = lambda *wide: self.evaluate(jaxprs.program(jaxpr)[0], wide)
            self._calls[key] = Call(formula, list(map(jax.typeof, values)), call.widened(self, *types))
        return self._calls[key](*values)

    def _custom_jvp(self, eqn, values, active):
        inner, n = inside(eqn), eqn.params["num_consts"]
        with self.settings.applied():
            rule, consts, has_tangent = jaxprs.custom_jvp_program(eqn, active)
        symbolic = eqn.params["symbolic_zeros"]

        @jax.custom_jvp
        @_standing_for(eqn)
        def function(*values):
            return self.evaluate(inner, values, active)

        @function.defjvp
        def _(primals, tangents):
            given = [t for t, a in zip(tangents[n:], active[n:]) if a or not symbolic]
            on = [False] * len(consts) + active[n:] + [True] * len(given)
            out = self.evaluate(rule, [*map(self.value, consts), *primals[n:], *given], on)
            y, found = out[: len(eqn.outvars)], iter(out[len(eqn.outvars) :])
            return y, [next(found) if on else jaxprs.zeros(jax.typeof(o).to_tangent_aval()) for o, on in zip(y, has_tangent)]

        return function(*values)

    def _custom_vjp(self, eqn, values, active):
        inner, types = inside(eqn), [v.aval for v in eqn.invars]
        parts, n_out = jaxprs.custom_vjp_parts(eqn), len(eqn.outvars)
        residuals: list = []  # None for those that are traced; the others are no numbers of the program's: flags for Python perhaps

        def outputs_and_traced(*values):
            outputs, found = parts.forward(values, active)
            residuals[:] = [None if jaxprs.is_traced(x) else x for x in found]
            return [*outputs, *filter(jaxprs.is_traced, found)]

        with self.settings.applied():
            forward, consts = jaxprs.trace(outputs_and_traced, *types)
        kept = [v.aval for v in forward.outvars[n_out:]]
        dys = [v.aval.to_tangent_aval() for v in eqn.outvars]
        on: list[bool] = []

        def flat(*given):
            given = iter(given)
            everything = [next(given) if x is None else x for x in residuals]
            dxs = parts.backward(everything, [jaxprs.zeros(a) if _is_empty(a) else next(given) for a in dys])
            on[:] = [a and dx is not None and not _is_empty(jax.typeof(dx)) for a, dx in zip(active, dxs)]
            return [dx for dx, a in zip(dxs, on) if a]

        with self.settings.applied():
            backward, more = jaxprs.trace(flat, *kept, *(a for a in dys if not _is_empty(a)))

        @jax.custom_vjp
        @_standing_for(eqn)
        def function(*values):
            return self.evaluate(inner, values, active)

        def function_fwd(*values):
            out = self.evaluate(forward, [*map(self.value, consts), *values], [])
            return out[:n_out], out[n_out:]

        def function_bwd(residuals, cotangents):
            given = [c for c, a in zip(cotangents, dys) if not _is_empty(a)]
            found = iter(self.evaluate(backward, [*map(self.value, more), *residuals, *given], []))
            return tuple(next(found) if a else None for a in on)

        function.defvjp(function_fwd, function_bwd)
        return function(*values)


def _active_inside(eqn, active) -> list[bool] | None:
    """Which inputs of the programs inside an equation are differentiated, [] for none; None where all that can be."""
    if not any(active):
        return []
    if eqn.primitive.name == "cond":
        return active[1:]
    if eqn.primitive.name in jaxprs.CHECKPOINTS:
        return active
    if eqn.primitive.name != "scan":
        return None
    scan, on = jaxprs.scan_parts(eqn), list(active)
    carried = slice(scan.consts, scan.consts + scan.carry)
    can_be = [jaxprs.is_differentiable(v.aval) for v in scan.body.invars[carried]]
    while on[carried] != (again := [a or b and c for a, b, c in zip(on[carried], jaxprs.dependent(scan.body, on)[len(on) :], can_be)]):
        on[carried] = again
    return on


def _standing_for(eqn) -> Callable:
    """A decorator: JAX then takes the function for the user's own, by name, file and line, as blame gives them."""
    name, _, place = jaxprs.source_of_equation(eqn).partition(" at ")
    file, _, line = place.rpartition(":")

    def decorate(function):
        code = (lambda *values: None).__code__
        code = code.replace(co_name=name or "function", co_filename=file, co_firstlineno=int(line) if line.isdigit() else 1)
        function.__wrapped__ = types.FunctionType(code, {}, name or "function")
        return function

    return decorate


def is_op(eqn) -> bool:
    """Whether this is a call of an op that has a written backward, wherever it may be used."""
    return eqn.primitive.name == "op" and eqn.params["call"].is_written([False] * len(eqn.invars))


def widened(prog: Program, widening: Widening, avals: Sequence[Any], active: Sequence[bool]) -> tuple[Program, list]:
    """The wide program, for inputs of which these are the own types and these are differentiated, and its constants (which come first)."""
    with jax.enable_x64(True):
        return jaxprs.trace(lambda *values: widening.evaluate(prog, values, active), *map(widening._aval, avals))


def wide_type(dtype) -> Any:
    """float64 or complex128 for a floating or complex type, else the type itself."""
    if jnp.issubdtype(dtype, jnp.floating):
        return np.dtype(np.float64)
    return np.dtype(np.complex128) if jnp.issubdtype(dtype, jnp.complexfloating) else dtype


def widest(x) -> Any:
    """A value in its wide type, without a weak one."""
    if not hasattr(x, "dtype") or not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    if isinstance(x, np.ndarray | np.generic):
        return np.asarray(x, wide_type(x.dtype))
    with jax.enable_x64(True):
        return lax.convert_element_type(x, wide_type(x.dtype))


def _in_type(x, aval):
    is_inexact = hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.inexact)
    return lax.convert_element_type(x, aval.dtype) if is_inexact else x


def _is_floating(x) -> bool:
    return hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)


def _is_empty(aval) -> bool:
    return aval.dtype == jax.dtypes.float0


def _bits(dtype) -> int:
    return jnp.finfo(dtype).bits if jnp.issubdtype(dtype, jnp.floating) else 0
