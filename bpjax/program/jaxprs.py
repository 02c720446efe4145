"""Reads JAX's equations. The one file that knows how a version of JAX spells their parameters."""

import contextlib
import functools
import inspect
import itertools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.core import Tracer
from jax.extend import core, linear_util
from jax.sharding import NamedSharding, PartitionSpec

from .places import has_64_bits, standing_at, x64_is_on

Literal = core.Literal


class Program(NamedTuple):
    """A list of equations from `invars` to `outvars`; constants are inputs like any other."""

    invars: Sequence[Any]
    eqns: Sequence[Any]
    outvars: Sequence[Any]


def program(jaxpr) -> tuple[Program, list]:
    """A jaxpr, open or closed, as a program whose first inputs are its constants, and those constants."""
    consts = list(getattr(jaxpr, "consts", ()))
    inner = getattr(jaxpr, "jaxpr", jaxpr)
    return Program([*inner.constvars, *inner.invars], inner.eqns, inner.outvars), consts


def name_of(eqn) -> str:
    """The name of what an equation does: its primitive's; of those that JAX takes apart before it lowers them, that of their kind."""
    return type(eqn.params["_prim"]).__name__ if eqn.primitive.name == "call_hi_primitive" else eqn.primitive.name


def as_array(x) -> Any:
    """NumPy's array as JAX's, which a traced index may read."""
    if not isinstance(x, np.ndarray | np.generic) or x.dtype == jax.dtypes.float0:
        return x
    with jax.enable_x64(True) if has_64_bits(x.dtype) and not x64_is_on() else contextlib.nullcontext(), jax.ensure_compile_time_eval():
        return jnp.asarray(x)


def open_jaxpr(jaxpr):
    """The open jaxpr inside a closed one."""
    return getattr(jaxpr, "jaxpr", jaxpr)


def every_equation(jaxpr):
    """The equations of a jaxpr and of all jaxprs inside it."""
    yield from every_equation_of(program(jaxpr)[0])


def inner_jaxprs(eqn):
    """The jaxprs among the parameters of an equation. (An op's other one, for several devices, is the same once more.)"""
    inner = [value for name, value in eqn.params.items() if name != "on_devices"]
    while inner:
        value = inner.pop()
        if hasattr(value, "eqns"):
            yield value
        elif isinstance(value, tuple | list):
            inner.extend(value)


def every_equation_of(prog: Program):
    """The same of a program."""
    for eqn in prog.eqns:
        yield eqn
        for value in inner_jaxprs(eqn):
            yield from every_equation(value)


def trace(f: Callable, *args) -> tuple[Program, list]:
    """The equations of `f` at flat arrays (or their types), and the constants that come first."""
    return program(jax.make_jaxpr(f)(*args))


def as_jaxpr(prog: Program, name: str):
    """The program as a closed jaxpr without constants."""
    return like(_EMPTY, prog, debug_info=core.DebugInfo("bpjax", name, None, None), effects=_effects(prog))


def _effects(prog: Program) -> frozenset:
    return frozenset().union(*(eqn.effects for eqn in prog.eqns))


def types_of(jaxpr) -> tuple[list, Any]:
    """The types of a jaxpr's outputs, and its effects."""
    inner = open_jaxpr(jaxpr)
    return [v.aval for v in inner.outvars], inner.effects


@functools.lru_cache(maxsize=1024)
def is_high(jaxpr) -> bool:
    """Whether it holds equations that JAX takes apart before it lowers them (`jax.experimental.hijax`, in newer versions also its own)."""
    return any(e.primitive.is_high(*(v.aval for v in e.invars), **e.params) for e in open_jaxpr(jaxpr).eqns)


def holds_64_bits(jaxpr) -> bool:
    """Whether an equation makes values of 64 bits."""
    return any(has_64_bits(v.aval.dtype) for e in every_equation(jaxpr) for v in e.outvars if hasattr(v.aval, "dtype"))


