"""`vjp`, `grad`, `value_and_grad`, `backprop`, `tag` and `as_custom_vjp`: a few lines each over `run` and `sweep`."""

import contextlib
import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from ..program import jaxprs, tracing
from ..program.modules import owners
from .errors import GradientError
from .hooks import Finding, Hook, borrowing, hooked
from .replaced import replacements
from .sweep import Tape, run, sweep

_naming = jax.make_user_context(False)  # part of jit's cache key: a function traced for backprop is traced anew


def is_naming() -> bool:
    """Whether modules shall name their outputs: only while `backprop` traces."""
    return bool(_naming.value)


def tag(x: Any, name: str) -> Any:
    """Name a value, so that `bpjax.backprop` reports the delta there. The value is unchanged.

    >>> import jax.numpy as jnp, bpjax
    >>> result = bpjax.backprop(lambda x: jnp.sum(3.0 * bpjax.tag(x * x, "square")))(jnp.array([2.0]))
    >>> result.deltas["square"].tolist()
    [3.0]
    """
    return jax.tree.map(lambda leaf: checkpoint_name(leaf, name), x)


class _Flat:
    """`f` as a function of the leaves that are differentiated, closed over the others, to a flat list of arrays.

    Once traced, `value_and_aux(arrays)` puts its outputs together again, with what was no array.
    """

    def __init__(self, f: Callable, leaves: Sequence[Any], tree, on: Sequence[bool], has_aux: bool):
        self.leaves, self.tree, self.on, self.has_aux = leaves, tree, on, has_aux

        @functools.wraps(f)  # JAX's errors then name f
        def flat(*traced):
            return self._call(f, traced)

        self.differentiated = [leaf for leaf, d in zip(leaves, on) if d]
        try:
            self.program, self.consts = tracing.traced(flat, *self.differentiated)
        except tracing.NEEDS_VALUES as error:
            error.add_note(
                "bpjax: Python cannot branch on, convert or index by a value that jit, scan or vmap trace, nor make a float, a complex "
                "number or a NumPy array of one that depends on a differentiated input (jax.grad neither). Use jnp.where or lax.cond; "
                "lax.stop_gradient gives a value that Python may have whole."
            )
            raise

    def _call(self, f, traced):
        traced = iter(traced)
        out = f(*jax.tree.unflatten(self.tree, [next(traced) if d else leaf for leaf, d in zip(self.leaves, self.on)]))
        parts, self.out_tree = jax.tree.flatten(value_and_aux_of(out) if self.has_aux else (out, None))
        self.asides = [None if jaxprs.is_arraylike(x) else (x,) for x in parts]
        return [x for x in parts if jaxprs.is_arraylike(x)]

    def value_and_aux(self, arrays: Sequence[Any]) -> tuple[Any, Any]:
        rest = iter(arrays)
        return jax.tree.unflatten(self.out_tree, [next(rest) if a is None else a[0] for a in self.asides])


def value_and_aux_of(out: Any) -> tuple[Any, Any]:
    """What a function with has_aux=True returned, which must be a pair."""
    if not (isinstance(out, tuple | list) and len(out) == 2):
        raise TypeError(f"with has_aux=True the function must return a pair (value, aux), got {_kind(out)}")
    return tuple(out)


class _Linearized(NamedTuple):
    value: Any
    aux: Any
    tape: Tape


def _trace_and_run(
    f: Callable, leaves: Sequence[Any], tree, on: Sequence[bool], has_aux: bool, hooks: Sequence[Hook], modules: Sequence[str | None]
) -> _Linearized:
    """Trace `f` in the leaves that are differentiated, let the hooks rewrite the program, and run it forward.

    `modules`: that of each differentiated leaf.
    """
    with _naming(True) if any(hook.wants_names for hook in hooks) else contextlib.nullcontext():
        flat = _Flat(f, leaves, tree, on, has_aux)
    for hook in hooks:
        flat.program = hook.prepare(flat.program, _by_variable(flat.program, modules))
    active = [False] * len(flat.consts) + [True] * len(flat.differentiated)
    with hooked(*hooks):
        outputs, tape = run(flat.program, [*flat.consts, *flat.differentiated], active)
    value, aux = flat.value_and_aux(outputs)
    if wrong := [x for x in jax.tree.leaves(value) if not jaxprs.is_arraylike(x)]:
        raise TypeError(f"the function's value must hold arrays alone, got {_kind(wrong[0])}; with has_aux=True it may return (value, aux)")
    return _Linearized(value, aux, tape)


