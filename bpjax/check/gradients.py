"""`check_gradients` and `check_custom_vjp`: the oracles asked, the answers judged, the rule at fault named."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import engine
from .blame import wrong_rules
from .oracles import DIRECTIONS, ask
from .report import Leaf, Report, cause

RELATIVE = 1e-10  # of a leaf's norm, in float64
ABSOLUTE = 1e-13  # of the whole gradient's norm


def check_gradients(f: Callable, *args, argnums: int | Sequence[int] = 0, has_aux: bool = False, seed: int = 0, numeric: bool = True) -> Report:
    """Hold the hand-written gradient of `f` against three independent oracles, and name the rule that is wrong.

    Args:
        f: any function that `bpjax.grad` takes; its value need not be a scalar (then random cotangents are used).
        args: its arguments.
        argnums: which of them are differentiated.
        has_aux: whether `f` returns `(value, aux)`.
        seed: of the random cotangents and directions.
        numeric: whether finite differences are asked too.

    The verdict is given in float64, whatever the arguments' precision; float32 and lower are checked in addition by the
    error that hand and automatic gradients have against it.

    >>> import jax.numpy as jnp, bpjax
    >>> bpjax.check_gradients(lambda x: jnp.sum(jnp.tanh(x) ** 2), jnp.arange(3.0)).ok
    True
    """

    def plain(*inner):
        return f(*inner)[0] if has_aux else f(*inner)

    return _check("bpjax.check_gradients", plain, lambda g: lambda *leaves: engine.vjp(g, *leaves), args, argnums, seed, numeric, replay=True)


def check_custom_vjp(f: Callable, *args, argnums: int | Sequence[int] = 0, seed: int = 0, numeric: bool = True) -> Report:
    """The same report for a `jax.custom_vjp` function: its own rule against the derivatives of its plain function.

    >>> import jax, jax.numpy as jnp, bpjax
    >>> @jax.custom_vjp
    ... def double(x):
    ...     return 2.0 * x
    >>> double.defvjp(lambda x: (2.0 * x, None), lambda _, dy: (dy,))
    >>> bpjax.check_custom_vjp(double, jnp.ones(3)).leaves[0].note
    'hand = 0.5 x auto: a missing factor 2'
    """
    if not isinstance(f, jax.custom_vjp):
        raise TypeError(f"check_custom_vjp takes a jax.custom_vjp function, got {type(f).__name__}")
    plain = f.__wrapped__

    def ruled(g):
        def both(*leaves):
            return jax.vjp(lambda *inner: g(*inner, function=f), *leaves)

        return both

    return _check("bpjax.check_custom_vjp", plain, ruled, args, argnums, seed, numeric, replay=False)


def _check(title, plain, hand_vjp, args, argnums, seed, numeric, replay) -> Report:
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    chosen = [args[n] for n in numbers]
    flat, tree = jax.tree_util.tree_flatten_with_path(chosen)
    floating = [jnp.issubdtype(jnp.result_type(x), jnp.floating) for _, x in flat]
    if not any(floating):
        raise TypeError(f"{title}: arguments {numbers} hold no floating array to differentiate")
    paths = [_name(p, numbers) for (p, _), on in zip(flat, floating) if on]
    given = [jnp.asarray(x) for (_, x), on in zip(flat, floating) if on]
    dtype = jnp.result_type(*given)

    def on_leaves(to64):
        others = jax.tree.map(lambda x: _widened(x) if to64 else x, list(args))

        def g(*leaves, function=plain):
            it = iter(leaves)
            full = list(others)
            inner = jax.tree.unflatten(tree, [next(it) if on else x for (_, x), on in zip(flat, floating)])
            for n, value in zip(numbers, inner):
                full[n] = value
            return [o for o in jax.tree.leaves(function(*full)) if jnp.issubdtype(jnp.result_type(o), jnp.floating)]

        return g

    key = jax.random.key(seed)
    findings: list[str] = []
    notes: list[str] = []
    blame: list = []
    with jax.default_matmul_precision("highest"):
        with jax.enable_x64(True):
            g, leaves = on_leaves(True), [_widened(x) for x in given]
            try:
                lossy = _loses_precision(g, leaves)
            except TypeError as error:  # a scan's carry, say, that data closed over keeps at float32
                g, leaves, lossy = on_leaves(False), given, dtype
                notes.append(f"judged in {dtype}: the function cannot be traced in float64 ({str(error).splitlines()[0]})")
            if lossy and numeric:
                notes.append("finite differences skipped: the function converts to a lower precision on the path")
            try:
                answers = ask(hand_vjp(g), g, leaves, key, numeric and not lossy)
            except engine.GradientError as error:
                if isinstance(error, engine.NoRuleError):
                    raise
                reduced = " A broadcast that was not reduced?" if "returned shape" in str(error) else ""
                return Report(_head(title, dtype), [], [f"{error}{reduced}"], [str(error)], [])
            relative = RELATIVE if not lossy else 64 * float(jnp.finfo(lossy).eps)
            judged = _judge(paths, answers, relative)
            for i, (h, a) in enumerate(zip(answers.hand_value, answers.auto_value)):
                if not np.allclose(h, a, rtol=max(1e-10, relative), atol=1e-12, equal_nan=True):
                    findings.append(f"output {i}: the hand path's value differs from the formula's by up to {np.nanmax(np.abs(h - a)):.3g}: an op's forward")
            if replay:
                sizes = {s for x in leaves for s in x.shape}
                cotangents = _cotangents(key)
                blame = wrong_rules(g, leaves, cotangents, key, relative, lambda h, a: cause(h, a, sizes))
        if jnp.finfo(dtype).bits < 64 and lossy != dtype:
            notes += _lower_precision(on_leaves(False), hand_vjp, given, answers, key, paths, findings)
    if np.isfinite(answers.smallest):
        notes.append(f"finite differences could see a relative mistake of {answers.smallest:.0e}")
    return Report(_head(title, dtype), judged, findings, blame, notes)


def _head(title, dtype) -> str:
    return f"{title}   {jax.default_backend()} · verdict in float64, arguments {dtype} · highest · jax {jax.__version__}   3 oracles, {DIRECTIONS} directions"


def _cotangents(key):
    def of(outs):
        if len(outs) == 1 and outs[0].shape == ():
            return [jnp.ones((), outs[0].dtype)]
        return [jax.random.normal(k, o.shape, o.dtype) for k, o in zip(jax.random.split(key, len(outs)), outs)]

    return of


def _name(path, numbers) -> str:
    first = f"argument {numbers[path[0].idx]}" if len(numbers) > 1 or len(path) == 1 else ""
    rest = ".".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path[1:])
    return ".".join(p for p in (first, rest) if p)


def _widened(x):
    if isinstance(x, jax.Array | np.ndarray | np.generic) and jnp.issubdtype(x.dtype, jnp.floating):
        return jnp.asarray(x, jnp.float64)
    return x


def _loses_precision(g, leaves):
    """The lowest floating type that the float64 trace converts to, or None."""
    jaxpr = jax.make_jaxpr(g)(*leaves)
    lowest = None
    floats = [x.dtype for x in leaves]
    if any(jnp.finfo(d).bits < 64 for d in floats):
        return min(floats, key=lambda d: jnp.finfo(d).bits)
    stack = [getattr(jaxpr, "jaxpr", jaxpr)]
    while stack:
        for eqn in stack.pop().eqns:
            if eqn.primitive.name == "convert_element_type":
                source, target = eqn.invars[0].aval.dtype, eqn.params["new_dtype"]
                if jnp.issubdtype(source, jnp.floating) and jnp.issubdtype(target, jnp.floating) and jnp.finfo(target).bits < 64 == jnp.finfo(source).bits:
                    if lowest is None or jnp.finfo(target).bits < jnp.finfo(lowest).bits:
                        lowest = target
            stack.extend(getattr(j, "jaxpr", j) for p in eqn.params.values() for j in _jaxprs_in(p))
    return lowest


def _jaxprs_in(parameter):
    if hasattr(parameter, "eqns"):
        yield parameter
    elif isinstance(parameter, tuple | list):
        for p in parameter:
            yield from _jaxprs_in(p)


def _judge(paths, answers, relative) -> list[Leaf]:
    whole = np.sqrt(sum(np.sum(np.square(np.nan_to_num(a))) for a in answers.auto))
    sizes = {s for a in answers.auto for s in a.shape}
    out = []
    for i, (path, hand, auto) in enumerate(zip(paths, answers.hand, answers.auto)):
        difference = np.where((np.isnan(hand) & np.isnan(auto)) | (hand == auto), 0.0, hand - auto)
        error, norm = np.linalg.norm(difference), np.linalg.norm(np.nan_to_num(auto))
        limit = relative * norm + ABSOLUTE * max(whole, 1.0)
        order = answers.order[i]
        zero = norm <= 1e-12 * max(whole, 1e-300) or not np.any(auto)
        agrees = bool(error <= limit)
        forward = bool(answers.jvp_error[i] <= max(1e-8, 100 * relative)) or zero or not np.all(np.isfinite(auto))
        numeric = bool(np.isnan(order) or order == -1 or order >= 1.5) or zero
        note = "" if agrees else _swapped(i, paths, answers) or cause(hand, auto, sizes)
        if agrees and zero:
            note = "zero in truth"
        elif agrees and not forward:
            note = "jax.jvp disagrees with jax.vjp here"
        elif agrees and not numeric:
            note = "finite differences disagree: both derivatives are wrong"
        elif order == -1:
            note = "a kink: no verdict by finite differences"
        worst = tuple(int(k) for k in np.unravel_index(np.argmax(np.abs(difference)), auto.shape)) if auto.size else ()
        out.append(Leaf(path, auto.shape, float(np.linalg.norm(hand)), float(error / norm if norm else error), float(answers.jvp_error[i]), float(order), agrees and forward and numeric, note, worst))
    return out


def _swapped(i, paths, answers) -> str:
    """Whether another leaf's gradient stands here."""
    for j, auto in enumerate(answers.auto):
        if j != i and auto.shape == answers.hand[i].shape and np.any(auto) and np.allclose(answers.hand[i], auto, rtol=1e-8, atol=0):
            return f"hand is the gradient of {paths[j]}: cotangents swapped"
    return ""