def dce(prog: Program) -> Program:
    """The program without equations that no output depends on, and that have no effect."""
    used = {v for v in prog.outvars if not isinstance(v, Literal)}
    live = []
    for eqn in reversed(prog.eqns):
        if eqn.effects or any(v in used for v in eqn.outvars):
            live.append(eqn)
            used.update(v for v in eqn.invars if not isinstance(v, Literal))
    return prog._replace(eqns=live[::-1])


def dependent(prog: Program, on: Sequence[bool], axis_name: Any = None) -> list[bool]:
    """Which inputs and outputs depend on these of the inputs, or on the axis of this name, by whatever equation."""
    found = {v for v, flag in zip(prog.invars, on) if flag}
    for eqn in prog.eqns:
        if any(v in found for v in eqn.invars if not isinstance(v, Literal)) or _mentions(eqn, axis_name):
            found.update(eqn.outvars)
    return [not isinstance(v, Literal) and v in found for v in (*prog.invars, *prog.outvars)]


def _mentions(eqn, axis_name) -> bool:
    if not isinstance(axis_name, str | tuple):
        return False
    inside = (e for jaxpr in inner_jaxprs(eqn) for e in every_equation(jaxpr))
    return any(axis_name in _names(e.params.get(p)) for e in (eqn, *inside) for p in ("axis_name", "axes"))


def _names(axes) -> tuple:
    return axes if isinstance(axes, tuple) else (axes,)


def trace_context() -> Any:
    """What a trace depends on besides its arguments (x64, matmul precision, mesh, axis names, ...): one object for equal contexts."""
    return _context(_NOTHING)


def _nothing():
    pass


_NOTHING = linear_util.wrap_init(_nothing, debug_info=jax.api_util.debug_info("trace_context", _nothing, (), {}))
_context = linear_util.cache(lambda _: object())


def bind(eqn, values: Sequence[Any]) -> list:
    """Run one equation as JAX would, with its name stack and its line of source."""
    with standing_at(eqn):
        return evaluate(eqn, values)


def evaluate(eqn, values: Sequence[Any]) -> list:
    """The same where one stands there already."""
    out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return list(out) if eqn.primitive.multiple_results else [out]


def is_differentiable(aval) -> bool:
    """Whether values of this type carry gradients."""
    return _is_inexact(aval.dtype)


@functools.lru_cache
def _is_inexact(dtype) -> bool:
    return jnp.issubdtype(dtype, jnp.inexact)


def is_ref(aval) -> bool:
    """Whether this is a mutable reference (`jax.new_ref`) and not a value."""
    return hasattr(aval, "inner_aval")


def is_inexact(x) -> bool:
    """What can be differentiated: an array or a number of a real or complex type."""
    return is_arraylike(x) and jnp.issubdtype(jnp.result_type(x), jnp.inexact)


def dtype_of(x) -> Any:
    """The type that a value has. (`jnp.result_type` gives that to which a weak one would be promoted.)"""
    return x.dtype if hasattr(x, "dtype") else jnp.result_type(x)


def zeros(aval) -> Any:
    """Zeros of an equation variable's type; for PRNG keys, some key."""
    if jnp.issubdtype(aval.dtype, jax.dtypes.prng_key):
        data = jax.eval_shape(jax.random.key_data, aval)
        return jax.random.wrap_key_data(jnp.zeros(data.shape, data.dtype), impl=aval.dtype._impl.name)
    if aval.dtype == jax.dtypes.float0:
        return np.zeros(aval.shape, jax.dtypes.float0)
    with jax.enable_x64(True) if has_64_bits(aval.dtype) else contextlib.nullcontext():
        return typed(jnp.zeros(aval.shape, aval.dtype), aval)


def varying(x) -> frozenset:
    """The axes of a mesh over which a value, or one of this type, varies inside a `shard_map`."""
    aval = x if hasattr(x, "manual_axis_type") else jax.typeof(x)
    return frozenset(getattr(getattr(aval, "manual_axis_type", None), "varying", None) or ())


def varying_as(x, aval) -> Any:
    """The value, varying over the axes over which one of this type does, too."""
    missing = tuple(sorted(varying(aval) - varying(x), key=str))
    return lax.pcast(x, missing, to="varying") if missing else x