def _by_variable(program, modules: Sequence[str | None]) -> dict[Any, str]:
    """The module of each input of a program that is a parameter."""
    return {v: module for v, module in zip(program.invars[len(program.invars) - len(modules) :], modules) if module is not None}


def _kind(x) -> str:
    """What a value is, in words for an error."""
    if x is None:
        return "None"
    if jaxprs.is_arraylike(x):
        return f"an array of shape {jnp.shape(x)}"
    return f"a {type(x).__name__}" + (f" of {len(x)}" if isinstance(x, tuple | list | dict) else "")


def _pull(tape: Tape, cotangents: Sequence[Any], n: int) -> list:
    """The cotangents of the `n` differentiated leaves, zeros where nothing arrived."""
    avals = [v.aval for v in tape.program.invars[-n:]] if n else []
    with borrowing():
        dxs = sweep(tape, [*cotangents, *[None] * (len(tape.program.outvars) - len(cotangents))])
    return [jaxprs.zeros(a) if d is None else d for a, d in zip(avals, dxs[len(dxs) - n :])]


def vjp(f: Callable, *primals, has_aux: bool = False, rules: Mapping | None = None, at: Mapping | None = None, missing: str = "borrow"):
    """As `jax.vjp`: the value, and a function from its cotangent to those of the primals; by the hand-written rules.

    Integer, boolean and key leaves get `float0` cotangents. With `has_aux`, `f` returns `(value, aux)` and aux comes third.
    `rules`, `at` and `missing` are those of `grad`.

    >>> import jax.numpy as jnp, bpjax
    >>> y, back = bpjax.vjp(jnp.sin, 0.0)
    >>> float(back(jnp.float32(2.0))[0])
    2.0
    """
    leaves, tree = jax.tree.flatten(primals)
    on = [jaxprs.is_inexact(leaf) for leaf in leaves]
    hooks = replacements(rules, at, missing)
    chosen = [path for (path, _), d in zip(jax.tree_util.tree_flatten_with_path(primals)[0], on) if d]
    value, aux, tape = _trace_and_run(f, leaves, tree, on, has_aux, hooks, owners(chosen, range(len(primals))))
    for hook in hooks:
        hook.demand_all()
    back = jax.tree_util.Partial(functools.partial(_pull_tree, _Layout(tree, on, leaves, value, hooks)), tape)
    return (value, back, aux) if has_aux else (value, back)


class _Layout:
    """The static side of a vjp: which leaves are differentiated, and the types of all."""

    def __init__(self, tree, on, leaves, value, hooks):
        self.tree, self.on, self.hooks = tree, on, hooks
        self.shapes = [jnp.shape(leaf) for leaf in leaves]
        self.out_tree = jax.tree.structure(value)
        self.out_types = [(jnp.shape(v), jaxprs.dtype_of(v)) for v in jax.tree.leaves(value)]


def _pull_tree(layout: _Layout, tape: Tape, cotangent):
    cotangents, tree = jax.tree.flatten(cotangent)
    if tree != layout.out_tree:
        raise TypeError(f"the cotangent's structure {tree} must be that of the function's value, {layout.out_tree}")
    for ct, (shape, dtype) in zip(cotangents, layout.out_types):
        wanted = dtype if jnp.issubdtype(dtype, jnp.inexact) else jax.dtypes.float0
        if jnp.shape(ct) != shape or jaxprs.dtype_of(ct) != wanted:
            raise ValueError(f"the cotangent has type {jaxprs.dtype_of(ct)}{list(jnp.shape(ct))}; the value asks for {wanted}{list(shape)}")
    cotangents = [jnp.asarray(c) if c.dtype != jax.dtypes.float0 else None for c in map(_as_array, cotangents)]
    with hooked(*layout.hooks):  # a checkpoint is run again here
        d = iter(_pull(tape, cotangents, sum(layout.on)))
    return jax.tree.unflatten(layout.tree, [next(d) if on else np.zeros(s, jax.dtypes.float0) for on, s in zip(layout.on, layout.shapes)])