def _lower_precision(g, hand_vjp, given, answers, key, paths, findings) -> list[str]:
    """float32 and below: the hand gradient may err against float64 twice as much as the automatic one."""
    low = ask_derivatives(hand_vjp(g), g, given, key)
    values, hands, autos = low
    eps = float(jnp.finfo(jnp.result_type(*given)).eps)
    if not all(np.allclose(v, w, rtol=1e3 * eps, atol=1e3 * eps, equal_nan=True) for v, w in zip(values, answers.auto_value)):
        return ["lower precision skipped: there the function is another one (its value differs beyond rounding)"]
    scalar = len(values) == 1 and values[0].shape == ()
    if not scalar:
        return ["lower precision compared only for scalar functions"]
    for path, hand, auto, truth in zip(paths, hands, autos, answers.auto):
        hand, auto = hand.astype(np.float64), auto.astype(np.float64)
        error, allowed = np.linalg.norm(hand - truth), 2 * np.linalg.norm(auto - truth) + 4 * eps * np.linalg.norm(truth)
        if error > allowed + eps * 1e-3:
            findings.append(f"{path}: in {given[0].dtype} the hand gradient is off by {error:.2e}, the automatic one by {np.linalg.norm(auto - truth):.2e}")
    return []


def ask_derivatives(hand, plain, leaves, key):
    @jax.jit
    def both(leaves):
        value, back = hand(*leaves)
        outs, auto_back = jax.vjp(plain, *leaves)
        u = _cotangents(key)(outs)
        return value, back(u), auto_back(u)

    return jax.tree.map(np.asarray, both(list(leaves)))