def explicit_sharding(aval, order: Sequence[int] | None = None) -> Any:
    """The sharding that the type of a value carries on an explicit mesh, its axes in this order; None where it carries none."""
    sharding = getattr(aval, "sharding", None)
    if sharding is None or sharding.mesh.empty or not sharding.mesh.are_all_axes_explicit:
        return None
    return sharding if order is None else sharding.update(spec=PartitionSpec(*(sharding.spec[i] for i in order)))


def is_laid_out(aval) -> bool:
    """Whether its type says that it is split over the devices of an explicit mesh."""
    sharding = explicit_sharding(aval)
    return sharding is not None and any(part is not None for part in sharding.spec)


def is_elsewhere(eqn) -> bool:
    """Whether it makes values on another mesh than the one around: where the compiler lays out inside an explicit one, for example."""
    meshes = [v.aval.sharding.mesh for v in eqn.outvars if hasattr(v.aval, "sharding")]
    return any(mesh not in (NO_MESH, jax.sharding.get_abstract_mesh()) for mesh in meshes)


def replicated(aval) -> Any:
    """The type of the same array on every device."""
    return aval if not is_laid_out(aval) else aval.update(sharding=aval.sharding.update(spec=PartitionSpec(*[None] * aval.ndim)))


def placed(x, avals: Sequence[Any]) -> Any:
    """The array on the explicit mesh on which one of these types is laid out: on every device, if it lies on none yet."""
    if not jax.typeof(x).sharding.mesh.empty:
        return x
    sharding = next(filter(is_laid_out, avals)).sharding
    return _resharded(x, sharding.update(spec=PartitionSpec(*[None] * jax.typeof(x).ndim)))


def laid_out_as(aval, shape: Sequence[int]) -> Any:
    """The sharding of an array of this shape whose first axes lie as those of another do, as far as they have the same sizes."""
    alike = itertools.takewhile(lambda sizes: sizes[0] == sizes[1], zip(shape, aval.shape))
    spec = [part for part, _ in zip(aval.sharding.spec, alike)]
    return aval.sharding.update(spec=PartitionSpec(*spec, *[None] * (len(shape) - len(spec))))


def without_layouts(f: Callable, layouts: Any) -> Callable:
    """`f` on an explicit mesh, its insides laid out by the compiler, as without one, and its outputs like this."""
    mesh = jax.tree.leaves(layouts)[0].mesh
    return jax.sharding.auto_axes(f, axes=mesh.axis_names, out_sharding=layouts)


def may_be_split(jaxpr) -> bool:
    """Whether XLA may split the values of this jaxpr among devices: no type says how they lie, and no `shard_map` has split them."""
    mesh = jax.sharding.get_abstract_mesh()
    avals = [v.aval for v in (*jaxpr.invars, *jaxpr.outvars)]
    is_free = not (mesh.manual_axes or mesh.explicit_axes) and not any(varying(a) or is_laid_out(a) for a in avals)
    return is_free and all(isinstance(n, int) for a in avals for n in a.shape)


def is_split(ctx) -> bool:
    """Whether what is being lowered is one program for several devices, which are there; not so what each runs inside a `shard_map`."""
    context = ctx.module_context.axis_context
    devices, is_known = getattr(context, "device_assignment", None), getattr(context, "abstract_mesh", None) is not None
    return is_known and devices is not None and len(devices) > 1 and not ctx.module_context.lowering_parameters.for_export


def devices_along(mesh, names: Sequence[str]) -> int:
    """Into how many parts these axes of a mesh split."""
    return math.prod(mesh.shape[name] for name in names)


def barrier(arrays: Any) -> Any:
    """`lax.optimization_barrier`, which would make everything vary over what anything does: so once for each kind."""
    leaves, tree = jax.tree.flatten(arrays)
    kinds: dict[frozenset, list[int]] = {}
    for i, x in enumerate(leaves):
        kinds.setdefault(varying(x), []).append(i)
    for places in kinds.values():
        for i, x in zip(places, lax.optimization_barrier([leaves[i] for i in places])):
            leaves[i] = x
    return jax.tree.unflatten(tree, leaves)


