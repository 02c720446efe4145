"""A call of a function that was traced once: the JAX primitive `op`, and what JAX's transformations make of it.

    call = Call(f, avals, head)
    outputs = call(*values)            # leaves one equation, `op`, that holds the jaxpr of f

`head` says what is called. The sweep asks it for a rule (an op has written halves; other calls only stand for their equations), and
`vmap` for the head of the mapped call. Whatever else is done with a call is done with its jaxpr: typing, running, JAX's own
differentiation (which therefore never sees a written rule) and lowering. No Python is run again.
"""

import collections
import contextlib
import functools
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.interpreters import ad, batching, mlir

from . import jaxprs
from .jaxprs import Literal

op_p = core.Primitive("op")
op_p.multiple_results = True


class Head:
    """What an `op` equation is a call of."""

    name = "call"

    def __repr__(self):
        return self.name

    def is_written(self, active: Sequence[bool]) -> bool:
        """Whether there is a written backward for it where these inputs are differentiated; else it only stands for its equations."""
        return False

    def with_consts(self, number: int) -> "Head":
        """The head of the same call, with so many values that it closes over before its arguments."""
        return self

    def mapped(self, dims: Sequence[int | None], out_dims: Sequence[int | None], axis: Any) -> "Head":
        """The head of the same call under `vmap`, whose arguments and outputs have these batch dimensions."""
        return self

    def widened(self, widening: Any, avals: tuple, out_avals: tuple) -> "Head":
        """The head of the same call in float64 (see `check/widened.py`), whose arguments and outputs had these types."""
        return self

    def batched(self, axis: Any, values: Sequence[Any], dims: Sequence[int | None]) -> tuple[list, list] | None:
        """The outputs of the call under `vmap` and their batch dimensions, where it says how it is batched."""
        return None

    def on_devices(self, jaxpr: Any) -> Any:
        """What to lower in the place of this jaxpr where several devices run one program (see `engine/shared.py`); None: the same."""
        return None


class Call:
    """A function of flat arrays, traced; called, it leaves one equation.

    With `hands_through`, outputs that are inputs or constants are those very objects, and the equation makes the others.
    """

    def __init__(self, f: Callable, avals: Sequence[Any], head: Head, hands_through: bool = False):
        prog, self.consts = jaxprs.trace(f, *avals)
        number = {v: i for i, v in enumerate(prog.invars)} if hands_through else {}
        made = [v for v in prog.outvars if not hands_through or not (isinstance(v, Literal) or v in number)]
        made = list(dict.fromkeys(made)) if hands_through else made
        self.is_closed = not any(map(jaxprs.is_traced, self.consts))
        self.program = jaxprs.dce(prog._replace(outvars=made))
        self.head, self.jaxpr = head.with_consts(len(self.consts)), jaxprs.as_jaxpr(self.program, head.name)
        on_devices = self.head.on_devices(self.jaxpr)
        self.more = {} if on_devices is None else {"on_devices": on_devices}
        first = len(prog.invars)
        self.outputs = range(first, first + len(made))  # each as a number among inputs and what is made; or a constant itself
        if hands_through:
            number |= {v: first + i for i, v in enumerate(made)}
            self.outputs = [jaxprs.literal(v) if isinstance(v, Literal) else number[v] for v in prog.outvars]

    def __call__(self, *values) -> list:
        everything = [*self.consts, *values]
        if self.program.outvars or self.program.eqns:
            everything += op_p.bind(*everything, call=self.head, jaxpr=self.jaxpr, **self.more)
        return [everything[i] if isinstance(i, int) else i for i in self.outputs]

    def types(self, avals: Sequence[Any]) -> list:
        """The types of the outputs for arguments of these types."""
        return [v.aval for v in jaxprs.trace(self, *avals)[0].outvars]

    def depends(self, on: Sequence[bool], axis_name: Any) -> list[bool]:
        """Which outputs depend on these of the inputs, or on the axis, by whatever equation."""
        flags = jaxprs.dependent(self.program, [False] * len(self.consts) + list(on), axis_name)
        return [flags[i] if isinstance(i, int) else False for i in self.outputs]