def _as_array(x):
    return x if hasattr(x, "dtype") else jnp.asarray(x)


def value_and_grad(
    f: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    rules: Mapping[Any, Callable] | None = None,
    at: Mapping[str, Callable] | None = None,
    missing: str = "borrow",
) -> Callable:
    """As `jax.value_and_grad`: a function that returns the value and the gradient, by the hand-written rules.

    Args:
        f: a function whose value is a real scalar; with `has_aux`, a pair of that and anything.
        argnums: the argument or arguments to differentiate. Only these are traced.
        holomorphic: whether `f` is a holomorphic function of complex arguments, whose complex derivative is asked for. Without it the
            value must be real; the gradient in a complex argument x + iy is then ∂f/∂x - i ∂f/∂y, as JAX's, and its conjugate ascends.
        allow_int: whether arguments may hold integers, whose gradient is then `float0`.
        rules, at, missing: as in `grad`.

    >>> import jax.numpy as jnp, bpjax
    >>> value, grad = bpjax.value_and_grad(lambda w, x: jnp.sum((w * x) ** 2))(2.0, jnp.ones(3))
    >>> float(value), float(grad)
    (12.0, 12.0)
    """

    argnums = argument_numbers(f, argnums)

    @functools.wraps(f)
    def differentiated(*args, **kwargs):
        hooks = replacements(rules, at, missing)
        value, aux, grads, _ = gradient(f, args, kwargs, argnums, has_aux, hooks, holomorphic=holomorphic, allow_int=allow_int)
        return ((value, aux), grads) if has_aux else (value, grads)

    return differentiated


def grad(
    f: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    rules: Mapping[Any, Callable] | None = None,
    at: Mapping[str, Callable] | None = None,
    missing: str = "borrow",
) -> Callable:
    """As `jax.grad`: the gradient of a scalar function, by the hand-written rules.

    Args:
        argnums, holomorphic, allow_int: as in `value_and_grad`.
        rules: backwards for this call alone, by op (`F.relu`) or by name: that of a primitive ("tanh"), of an op, or of a function under
            `jit`, `custom_jvp` or `custom_vjp` ("relu" of `jax.nn.relu`). Each takes an equation and the cotangents of its outputs,
            as the function under `bpjax.rule` does, with every input in `eq.x` and every output in `eq.y`, and returns a tuple with a
            cotangent for each input; the bare one if only one input is differentiated.
        at: functions of the delta at a named place, which give the delta that goes on from there. Places are the outputs of modules, by
            path (of other frameworks: by the path of their parameters), and what `bpjax.tag` names; a pattern ("encoder.*") names many.
        missing: what happens at an equation on the path for which nobody wrote a rule: "borrow" takes `jax.vjp` of that one equation, and
            says so in one `BorrowedRuleWarning`; "error" raises `NoRuleError`.

    A name that meets nothing is a ValueError that lists near ones.

    >>> import jax.numpy as jnp, bpjax
    >>> float(bpjax.grad(jnp.tanh)(0.0))
    1.0
    >>> float(bpjax.grad(jnp.tanh, rules={"tanh": lambda eq, dy: dy * 3})(0.0))
    3.0
    >>> float(bpjax.grad(lambda x: jnp.tanh(bpjax.tag(x, "here")), at={"here": lambda delta: -delta})(0.0))
    -1.0
    """

    argnums = argument_numbers(f, argnums)

    @functools.wraps(f)
    def differentiated(*args, **kwargs):
        hooks = replacements(rules, at, missing)
        _, aux, grads, _ = gradient(f, args, kwargs, argnums, has_aux, hooks, holomorphic=holomorphic, allow_int=allow_int)
        return (grads, aux) if has_aux else grads

    return differentiated