def typed(x, aval) -> Any:
    """A cotangent with the type of its value on the mesh around: varying over the same axes of it, and with the same sharding."""
    sharding = getattr(aval, "sharding", None)
    if sharding is None or x.dtype == jax.dtypes.float0:
        return x
    if sharding.mesh.empty:  # a value from outside; its cotangent may come from where the compiler lays out
        if jax.typeof(x).sharding.mesh.empty or (around := jax.sharding.get_abstract_mesh()).empty:
            return x
        return brought(x, around)
    have, wanted = varying(x), varying(aval)
    if extra := tuple(sorted(have - wanted, key=str)):
        x = lax.psum(x, extra)
    x = varying_as(x, aval)
    lies = jax.typeof(x).sharding
    if lies.mesh not in (sharding.mesh, NO_MESH) or (explicit_sharding(aval) is not None and lies.spec != sharding.spec):
        x = _resharded(x, sharding)
    return x


def on_every_device(x) -> Any:
    """The array, on an explicit mesh on every device of it."""
    return typed(x, replicated(jax.typeof(x)))


def brought(x, mesh) -> Any:
    """The array on this mesh: from where the compiler lays out inside an explicit one, on every device of that."""
    if not is_arraylike(x) or jax.typeof(x).sharding.mesh in (mesh, NO_MESH):
        return x
    return _resharded(x, NamedSharding(mesh, PartitionSpec(*[None] * jnp.ndim(x))))


def explicit_mesh_around() -> Any:
    """The mesh around, if it is an explicit one; else None."""
    mesh = jax.sharding.get_abstract_mesh()
    return mesh if not mesh.empty and mesh.are_all_axes_explicit else None


NO_MESH = jax.sharding.AbstractMesh((), ())


def _resharded(x, sharding) -> Any:
    with jax.sharding.use_abstract_mesh(sharding.mesh):
        return jax.sharding.reshard(x, sharding)


def is_traced(x) -> bool:
    """Whether this is a value of a trace that is going on."""
    return isinstance(x, Tracer)


def is_deleted(x) -> bool:
    """Whether this is an array whose memory a donating call took."""
    return isinstance(x, jax.Array) and not is_traced(x) and x.is_deleted()


def is_arraylike(x) -> bool:
    """What can become an array: an array, a tracer, a number."""
    return isinstance(x, jax.Array | np.ndarray | np.generic | int | float | complex | bool)


def literal(atom) -> Any:
    """The value of a literal, as an array (JAX keeps numbers as Python's)."""
    return atom.val if hasattr(atom.val, "shape") else np.asarray(atom.val, atom.aval.dtype)


class Settings(NamedTuple):
    """What users set around a call, and what its written halves, traced later, must see too."""

    x64: bool
    matmul_precision: str | None

    @classmethod
    def now(cls) -> "Settings":
        return cls(x64_is_on(), jax.config.jax_default_matmul_precision)  # pyright: ignore[reportAttributeAccessIssue]  (made at run time)

    @contextlib.contextmanager
    def applied(self):
        with jax.enable_x64(self.x64), jax.default_matmul_precision(self.matmul_precision):
            yield


# ---- equations that hold equations ----


def inner_jaxpr(eqn):
    """The jaxpr inside `jit`, `checkpoint`, `closed_call`, `custom_jvp_call` and `custom_vjp_call`."""
    params = eqn.params
    return params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]


class Scan(NamedTuple):
    body: Program
    consts: int
    carry: int
    length: int
    reverse: bool
    unroll: int | bool


def scan_parts(eqn) -> Scan:
    p = eqn.params
    if "num_consts" in p:  # JAX 0.10
        consts, carry = p["num_consts"], p["num_carry"]
    else:  # JAX 0.12
        consts, carry, _ = (len(part) for part in p["ft_in"].unpack())
    body, constants = program(p["jaxpr"])
    body = with_constants(body, constants)
    return Scan(body, consts, carry, p["length"], p["reverse"], p["unroll"])


def cond_branches(eqn) -> list[Program]:
    return [with_constants(*program(branch)) for branch in eqn.params["branches"]]


