"""Every corner of JAX that the library reads still stands where it did: an upgrade of JAX fails here, by name.

Four kinds: the names that the library takes from JAX, found in its source; the parameters that the rules of primitives read, found in
theirs; the parameters that the engine reads; and what the rest is or does: attributes, signatures, what JAX gives to what we register.
"""

import ast
import contextlib
import functools
import importlib
import inspect
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.custom_derivatives import linear_call
from jax.experimental.custom_partitioning import ArrayMapping, SdyShardingRule, custom_partitioning
from jax.extend import core, linear_util, source_info_util
from jax.interpreters import ad, batching, mlir
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from primitive_cases import CASES

from bpjax.engine import RULES
from bpjax.engine.rule import PrimitiveRule
from bpjax.program import jaxprs, references, tracing

ROOT = Path(__file__).parents[2]
LIBRARY = sorted((ROOT / "bpjax").rglob("*.py"))


# ---- names ----


def dotted(node) -> str:
    """The text of `a.b.c`; empty for what is no such chain."""
    if isinstance(node, ast.Attribute):
        return (start := dotted(node.value)) and f"{start}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def names_of_jax(tree) -> set[str]:
    """The names of JAX that a file reads, in full."""
    full = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            full |= {a.asname or "jax": a.name if a.asname else "jax" for a in node.names if a.name.split(".")[0] == "jax"}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module.split(".")[0] == "jax":
            full |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    chains = (dotted(node).partition(".") for node in ast.walk(tree))
    return set(full.values()) | {full[first] + dot + rest for first, dot, rest in chains if first in full}


def found(name: str):
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.import_module(name)
    parent, _, last = name.rpartition(".")
    return getattr(found(parent), last)


NAMES = sorted(set().union(*(names_of_jax(ast.parse(path.read_text())) for path in LIBRARY)) - {"jax"})


@pytest.mark.parametrize("name", NAMES, ids=[f"{name} is there" for name in NAMES])
def test_a_name_that_the_library_takes_from_jax(name):
    found(name)


def test_no_file_names_the_private_side_of_jax():
    files = (path for folder in ("bpjax", "scripts", "examples") for path in (ROOT / folder).rglob("*"))
    sources = (path for path in files if path.is_file() and "__pycache__" not in path.parts)
    assert [str(path.relative_to(ROOT)) for path in sources if "jax._src" in path.read_text(errors="replace")] == []


# ---- parameters ----


@jax.custom_vjp
def product(x, y):
    return x * y


product.defvjp(lambda x, y: (x * y, (x, jnp.sin(x))), lambda saved, d: (d * saved[1], None))


@jax.custom_jvp
def double(x):
    return x + x


double.defjvp(lambda primals, tangents: (double(*primals), 2 * tangents[0]))


def step(c, carry, x):
    return carry * c, x + carry


MESH = jax.make_mesh((1,), ("i",), axis_types=(AxisType.Auto,))
PROGRAMS = {
    "scan": (lambda c, xs: lax.scan(functools.partial(step, c), 1.0, xs, reverse=True), 2.0, np.ones(3, np.float32)),
    "cond": (lambda x: lax.cond(x > 0, jnp.sin, jnp.cos, x), 1.0),
    "checkpoint": (jax.checkpoint(jnp.sin), 1.0),
    "jit": (jax.jit(jnp.sin), 1.0),
    "custom_jvp_call": (double, 1.0),
    "custom_vjp_call": (product, 1.0, 2.0),
    "name": (lambda x: checkpoint_name(x, "here"), 1.0),
    "while": (lambda x: lax.while_loop(lambda x: x < 9, lambda x: x * 2, x), 1.0),
    "custom_linear_solve": (jnp.linalg.solve, np.eye(2), np.ones(2)),
    "shard_map": (jax.shard_map(jnp.sin, mesh=MESH, in_specs=PartitionSpec("i"), out_specs=PartitionSpec("i")), np.ones(1, np.float32)),
    "get": (lambda i: jax.new_ref(np.ones((2, 3)))[i, :2], 1),
    "swap": (lambda i: jax.ref.swap(jax.new_ref(np.ones((2, 3))), (i, slice(2)), np.zeros(2)), 1),
    "addupdate": (lambda i: jax.ref.addupdate(jax.new_ref(np.ones((2, 3))), (i, slice(2)), np.zeros(2)), 1),
    "linear_call": (lambda x: linear_call(lambda r, x: r * x, lambda r, t: r * t, 2.0, x), 1.0),
}
SPELLED = {"checkpoint": jaxprs.CHECKPOINTS, "jit": ("jit", "pjit")}


def first(primitive: str, f, *args):
    """The first equation of this primitive in the trace of `f`."""
    names = SPELLED.get(primitive, (primitive,))
    equations = [eqn for eqn in jaxprs.every_equation(jax.make_jaxpr(f)(*args)) if eqn.primitive.name in names]
    assert equations, f"the program has no equation that is named {' or '.join(names)}"
    return equations[0]