def argument_numbers(f, argnums) -> int | tuple[int, ...]:
    """The argument numbers as Python's integers."""
    if not callable(f):
        raise TypeError(f"expected a function to differentiate, got {_kind(f)}")
    try:
        return operator.index(argnums) if not isinstance(argnums, tuple | list) else tuple(map(operator.index, argnums))
    except TypeError:
        raise TypeError(f"argnums must be an integer or a sequence of integers, got {argnums!r}") from None


def chosen_arguments(argnums: int | tuple[int, ...], args: Sequence[Any]) -> tuple[int, ...]:
    """The positions of the differentiated arguments, counted from the front."""
    numbers = (argnums,) if isinstance(argnums, int) else argnums
    if not all(-len(args) <= n < len(args) for n in numbers):
        raise ValueError(f"argnums={argnums} but the function was called with {len(args)} positional arguments")
    numbers = tuple(n % len(args) for n in numbers)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"argnums={argnums} names an argument twice")
    return numbers


def gradient(
    f: Callable,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    argnums: int | tuple[int, ...],
    has_aux: bool,
    hooks: Sequence[Hook] = (),
    *,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> tuple[Any, Any, Any, list[Finding]]:
    """Value, aux, gradient, and what the hooks found in the order of the sweep: what `grad` and its kin pick from."""
    numbers = chosen_arguments(argnums, args)
    leaves, tree = jax.tree.flatten([args[n] for n in numbers])
    paths = [p for p, _ in jax.tree_util.tree_flatten_with_path([args[n] for n in numbers])[0]]
    wanted = "complex" if holomorphic else "floating"
    is_wanted = jnp.iscomplexobj if holomorphic else jaxprs.is_inexact
    is_passed = [allow_int and jaxprs.is_arraylike(x) and not jaxprs.is_inexact(x) for x in leaves]
    on = [not (passed or callable(x) and not jaxprs.is_arraylike(x)) for passed, x in zip(is_passed, leaves)]  # functions pass through
    for path, leaf, differentiated in zip(paths, leaves, on):
        if differentiated and not is_wanted(leaf):
            is_array = jaxprs.is_arraylike(leaf)
            raise TypeError(
                f"bpjax.grad{'(holomorphic=True)' if holomorphic else ''} differentiates {wanted} arrays, but argument "
                f"{numbers[path[0].idx]}{jax.tree_util.keystr(path[1:])} is {jnp.result_type(leaf) if is_array else type(leaf).__name__}. "
                + (f"Leave it out of argnums, or convert it to a {wanted} type." if is_array else _SPLIT)
            )

    def of_differentiated(*chosen):
        full = list(args)
        for n, value in zip(numbers, chosen):
            full[n] = value
        return f(*full, **kwargs)

    functools.update_wrapper(of_differentiated, f)
    leaves = [jnp.asarray(leaf) if d else leaf for leaf, d in zip(leaves, on)]
    paths = [path for path, d in zip(paths, on) if d]
    value, aux, tape = _trace_and_run(of_differentiated, leaves, tree, on, has_aux, hooks, owners(paths, numbers))
    if not jaxprs.is_arraylike(value) or jnp.shape(value):
        raise TypeError(
            f"bpjax.grad needs a scalar loss, but the function returned {_kind(value)}. Reduce it with .sum() or .mean(), or use bpjax.vjp."
        )
    if not jnp.issubdtype(jnp.result_type(value), jnp.complexfloating if holomorphic else jnp.floating):
        advice = " For the derivative of a holomorphic function pass holomorphic=True." if jnp.iscomplexobj(value) else ""
        raise TypeError(f"bpjax.grad needs a {wanted} loss, but the function returned {jnp.result_type(value)}.{advice}")
    with hooked(*hooks) as findings:
        pulled = iter(_pull(tape, [jnp.ones((), jaxprs.dtype_of(value))], len(paths)))
    rest = [np.zeros(jnp.shape(x), jax.dtypes.float0) if passed else None for passed, x in zip(is_passed, leaves)]
    d = jax.tree.unflatten(tree, [next(pulled) if differentiated else r for differentiated, r in zip(on, rest)])
    for hook in hooks:
        hook.demand_all()
    return value, aux, d[0] if isinstance(argnums, int) else tuple(d), findings


_SPLIT = "Differentiate the arrays alone: split the rest off (equinox.partition, flax.nnx.split), or close over it."


class Backprop(NamedTuple):
    """What `bpjax.backprop` returns: `value`, `grads`, and `deltas`, the loss's derivative at each named place."""

    value: Any
    grads: Any
    deltas: dict[str, Any]
    aux: Any = None


jax.tree_util.register_pytree_node(Backprop, lambda b: (tuple(b), None), lambda _, c: Backprop(*c))


class _Deltas(Hook):
    """The delta at every named place."""

    wants_names = True

    def observe(self, record, dys, dxs):
        return dys[0] if record.eqn.primitive.name == "name" else None


def backprop(
    f: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    rules: Mapping[Any, Callable] | None = None,
    at: Mapping[str, Callable] | None = None,
    missing: str = "borrow",
) -> Callable:
    """Value, gradients and the delta at every named place: each module's output, and what `bpjax.tag` names.

    A place met twice is a tuple, in the order of the forward pass; inside a scan, stacked over the steps. Where no gradient
    arrives the delta is zero. With `at` (see `grad`), a delta is reported as it arrives, before it is replaced.

    >>> import jax.numpy as jnp, bpjax
    >>> result = bpjax.backprop(lambda w: bpjax.tag(w * 2.0, "double") ** 2)(3.0)
    >>> float(result.value), float(result.grads), float(result.deltas["double"])
    (36.0, 24.0, 12.0)
    """
    argnums = argument_numbers(f, argnums)

    @functools.wraps(f)
    def differentiated(*args, **kwargs):
        value, aux, grads, findings = gradient(f, args, kwargs, argnums, has_aux, (_Deltas(), *replacements(rules, at, missing)))
        places: dict[str, list] = {}
        for found in reversed(findings):
            places.setdefault(found.record.eqn.params["name"], []).append(found.value)
        deltas = {name: found[0] if len(found) == 1 else tuple(found) for name, found in places.items()}
        return Backprop(value, grads, deltas, aux)

    return differentiated


def as_custom_vjp(f: Callable) -> Callable:
    """`f` as a JAX function whose derivative is the hand-written one, for use under `jax.grad`, in Flax or in Equinox.

    Also where nothing is differentiated its ops run their own forward: a loss of many classes, or attention, is then evaluated without the
    arrays that its formula would make.

    >>> import jax, jax.numpy as jnp, bpjax
    >>> float(jax.grad(bpjax.as_custom_vjp(jnp.tanh))(0.0))
    1.0
    """

    @functools.wraps(f)
    def by_hand(*args, **kwargs):
        leaves, tree = jax.tree.flatten((args, kwargs))
        with_keywords = functools.wraps(f)(lambda args, kwargs: f(*args, **kwargs))
        flat = _Flat(with_keywords, leaves, tree, list(map(jaxprs.is_inexact, leaves)), has_aux=False)
        program, inputs = flat.program, [*flat.consts, *flat.differentiated]  # what f closes over comes first, and is differentiated too
        on = [jaxprs.is_inexact(x) and (i >= len(flat.consts) or jaxprs.is_traced(x)) for i, x in enumerate(inputs)]
        shapes = list(map(jnp.shape, inputs))

        @jax.custom_vjp
        def call(*inputs):
            try:
                return run(program, inputs, on)[0]  # by the ops' own forwards; XLA drops what is kept for a backward
            except GradientError:
                return run(program, inputs)[0]  # what has no derivative can be evaluated

        def forward(*inputs):
            return run(program, inputs, on)

        def backward(tape, cotangents):
            cotangents = [None if c.dtype == jax.dtypes.float0 else c for c in map(_as_array, cotangents)]
            with borrowing():
                dxs = sweep(tape, cotangents)
            zeros = (np.zeros(s, jax.dtypes.float0) if not o else jaxprs.zeros(v.aval) for s, o, v in zip(shapes, on, program.invars))
            return tuple(z if d is None else d for d, z in zip(dxs, zeros))

        call.defvjp(forward, backward)
        return flat.value_and_aux(call(*inputs))[0]

    return by_hand