def while_parts(eqn, values: Sequence[Any]) -> tuple[Program, Program, list, list, list]:
    """Condition and body of a `while`; of these inputs, the constants of each, and the carry."""
    condition, body = (with_constants(*program(eqn.params[name])) for name in ("cond_jaxpr", "body_jaxpr"))
    n = eqn.params["cond_nconsts"]
    m = n + eqn.params["body_nconsts"]
    return condition, body, list(values[:n]), list(values[n:m]), list(values[m:])


def indexers(eqn, values: Sequence[Any]) -> list[list] | None:
    """Where an equation on a reference reads or writes, the outermost first: an integer array, or (start, size, stride), for each axis.

    None where it does more than index. `values`: those of its last inputs.
    """
    found = jax.tree.unflatten(eqn.params["tree"], values)
    if not all(hasattr(indexer, "indices") and not indexer.is_dynamic_size for indexer in found):
        return None
    return [[(i.start, i.size, i.stride) if hasattr(i, "stride") else i for i in indexer.indices] for indexer in found]


def with_constants(prog: Program, constants: Sequence[Any]) -> Program:
    """The program with its leading inputs replaced by these constants, as literals."""
    if not constants:
        return prog
    literal = {v: Literal(c, v.aval) for v, c in zip(prog.invars, constants)}

    def swap(atom):
        return atom if isinstance(atom, Literal) else literal.get(atom, atom)

    eqns = [e.replace(invars=[swap(v) for v in e.invars]) for e in prog.eqns]
    return Program(prog.invars[len(constants) :], eqns, [swap(v) for v in prog.outvars])


class CustomVjp(NamedTuple):
    forward: Callable  # (values, active) -> outputs, residuals
    backward: Callable  # (residuals, output cotangents) -> input cotangents, None for zero


def custom_vjp_parts(eqn) -> CustomVjp:
    params = eqn.primitive.get_bind_params(eqn.params)
    _, fwd, bwd = params["subfuns"]

    def forward(values, active):
        values = list(map(as_array, values))
        flat = fwd.call_wrapped(*(x for pair in zip(values, active) for x in pair))
        _, residual_tree, forwarded = params["out_trees"]()
        kept = residual_tree.num_leaves - sum(f is not None for f in forwarded)
        made, outputs = map(as_array, flat[:kept]), flat[kept:]
        return list(outputs), [next(made) if f is None else values[f] for f in forwarded]

    def backward(residuals, cotangents):
        out = bwd.call_wrapped(*residuals, *cotangents)
        if isinstance(out, tuple) and len(out) == 2 and isinstance(out[0], list):  # JAX 0.12: (cotangents, logs)
            out = out[0]
        return [ct if hasattr(ct, "shape") and hasattr(ct, "dtype") else None for ct in map(_array_or_none, out)]

    return CustomVjp(forward, backward)


def _array_or_none(ct):
    """JAX's own marks for a zero cotangent become None."""
    return None if type(ct).__name__ in ("Zero", "SymbolicZero", "NoneType") else ct


def custom_jvp_program(eqn, active: Sequence[bool]) -> tuple[Program, list, list[bool]]:
    """The user's jvp rule: primals and tangents in, primals and tangents out.

    Also the constants that come first, and which outputs have a tangent. Tangents of inactive inputs are passed too unless
    the rule asked for symbolic zeros.
    """
    p = eqn.params
    symbolic = [p["symbolic_zeros"] and not a for a in active[p["num_consts"] :]]
    jaxpr, consts, out_zeros = p["jvp_jaxpr_fun"].call_wrapped(*symbolic)
    return program(jaxpr)[0], list(consts), [not z for z in out_zeros]


def is_saved(policy, eqn) -> bool:
    """Whether a checkpoint policy keeps the outputs of this equation."""
    if policy is None:
        return False
    answer = policy(eqn.primitive, *(v.aval for v in eqn.invars), **eqn.params)
    return answer is True or type(answer).__name__ == "SaveableType"


# ---- programs rewritten ----


def variable(aval) -> Any:
    """A new variable of this type."""
    return core.Var(aval)