class Bounded:
    """A cache of at most `size` values that forgets what was not asked for longest. Several threads may use it."""

    def __init__(self, size: int):
        self.size, self._values, self._lock = size, collections.OrderedDict(), threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any], is_kept: Callable[[Any], bool] = lambda value: True) -> Any:
        """The value of this key, made if it is not there; in the end all threads get the same one."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        if not is_kept(value):
            return value
        with self._lock:
            value = self._values.setdefault(key, value)
            if len(self._values) > self.size:
                self._values.popitem(last=False)
        return value

    def __len__(self):
        return len(self._values)


# ---- what JAX's transformations make of a call ----


@functools.lru_cache(maxsize=4096)
def _compiled(jaxpr) -> Callable:
    return jax.jit(core.jaxpr_as_fun(jaxpr))


@op_p.def_impl
def _run(*values, call, jaxpr, on_devices=None):
    return _compiled(jaxpr)(*values)


@op_p.def_effectful_abstract_eval
def _types(*_, call, jaxpr, on_devices=None):
    return jaxprs.types_of(jaxpr)


def _lower(ctx, *values, call, jaxpr, on_devices=None):
    """A function of its own in the module, called from `module/path/NAME`, as profilers show it."""
    jaxpr = on_devices if on_devices is not None and jaxprs.is_split(ctx) else jaxpr
    ir = mlir.ir
    with ir.Location.name(str(ctx.name_stack.extend(call.name)), childLoc=ir.Location.current):  # pyright: ignore[reportArgumentType]
        if jaxprs.is_high(jaxpr):
            with jax.enable_x64(True) if jaxprs.holds_64_bits(jaxpr) else contextlib.nullcontext():
                return _lowered_by_tracing(ctx, *values, jaxpr=jaxpr)
        return mlir.core_call_lowering(ctx, *values, name=call.name, call_jaxpr=jaxpr)


_lowered_by_tracing = mlir.lower_fun(lambda *values, jaxpr: core.jaxpr_as_fun(jaxpr)(*values))


mlir.register_lowering(op_p, _lower, cacheable=False)  # JAX's cache of lowerings forgets where each call stands


def _jvp(primals, tangents, *, call, jaxpr, on_devices=None):
    """JAX's derivative of the formula: its equations, one by one."""
    on = [i for i, t in enumerate(tangents) if type(t) is not ad.Zero]

    def of_active(*active):
        full = list(primals)
        for i, x in zip(on, active):
            full[i] = x
        return core.jaxpr_as_fun(jaxpr)(*full)

    outputs, slopes = jax.jvp(of_active, [primals[i] for i in on], [tangents[i] for i in on])
    return outputs, [ad.Zero(jax.typeof(y).to_tangent_aval()) if t.dtype == jax.dtypes.float0 else t for y, t in zip(outputs, slopes)]


def _transpose(cotangents, *values, call, jaxpr, on_devices=None):
    """Of a call that is linear in some arguments: it stood in somebody's tangent function."""
    on = [i for i, x in enumerate(values) if ad.is_undefined_primal(x)]

    def of_linear(*linear):
        full = list(values)
        for i, x in zip(on, linear):
            full[i] = x
        return core.jaxpr_as_fun(jaxpr)(*full)

    back = jax.linear_transpose(of_linear, *(values[i].aval for i in on))
    found = dict(zip(on, back([ad.instantiate_zeros(ct) for ct in cotangents])))
    return [found.get(i) for i in range(len(values))]


ad.primitive_jvps[op_p] = _jvp
ad.primitive_transposes[op_p] = _transpose
_mapped_calls = Bounded(1024)


def _batch(axis, values, dims, *, call, jaxpr, **on_devices):
    """The same call of the mapped formula; or what the op says of its own. (JAX asks of every call, also where nothing is mapped.)"""
    if not any(_depends(jaxpr, dims, axis)):
        return op_p.bind(*values, call=call, jaxpr=jaxpr, **on_devices), [None] * len(jaxprs.types_of(jaxpr)[0])
    if (declared := call.batched(axis, values, dims)) is not None:
        return declared
    key = (call, jaxpr, tuple(dims), axis.name, axis.size, axis.spmd_name, tuple(map(jax.typeof, values)), jaxprs.trace_context())
    mapped, out_dims = _mapped_calls.get(key, lambda: _mapped(axis, values, dims, call, jaxpr), lambda made: made[0].is_closed)
    return mapped(*values), out_dims


def _depends(jaxpr, dims, axis) -> list[bool]:
    """Which outputs depend on what is mapped, or on the axis."""
    return jaxprs.dependent(jaxprs.program(jaxpr)[0], [d is not None for d in dims], axis.name)[len(dims) :]


def _mapped(axis, values, dims, call, jaxpr) -> tuple[Call, list]:
    out_dims = [0 if d else None for d in _depends(jaxpr, dims, axis)]
    f = over_axis(core.jaxpr_as_fun(jaxpr), dims, out_dims, axis)
    return Call(f, list(map(jax.typeof, values)), call.mapped(tuple(dims), tuple(out_dims), axis)), out_dims


def over_axis(f: Callable, dims: Sequence[int | None], out_dims: Sequence[int | None], axis: Any) -> Callable:
    """`f` of flat arrays under the axis of a `vmap`."""
    mapped = lambda f, dims: jax.vmap(
        f, tuple(dims), list(out_dims), axis_size=axis.size, axis_name=axis.name, spmd_axis_name=axis.spmd_name
    )
    if any(d is not None for d in dims):
        return mapped(f, dims)
    by_number = mapped(lambda _, *values: f(*values), (0, *dims))  # vmap wants something to map
    return lambda *values: by_number(jnp.arange(axis.size), *values)


def found_under_axis(find: Callable[[], Any], avals: Sequence[Any], dims: Sequence[int | None], axis: Any) -> Any:
    """What `find` returns when it is called under the axis of a `vmap` of values of these types."""
    found = None

    def under_axis(*_):
        nonlocal found
        found = find()
        return []

    jax.eval_shape(over_axis(under_axis, dims, (), axis), *avals)
    return found


batching.fancy_primitive_batchers[op_p] = _batch