@functools.cache
def equation(primitive: str):
    """An equation of this primitive: of a program above, or of the rules' table of cases."""
    if primitive in PROGRAMS:
        return first(primitive, *PROGRAMS[primitive])
    f, args = next((f, args) for name, _, f, args, _ in CASES if name == primitive)
    with jax.enable_x64(True):
        return first(primitive, f, *args)


def params(primitive: str) -> dict:
    return equation(primitive).params


def parameters_read(tree, holders: tuple[str, ...]) -> set[str]:
    """What is read by name from a variable or an attribute of one of these names: `eq["axes"]`, `eqn.params["jaxpr"]`."""
    reads = [node for node in ast.walk(tree) if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)]
    return {read.slice.value for read in reads if dotted(read.value).split(".")[-1] in holders and isinstance(read.slice.value, str)}


def parameters_of_rule(function) -> set[str]:
    """What a rule reads of its equation, itself or through the functions and classes of its file that it calls."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    beside = [vars(inspect.getmodule(function)).get(name) for name in called]
    helpers = [helper for helper in beside if getattr(helper, "__module__", None) == function.__module__]
    return parameters_read(tree, ("eq", "params")).union(*map(parameters_of_rule, helpers))


WRITTEN = {name: rule for name, rule in RULES.items() if isinstance(rule, PrimitiveRule)}
OF_RULES = [
    (name, parameter)
    for name in dict.fromkeys(primitive for primitive, *_ in CASES if primitive in WRITTEN)
    for parameter in sorted(parameters_of_rule(WRITTEN[name]._backward))
]


@pytest.mark.parametrize("primitive, parameter", OF_RULES, ids=[f"{name} has {parameter}" for name, parameter in OF_RULES])
def test_a_parameter_that_the_rule_of_a_primitive_reads(primitive, parameter):
    assert parameter in params(primitive)


def test_the_parts_of_a_linear_solve_and_how_it_takes_its_arguments():
    eqn = equation("custom_linear_solve")
    for part in ("const_lengths", "jaxprs"):
        assert eqn.params[part]._fields == ("matvec", "vecmat", "solve", "transpose_solve")
    assert len(eqn.invars) == sum(eqn.params["const_lengths"]) + 1


def test_the_transpose_of_a_linear_call_comes_with_its_constants():
    transpose, consts = params("linear_call")["transpose_thunk"]()
    assert len(jaxprs.program(transpose)[0].invars) == len(consts) + 2


@pytest.mark.skipif(not hasattr(lax, "polynomial"), reason="older versions of JAX have a custom_jvp in its place")
def test_the_functions_of_a_root_and_how_it_takes_its_arguments():
    eqn = first("call_hi_primitive", lambda a: lax.custom_root(lambda x: x - a, a, lambda g, x: a, lambda g, y: g(y)), 1.0)
    root = eqn.params["_prim"]
    _, guess, f_consts, tangent_consts = types = jax.tree.unflatten(root.in_tree, [v.aval for v in eqn.invars])
    assert (jaxprs.name_of(eqn), len(types), len(jax.tree.leaves(f_consts))) == ("CustomRoot", 4, 1)
    assert jax.eval_shape(root.f, f_consts, guess).shape == ()
    (inner,) = jaxprs.trace(root.tangent_solve, tangent_consts, guess, guess)[0].eqns
    assert inner.primitive.name == "eval_jaxpr"
    assert jaxprs.name_of(jaxprs.program(inner.params["call_jaxpr"])[0].eqns[0]) == "_RootLinearMap"


def test_the_parameters_that_rules_read_are_found_in_their_source_and_in_that_of_their_helpers():
    read = {("dot_general", "precision"), ("scatter-add", "mode"), ("reduce_window_max", "padding"), ("cummax", "reverse")}
    assert read <= set(OF_RULES)


OTHERS = {  # "or" between the ways in which versions spell one thing; what rules read with .get stands here, too
    "scan": "jaxpr, length, reverse, unroll, num_consts or ft_in, num_carry or ft_in",
    "cond": "branches",
    "checkpoint": "jaxpr, policy, prevent_cse",
    "jit": "jaxpr, name",
    "custom_jvp_call": "call_jaxpr, jvp_jaxpr_fun, num_consts, symbolic_zeros",
    "custom_vjp_call": "call_jaxpr",
    "name": "name",
    "while": "body_jaxpr, body_nconsts, cond_nconsts",
    "custom_linear_solve": "const_lengths, jaxprs",
    "linear_call": "num_callee_consts, num_res, transpose_thunk",
    "shard_map": "mesh, in_specs, out_specs, newly_manual_axes, check_vma, jaxpr",
    "get": "tree",
    "swap": "tree",
    "addupdate": "tree",
    "eig": "enable_eigvec_derivs",
    "tridiagonal_solve": "perturb_singular",
    "dot_general": "dimension_numbers",
    "conv_general_dilated": "dimension_numbers",
    "convert_element_type": "new_dtype",
    "reduce_precision": "exponent_bits, mantissa_bits",
    "reshape": "dimensions",
    "stack": "axis or dimension",
    "unstack": "axis or dimension",
    "top_k": "axis",
    "reduce_window_max": "base_dilation, window_dilation",
    "reduce_window_min": "base_dilation, window_dilation",
    "select_and_gather_add": "base_dilation, window_dilation",
}
OTHERS = [(primitive, spelled) for primitive, all_of_them in OTHERS.items() for spelled in all_of_them.split(", ")]


@pytest.mark.parametrize("primitive, spelled", OTHERS, ids=[f"{primitive} has {spelled}" for primitive, spelled in OTHERS])
def test_a_parameter_that_is_read_besides(primitive, spelled):
    assert set(spelled.split(" or ")) & set(params(primitive))


def test_every_parameter_that_is_read_by_name_is_asked_for_here():
    kinds = ("program", "engine", "inspect", "check")
    read = set().union(*(parameters_read(ast.parse(p.read_text()), ("params", "p")) for p in LIBRARY if p.parent.name in kinds))
    elsewhere = {"call", "subfuns", "out_trees", "_prim"}  # that of our `op`; those of get_bind_params; of newer versions: all have corners
    assert sorted(read - elsewhere - {name for _, spelled in OTHERS for name in spelled.split(" or ")}) == []


# ---- everything else: what is there, what it is called with, what it gives ----


def scoped(x):
    with jax.named_scope("outer"), jax.named_scope("inner"):
        return jnp.sin(x)


def name_stack(f, *args) -> str:
    return str(first("sin", f, *args).source_info.name_stack)


def opened(f, *args):
    return jaxprs.open_jaxpr(jax.make_jaxpr(f)(*args))


def sin():
    """An equation of `scoped`."""
    return opened(scoped, 1.0).eqns[0]


def with_constant():
    constant = jnp.arange(3.0)
    return jax.make_jaxpr(lambda x: x + constant)(constant)


def replaced(old, **changes) -> dict:
    """What the fields of an equation, a jaxpr or a source info are after `replace`."""
    new = old.replace(**changes)
    return {name: getattr(new, name) for name in changes}


def traced_at_source_of_sin():
    """The source infos of an equation, and of another one that was traced in its user context."""
    info = sin().source_info

    def f(x):
        with source_info_util.user_context(info.traceback, name_stack=source_info_util.current_name_stack() + info.name_stack):
            return lax.cos(x)

    return info, first("cos", f, 1.0).source_info


def frames():
    """Those of this file, from the inside out."""
    return [frame for frame in sin().source_info.traceback.frames if frame.file_name == __file__]


def during_a_trace(read):
    """What `read` gives while a function is traced."""
    found = []
    jax.make_jaxpr(lambda x: found.append(read(x)) or x)(1.0)
    return found[0]


def current_in_a_scope():
    def read(x):
        with jax.named_scope("outer"):
            return source_info_util.current()

    return during_a_trace(read)


setting = jax.make_user_context(False)


def told_under(changed, name: str):
    with changed:
        return getattr(jax.config, name)


def traces_of_a_jitted_function() -> list:
    traced = []
    f = jax.jit(lambda x: traced.append(setting.value) or x)
    f(1.0)
    with setting(True):
        f(1.0)
    return traced


def nothing():
    pass


NOTHING = linear_util.wrap_init(nothing, debug_info=jax.api_util.debug_info("corners", nothing, (), {}))
context = linear_util.cache(lambda _: object())


def other_under(changed) -> bool:
    """Whether the trace context is another one there, and the first one again afterwards."""
    before = context(NOTHING)
    with changed:
        inside = context(NOTHING)
    return inside is not before and context(NOTHING) is before


def other_under_an_axis() -> bool:
    found = []
    jax.vmap(lambda x: found.append(context(NOTHING)) or x, axis_name="i")(np.ones(2))
    return found[0] is not context(NOTHING)


def comes_back() -> bool:
    """Whether the trace context is the first one again where the settings of then are applied."""
    before, settings = context(NOTHING), jaxprs.Settings.now()
    with jax.default_matmul_precision("highest"), settings.applied():
        return context(NOTHING) is before


def axes_of(f) -> list:
    """What the equation of `f`, traced under a `vmap` over the axis "i", says of axes."""
    found = []
    jax.vmap(lambda x: found.append(jax.make_jaxpr(f)(x)) or x, axis_name="i")(np.ones(2))
    (eqn,) = jaxprs.open_jaxpr(found[0]).eqns
    return [name for key in ("axes", "axis_name") if key in eqn.params for name in np.ravel(eqn.params[key])]


def function_and_file(eqn) -> str:
    """What the jaxpr inside an equation tells of the function that it was traced from."""
    return str(jaxprs.open_jaxpr(jaxprs.inner_jaxpr(eqn)).debug_info.func_src_info)


def bound(primitive: str) -> dict:
    """The parameters with which an equation is run again."""
    eqn = equation(primitive)
    return eqn.primitive.get_bind_params(eqn.params)


def custom_jvp_rule():
    """The jvp rule of `double` as a jaxpr, its constants, and which tangents of outputs are zero."""
    return params("custom_jvp_call")["jvp_jaxpr_fun"].call_wrapped(False)


def custom_vjp_forward():
    """What the forward of `product` gives, then the structure of its residuals, and which of those are inputs."""
    parts = bound("custom_vjp_call")
    flat = parts["subfuns"][1].call_wrapped(1.0, True, 2.0, False)
    _, residuals, forwarded = parts["out_trees"]()
    return flat, residuals, forwarded


def custom_vjp_backward() -> list:
    """The cotangents that the backward of `product` gives; JAX 0.12 gives a second thing beside them."""
    back = bound("custom_vjp_call")["subfuns"][2].call_wrapped(1.0, 0.5, np.float32(1))
    return back[0] if isinstance(back[0], list) else back


def answer(policy):
    """What a checkpoint policy says of a value that is named "here"."""
    eqn = equation("name")
    return policy(eqn.primitive, *(v.aval for v in eqn.invars), **eqn.params)


# A primitive of ours, x * y with x active, registered as `op` is, and what JAX gave to its functions.

corner_p = core.Primitive("corner")
corner_p.multiple_results = True
corner_p.def_impl(lambda *values, jaxpr: core.jaxpr_as_fun(jaxpr)(*values))
corner_p.def_effectful_abstract_eval(lambda *_, jaxpr: jaxprs.types_of(jaxpr))
mlir.register_lowering(
    corner_p, lambda ctx, *values, jaxpr: mlir.core_call_lowering(ctx, *values, name="corner_function", call_jaxpr=jaxpr)
)
given = {}


def _jvp(primals, tangents, *, jaxpr):
    given["jvp"] = [type(t) is ad.Zero for t in tangents]
    return [primals[0] * primals[1]], [tangents[0] * primals[1]]


def _transpose(cotangents, *values, jaxpr):
    given["transpose"] = [ad.is_undefined_primal(x) for x in values]
    given["linear"] = values[0].aval
    return [ad.instantiate_zeros(cotangents[0]) * values[1], None]


def _batch(axis, values, dims, *, jaxpr):
    given["axis"], given["dims"] = axis, list(dims)
    return [values[0] * values[1]], [0]


ad.primitive_jvps[corner_p] = _jvp
ad.primitive_transposes[corner_p] = _transpose
batching.fancy_primitive_batchers[corner_p] = _batch


def corner(x, y):
    return corner_p.bind(x, y, jaxpr=jax.make_jaxpr(lambda x, y: [x * y])(1.0, 1.0))[0]


def jvp():
    return jax.jvp(lambda x: corner(x, 3.0), (2.0,), (1.0,))[1]


def transpose():
    return jax.linear_transpose(lambda x: corner(x, 3.0), 2.0)(1.0)[0]


def batch():
    return jax.vmap(corner, (0, None), axis_name="i", spmd_axis_name="mesh")(np.ones(2, np.float32), np.float32(3)).tolist()


def after(act, key: str):
    """What JAX gave to a function of our primitive when this was done."""
    given.clear()
    act()
    return given[key]


# Another one, which notes where it is lowered, after a function that says how devices do it in parts.

place_p = core.Primitive("place")
place_p.def_impl(lambda x: x)
place_p.def_abstract_eval(lambda x: x)


def _noted(ctx, x):
    given["lowered"] = ctx.module_context
    return [x]


mlir.register_lowering(place_p, _noted)
in_parts = custom_partitioning(lambda x: x * 2)
in_parts.def_partition(
    lambda mesh, arguments, results: (mesh, lambda x: x * len(x), arguments[0].sharding, (arguments[0].sharding,)),
    sharding_rule=SdyShardingRule((ArrayMapping("a"),), (ArrayMapping("a"),)),
)


def on_two():
    """What both give for an array of 12 ones that two devices share."""
    mesh = jax.make_mesh((2,), ("i",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    return jax.jit(lambda x: place_p.bind(in_parts(x)))(jax.device_put(np.ones(12, np.float32), NamedSharding(mesh, PartitionSpec("i"))))


def missing(names: str, holder) -> set:
    return {name for name in names.split() if not hasattr(holder, name)}


def adding_two():
    return opened(lambda x: x + 2.0, 1.0).eqns[0]


def is_key(x) -> bool:
    return {x: True}[x]


GATHER = "offset_dims collapsed_slice_dims start_index_map operand_batching_dims start_indices_batching_dims"
SCATTER = "update_window_dims inserted_window_dims scatter_dims_to_operand_dims operand_batching_dims scatter_indices_batching_dims"
KEY = jax.random.key(0)
SCALAR = jax.typeof(1.0)
VARIABLE = core.Var(SCALAR)
DEBUG = core.DebugInfo("bpjax", "name", None, None)
SAVING = jax.checkpoint_policies.save_only_these_names("here")
OFFLOADING = jax.checkpoint_policies.save_and_offload_only_these_names(
    names_which_can_be_saved=["here"], names_which_can_be_offloaded=[], offload_src="device", offload_dst="pinned_host"
)

CORNERS = {  # what is asked, and the answer
    # jaxprs
    "a jaxpr has the variables of its constants": (lambda: len(jaxprs.open_jaxpr(with_constant()).constvars), 1),
    "a jaxpr has its constants": (lambda: [c.tolist() for c in with_constant().consts], [[0, 1, 2]]),
    "a jaxpr has its inputs": (lambda: len(opened(scoped, 1.0).invars), 1),
    "a jaxpr has its equations": (lambda: len(opened(scoped, 1.0).eqns), 1),
    "a jaxpr has its outputs": (lambda: len(opened(scoped, 1.0).outvars), 1),
    "a jaxpr has its effects": (lambda: list(opened(scoped, 1.0).effects), []),
    "a jaxpr is a key of a dict": (lambda: is_key(jax.make_jaxpr(scoped)(1.0)), True),
    "a jaxpr's debug_info names its function, then a space": (
        lambda: function_and_file(equation("custom_jvp_call")).split(" ")[0],
        "double",
    ),
    "a jaxpr's debug_info names its file": (lambda: __file__ in function_and_file(equation("custom_jvp_call")), True),
    "a jaxpr's debug_info names a file of JAX for jnp.where": (
        lambda: "/jax/" in function_and_file(first("jit", jnp.where, True, 1.0, 2.0)),
        True,
    ),
    "a jaxpr's replace sets its variables and equations": (
        lambda: replaced(opened(scoped, 1.0), constvars=[], invars=[VARIABLE], eqns=[], outvars=[VARIABLE]),
        {"constvars": [], "invars": [VARIABLE], "eqns": [], "outvars": [VARIABLE]},
    ),
    "a jaxpr's replace sets its debug_info and effects": (
        lambda: replaced(opened(lambda: ()), debug_info=DEBUG, effects=frozenset()),
        {"debug_info": DEBUG, "effects": frozenset()},
    ),
    "ClosedJaxpr closes an open jaxpr": (lambda: core.ClosedJaxpr(opened(scoped, 1.0), []).eqns[0].primitive.name, "sin"),
    "jaxpr_as_fun runs a jaxpr on flat arrays": (lambda: core.jaxpr_as_fun(jax.make_jaxpr(lambda x: x + 1)(1.0))(2.0), [3.0]),
    # equations and their variables
    "an equation's parameters are a dict": (lambda: type(params("jit")), dict),
    "an equation has its effects": (lambda: list(equation("jit").effects), []),
    "an equation is a key of a dict": (lambda: is_key(equation("jit")), True),
    "an equation's replace sets its inputs and outputs": (
        lambda: replaced(sin(), invars=[VARIABLE], outvars=[VARIABLE]),
        {"invars": [VARIABLE], "outvars": [VARIABLE]},
    ),
    "an equation's replace sets its parameters": (
        lambda: replaced(equation("name"), params={"name": "there"}),
        {"params": {"name": "there"}},
    ),
    "an equation's replace sets its source_info": (
        lambda: replaced(equation("jit"), source_info=equation("scan").source_info)["source_info"] is equation("scan").source_info,
        True,
    ),
    "an equation's ctx.manager is a context": (lambda: missing("__enter__ __exit__", equation("jit").ctx.manager), set()),
    "a variable is made of a type": (lambda: core.Var(SCALAR).aval, SCALAR),
    "a variable is none of the others of its type": (lambda: core.Var(SCALAR) == core.Var(SCALAR), False),
    "a literal is what a number is in an equation": (lambda: type(adding_two().invars[1]), core.Literal),
    "a literal's val is its value": (lambda: adding_two().invars[1].val, 2.0),
    "a literal is made of a value and a type": (lambda: core.Literal(2.0, SCALAR).aval, SCALAR),
    # where an equation stands
    "source_info's name stack reads as a path": (lambda: name_stack(scoped, 1.0), "outer/inner"),
    "source_info's name stack says where vmap was": (lambda: name_stack(jax.vmap(scoped), np.ones(2)), "vmap(outer)/inner"),
    "source_info's name stacks add up": (
        lambda: str(sin().source_info.name_stack + sin().source_info.name_stack),
        "outer/inner/outer/inner",
    ),
    "source_info's replace sets its name stack": (
        lambda: str(equation("jit").source_info.replace(name_stack=sin().source_info.name_stack).name_stack),
        "outer/inner",
    ),
    "source_info's replace sets its traceback": (
        lambda: (new := sin().source_info.traceback) is equation("jit").source_info.replace(traceback=new).traceback,
        True,
    ),
    "source_info's traceback has frames that tell their file": (lambda: bool(frames()), True),
    "source_info's traceback has frames that tell their line": (
        lambda: frames()[0].line_num,
        inspect.getsourcelines(scoped)[1] + 2,
    ),
    "source_info_util.current has the name stack": (lambda: str(current_in_a_scope().name_stack), "outer"),
    "source_info_util.current has a traceback, or None": (lambda: missing("traceback", source_info_util.current()), set()),
    "source_info_util.user_context sets the name stack": (lambda: str(traced_at_source_of_sin()[1].name_stack), "outer/inner"),
    "source_info_util.user_context sets the traceback": (
        lambda: len({tuple(f.line_num for f in info.traceback.frames) for info in traced_at_source_of_sin()}),
        1,
    ),
    # what a trace depends on
    "linear_util.cache gives one object for equal contexts": (lambda: context(NOTHING) is context(NOTHING), True),
    "linear_util.cache gives another under another x64": (lambda: other_under(jax.enable_x64(not jax.config.jax_enable_x64)), True),
    "linear_util.cache gives another under another matmul precision": (
        lambda: other_under(jax.default_matmul_precision("highest")),
        True,
    ),
    "linear_util.cache gives another under another user context": (lambda: other_under(setting(True)), True),
    "linear_util.cache gives another under a named axis": (other_under_an_axis, True),
    "linear_util.cache gives the first where its settings are applied again": (comes_back, True),
    "make_user_context tells its value": (lambda: setting.value, False),
    "make_user_context has a function under jit traced once for each value": (traces_of_a_jitted_function, [False, True]),
    "jax.config tells x64": (lambda: told_under(jax.enable_x64(True), "jax_enable_x64"), True),
    "jax.config tells the matmul precision": (
        lambda: told_under(jax.default_matmul_precision("highest"), "jax_default_matmul_precision"),
        "highest",
    ),
    "jax.core.Tracer is what traced values are": (lambda: during_a_trace(lambda x: isinstance(x, jax.core.Tracer)), True),
    "jax.Array is what traced values are": (lambda: during_a_trace(lambda x: isinstance(x, jax.Array)), True),
    # types
    "a type tells the shape": (lambda: jax.typeof(np.ones((2, 3))).shape, (2, 3)),
    "a type tells the dtype": (lambda: jax.typeof(np.ones(2, np.float32)).dtype, np.float32),
    "a type tells the size": (lambda: jax.typeof(np.ones((2, 3))).size, 6),
    "a type tells the number of axes": (lambda: jax.typeof(np.ones((2, 3))).ndim, 2),
    "a type of equal arrays is one key": (lambda: len({jax.typeof(jnp.ones(2)), jax.typeof(jnp.zeros(2))}), 1),
    "a type of integers has tangents of float0": (lambda: jax.typeof(1).to_tangent_aval().dtype, jax.dtypes.float0),
    "a type of a mutable reference has inner_aval": (lambda: missing("inner_aval", jax.typeof(jax.new_ref(jnp.ones(2)))), set()),
    "a type of an array has no inner_aval": (lambda: missing("inner_aval", jax.typeof(jnp.ones(2))), {"inner_aval"}),
    "mapped_aval drops one axis": (lambda: core.mapped_aval(2, 0, jax.typeof(jnp.ones((2, 3)))), jax.typeof(jnp.ones(3))),
    "a key's dtype is a prng_key": (lambda: jnp.issubdtype(KEY.dtype, jax.dtypes.prng_key), True),
    "a key's dtype tells the name that wrap_key_data takes": (
        lambda: jax.random.wrap_key_data(jax.random.key_data(KEY), impl=jax.typeof(KEY).dtype._impl.name).dtype,
        KEY.dtype,
    ),
    "a pytree's structure counts its leaves": (lambda: jax.tree.structure([1, (2, 3)]).num_leaves, 3),
    "a pytree's structure flattens up to its leaves": (lambda: jax.tree.structure([1, 2]).flatten_up_to([(3, 4), 5]), [(3, 4), 5]),
    # references, and values beside a trace
    "get: its tree makes indexers with an index or a slice for each axis": (
        lambda: jaxprs.indexers(equation("get"), ["i"]),
        [["i", (0, 2, 1)]],
    ),
    "Tracer: bool, int and concrete_or_error ask to_concrete_value": (
        lambda: (
            tracing.traced(lambda x: [x * int(x) * jnp.arange(x.astype(int)).size if x > 0 else x], np.float32(2))[0].outvars[0].aval.shape
        ),
        (),
    ),
    # equations that hold equations
    "scan: its parameters tell constants and carries": (lambda: jaxprs.scan_parts(equation("scan"))[1:3], (1, 1)),
    "scan: its jaxpr takes constants, carries and slices": (lambda: len(jaxprs.open_jaxpr(params("scan")["jaxpr"]).invars), 3),
    "cond: its first input is an integer": (lambda: equation("cond").invars[0].aval.dtype.kind, "i"),
    "cond: its branches are jaxprs, the false one first": (
        lambda: [jaxprs.open_jaxpr(branch).eqns[0].primitive.name for branch in params("cond")["branches"]],
        ["cos", "sin"],
    ),
    "checkpoint: its jaxpr holds the function": (lambda: jaxprs.open_jaxpr(params("checkpoint")["jaxpr"]).eqns[0].primitive.name, "sin"),
    "checkpoint: a policy that saves a name answers True": (lambda: answer(SAVING), True),
    "checkpoint: a policy that saves something else answers False": (lambda: answer(jax.checkpoint_policies.dots_saveable), False),
    "checkpoint: a policy that may offload answers with a SaveableType": (lambda: type(answer(OFFLOADING)).__name__, "SaveableType"),
    "checkpoint_name: the equation's parameters are the name": (lambda: params("name"), {"name": "here"}),
    "jit: its name is that of the function": (lambda: params("jit")["name"], "sin"),
    "psum: it names its axis": (lambda: axes_of(lambda x: lax.psum(x, "i")), ["i"]),
    "axis_index: it names its axis": (lambda: axes_of(lambda x: lax.axis_index("i")), ["i"]),
    "all_gather: it names its axis": (lambda: axes_of(lambda x: lax.all_gather(x, "i")), ["i"]),
    # the rules that users gave JAX
    "custom_jvp_call: jvp_jaxpr_fun gives a jaxpr": (
        lambda: missing("eqns invars outvars", jaxprs.open_jaxpr(custom_jvp_rule()[0])),
        set(),
    ),
    "custom_jvp_call: jvp_jaxpr_fun gives constants": (lambda: list(custom_jvp_rule()[1]), []),
    "custom_jvp_call: jvp_jaxpr_fun tells which tangents are zero": (lambda: list(custom_jvp_rule()[2]), [False]),
    "custom_vjp: __wrapped__ is the plain function": (lambda: product.__wrapped__(2.0, 3.0), 6.0),
    "custom_vjp_call: get_bind_params gives the function, its forward and its backward": (
        lambda: len(bound("custom_vjp_call")["subfuns"]),
        3,
    ),
    "custom_vjp_call: the forward takes a flag after each input, and gives new residuals, then outputs": (
        lambda: [float(x) for x in custom_vjp_forward()[0]],
        [pytest.approx(np.sin(1.0)), 2.0],
    ),
    "custom_vjp_call: out_trees counts the residuals": (lambda: custom_vjp_forward()[1].num_leaves, 2),
    "custom_vjp_call: out_trees tells which residuals are inputs": (lambda: list(custom_vjp_forward()[2]), [0, None]),
    "custom_vjp_call: the backward takes residuals and cotangents": (lambda: custom_vjp_backward()[0], 0.5),
    "custom_vjp_call: the backward marks zeros as we know them": (
        lambda: type(custom_vjp_backward()[1]).__name__ in ("Zero", "SymbolicZero", "NoneType"),
        True,
    ),
    # a primitive of ours
    "Primitive: it is run by its def_impl": (lambda: corner(2.0, 3.0), 6.0),
    "Primitive: it is typed by its def_effectful_abstract_eval": (lambda: jax.eval_shape(corner, 2.0, 3.0).dtype, np.float32),
    "Primitive: get_bind_params gives its parameters": (
        lambda: list(corner_p.get_bind_params(first("corner", corner, 1.0, 1.0).params)),
        ["jaxpr"],
    ),
    "mlir.core_call_lowering: the compiled program gives the value": (lambda: jax.jit(corner)(2.0, 3.0), 6.0),
    "mlir.core_call_lowering: the compiled program has a function of that name": (
        lambda: "corner_function" in jax.jit(corner).lower(2.0, 3.0).as_text(),
        True,
    ),
    "ad.primitive_jvps: its function makes the tangents": (jvp, 3.0),
    "ad.primitive_jvps: its function is given Zero for what is inactive": (lambda: after(jvp, "jvp"), [False, True]),
    "ad.Zero: it is made of a tangent's type": (lambda: ad.Zero(jax.typeof(1).to_tangent_aval()).aval.dtype, jax.dtypes.float0),
    "ad.primitive_transposes: its function makes the cotangents": (transpose, 3.0),
    "ad.primitive_transposes: its function is given undefined primals for what is linear": (
        lambda: after(transpose, "transpose"),
        [True, False],
    ),
    "ad.primitive_transposes: an undefined primal has a type": (lambda: after(transpose, "linear").shape, ()),
    "ad.instantiate_zeros: it makes zeros of a Zero": (lambda: ad.instantiate_zeros(ad.Zero(jax.typeof(np.ones(2)))).tolist(), [0, 0]),
    "batching.fancy_primitive_batchers: its function makes the outputs": (batch, [3.0, 3.0]),
    "batching.fancy_primitive_batchers: the axis has its name": (lambda: after(batch, "axis").name, "i"),
    "batching.fancy_primitive_batchers: the axis has its size": (lambda: after(batch, "axis").size, 2),
    "batching.fancy_primitive_batchers: the axis has a spmd_name": (lambda: np.ravel(after(batch, "axis").spmd_name), ["mesh"]),
    "batching.fancy_primitive_batchers: what is unmapped has the dimension None": (lambda: after(batch, "dims"), [0, None]),
    # one program for several devices
    "custom_partitioning: each device runs its part": (lambda: on_two().tolist(), [6.0] * 12),
    "custom_partitioning: one device runs the function": (lambda: jax.jit(in_parts)(np.ones(3, np.float32)).tolist(), [2.0] * 3),
    "lowering: it knows its devices where a program has a custom_partitioning": (
        lambda: len(after(on_two, "lowered").axis_context.device_assignment),
        2,
    ),
    "lowering: it knows their mesh": (lambda: after(on_two, "lowered").axis_context.abstract_mesh.axis_names, ("i",)),
    "lowering: it tells what is exported": (lambda: after(on_two, "lowered").lowering_parameters.for_export, False),
    "get_abstract_mesh: it has no axes outside": (
        lambda: (jax.sharding.get_abstract_mesh().manual_axes, jax.sharding.get_abstract_mesh().explicit_axes),
        ((), ()),
    ),
    "get_abstract_mesh: it knows the axes of a shard_map": (
        lambda: jax.shard_map(
            lambda: len(jax.sharding.get_abstract_mesh().manual_axes), mesh=MESH, in_specs=(), out_specs=PartitionSpec()
        )(),
        1,
    ),
    # what parameters hold
    "dot_general: its dimension numbers are contracted axes, then batch axes": (
        lambda: params("dot_general")["dimension_numbers"],
        (((1,), (0,)), ((), ())),
    ),
    "conv_general_dilated: its dimension numbers have the specs that we read": (
        lambda: missing("lhs_spec rhs_spec out_spec", params("conv_general_dilated")["dimension_numbers"]),
        set(),
    ),
    "conv_general_dilated: its padding is pairs": (lambda: params("conv_general_dilated")["padding"], ((1, 1), (1, 1))),
    "gather: its dimension numbers have the fields that we read": (lambda: missing(GATHER, params("gather")["dimension_numbers"]), set()),
    "scatter: its dimension numbers have the fields that we read": (
        lambda: missing(SCATTER, params("scatter")["dimension_numbers"]),
        set(),
    ),
    "scatter: its update_jaxpr is None where the user gave no function": (lambda: params("scatter")["update_jaxpr"], None),
    "slice: its strides are None where there are none": (
        lambda: first("slice", lambda x: lax.slice(x, (1,), (2,)), np.ones(3)).params["strides"],
        None,
    ),
    "reduce_window_max: its padding is pairs": (lambda: np.shape(params("reduce_window_max")["padding"]), (3, 2)),
    "select_and_scatter_add: its choice of a maximum is named ge": (lambda: params("select_and_scatter_add")["select_prim"].name, "ge"),
    "select_and_gather_add: its choice of a maximum is named ge": (lambda: params("select_and_gather_add")["select_prim"].name, "ge"),
    # compiled programs
    "memory_analysis: it tells the temporary bytes": (
        lambda: jax.jit(jnp.sin).lower(1.0).compile().memory_analysis().temp_size_in_bytes >= 0,
        True,
    ),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_a_corner(corner):
    asked, expected = CORNERS[corner]
    assert asked() == expected


@pytest.mark.parametrize("kind", PROGRAMS, ids=[f"{kind} leaves an equation of a name that we know" for kind in PROGRAMS])
def test_an_equation(kind):
    assert equation(kind).primitive.name in {*RULES, *references.OF_ONE}