def inner_programs(eqn) -> list[Program]:
    """The programs inside an equation that keeps its own: scan, cond, checkpoint. Empty for all others."""
    name = eqn.primitive.name
    if name == "scan":
        return [scan_parts(eqn).body]
    if name == "cond":
        return cond_branches(eqn)
    if name in CHECKPOINTS:
        return [with_constants(*program(inner_jaxpr(eqn)))]
    return []


CHECKPOINTS = ("remat2", "checkpoint", "remat")


def with_inner(eqn, programs: Sequence[Program]) -> Any:
    """The equation with other programs inside, of the same inputs and outputs as those that `inner_programs` gave."""
    if not programs:
        return eqn
    if eqn.primitive.name == "cond":
        return eqn.replace(params=eqn.params | {"branches": tuple(map(like, eqn.params["branches"], programs))})
    name = "jaxpr" if "jaxpr" in eqn.params else "call_jaxpr"
    return eqn.replace(params=eqn.params | {name: like(eqn.params[name], programs[0])})


def like(old, prog: Program, **changes):
    """The program in the form of `old`, a jaxpr, open or closed."""
    inner = open_jaxpr(old).replace(constvars=[], invars=list(prog.invars), eqns=list(prog.eqns), outvars=list(prog.outvars), **changes)
    return core.ClosedJaxpr(inner, []) if hasattr(old, "consts") else inner


_EMPTY = jax.make_jaxpr(lambda: ())()


def renamed(eqn, invars: Sequence[Any], outvars: Sequence[Any], around: Sequence[Any] = ()) -> Any:
    """The equation on other variables; with `around`, the equations that held it from the outside in, it carries their modules and line."""
    info = eqn.source_info
    for holder in reversed(around):
        outer = holder.source_info
        traceback = outer.traceback if is_of_jax(holder) else info.traceback
        info = info.replace(name_stack=outer.name_stack + info.name_stack, traceback=traceback)
    return eqn.replace(invars=list(invars), outvars=list(outvars), source_info=info)


def is_of_jax(eqn) -> bool:
    """Whether the function under `jit`, `custom_jvp` or `custom_vjp` is one of JAX's own, such as `jnp.where`."""
    if not {"jaxpr", "call_jaxpr"} & set(eqn.params):
        return False
    debug = getattr(open_jaxpr(inner_jaxpr(eqn)), "debug_info", None)
    return f" at {_JAX}" in str(getattr(debug, "func_src_info", ""))


_JAX = os.path.dirname(jax.__file__) + os.sep


def source_of_equation(eqn) -> str:
    """`name at file:line` of the function under `custom_jvp` or `custom_vjp`."""
    debug = getattr(open_jaxpr(inner_jaxpr(eqn)), "debug_info", None)
    return str(getattr(debug, "func_src_info", ""))


def source_of_function(f: Callable) -> str:
    """The same of a function."""
    code = inspect.unwrap(f).__code__
    return f"{inspect.unwrap(f).__name__} at {code.co_filename}:{code.co_firstlineno}"


def named(atom, name: str) -> tuple[Any, Any]:
    """An equation that names a value, and the variable that holds it from there on."""
    mesh = getattr(atom.aval, "sharding", None) and atom.aval.sharding.mesh
    with jax.sharding.use_abstract_mesh(mesh) if mesh and not mesh.empty else contextlib.nullcontext():
        traced, _ = trace(lambda x: checkpoint_name(x, name), atom.aval)
    out = variable(atom.aval)
    return traced.eqns[0].replace(invars=[atom], outvars=[out]), out


def function_name(eqn) -> str:
    """The name of the op, or of the function inside `jit`, `custom_jvp_call` or `custom_vjp_call`; empty for all others."""
    if eqn.primitive.name == "op":
        return eqn.params["call"].name
    if eqn.primitive.name in ("jit", "pjit"):
        return eqn.params["name"]
    if eqn.primitive.name in ("custom_jvp_call", "custom_vjp_call"):
        debug = getattr(open_jaxpr(inner_jaxpr(eqn)), "debug_info", None)
        return str(getattr(debug, "func_src_info", "")).split(" ")[0]
    return ""
