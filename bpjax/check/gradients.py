"""`check_gradients` and `check_custom_vjp`: the oracles asked, the answers judged, the rule at fault named."""

import functools
import warnings
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .. import engine
from ..program import jaxprs
from ..program.modules import leaf_name
from .blame import wrong_rules
from .oracles import DIRECTIONS, ask, compiled, cotangents
from .report import OF_WHOLE, Leaf, Report, cause, difference

RELATIVE = 1e-10  # of a leaf's norm, in float64


def check_gradients(
    f: Callable, *args, argnums: int | Sequence[int] = 0, has_aux: bool = False, seed: int = 0, numeric: bool = True
) -> Report:
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

    @functools.wraps(f)
    def plain(*inner):
        out = f(*inner)
        return engine.value_and_aux_of(out)[0] if has_aux else out

    return _check(
        "bpjax.check_gradients",
        plain,
        lambda g: lambda *leaves: engine.vjp(g, *leaves),
        args,
        argnums,
        seed,
        numeric,
        engine.GradientError,
        replay=True,
    )


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

    return _check("bpjax.check_custom_vjp", plain, ruled, args, argnums, seed, numeric, (TypeError, ValueError), replay=False)


def _check(title, plain, hand_vjp, args, argnums, seed, numeric, broken, replay) -> Report:
    """`broken`: the errors by which a rule breaks its contract."""
    numbers = engine.chosen_arguments(engine.argument_numbers(plain, argnums), args)
    chosen = [args[n] for n in numbers]
    flat, tree = jax.tree_util.tree_flatten_with_path(chosen)
    floating = [jaxprs.is_floating(x) for _, x in flat]
    if not any(floating):
        raise TypeError(
            f"{title}: argument {', '.join(map(str, numbers))} holds no floating array to differentiate; choose others by argnums="
        )
    paths = [leaf_name(p, numbers) for (p, _), on in zip(flat, floating) if on]
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
            outputs = jax.tree.leaves(function(*full))
            if strange := [o for o in outputs if not jaxprs.is_arraylike(o)]:
                raise TypeError(
                    f"{title}: the function must return arrays, got a {type(strange[0]).__name__} among them "
                    "(has_aux=True takes (value, aux))"
                )
            outputs = [jnp.asarray(o) for o in outputs if jaxprs.is_floating(o)]
            if not outputs:
                raise TypeError(f"{title}: the function returns no floating array, so there is nothing to differentiate")
            return outputs

        return g

    key = jax.random.key(seed)
    findings: list[str] = []
    notes: list[str] = []
    blame: list = []
    with jax.default_matmul_precision("highest"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # JAX's, where data that f closes over stays at float32 beside float64
        with jax.enable_x64(True):
            g, leaves = on_leaves(True), [_widened(x) for x in given]
            try:
                equations = list(jaxprs.every_equation(jax.make_jaxpr(g)(*leaves)))
            except TypeError as error:  # a scan's carry, say, that data closed over keeps at float32
                g, leaves = on_leaves(False), given
                equations = list(jaxprs.every_equation(jax.make_jaxpr(g)(*leaves)))
                notes.append(f"judged in {dtype}: the function cannot be traced in float64 ({str(error).splitlines()[0]})")
            lossy = _loses_precision(equations, leaves)
            has_jvp = not any(e.primitive.name.startswith("custom_vjp_call") for e in equations)
            if not has_jvp:
                notes.append("jax.jvp not asked: the function holds a jax.custom_vjp, which has no forward derivative")
            if lossy and numeric:
                notes.append("finite differences skipped: the function converts to a lower precision on the path")
            try:
                answers = ask(hand_vjp(g), g, leaves, key, has_jvp, numeric and not lossy)
            except engine.NoRuleError:
                raise
            except broken as error:
                reduced = " A broadcast that was not reduced?" if "returned shape" in str(error) else ""
                return Report(_head(title, dtype), [], [f"{error}{reduced}"], [str(error)], [])
            relative = RELATIVE if not lossy else 64 * float(jnp.finfo(lossy).eps)
            judged = _judge(paths, answers, relative)
            for i, (h, a) in enumerate(zip(answers.hand_value, answers.auto_value)):
                if not np.allclose(h, a, rtol=max(1e-10, relative), atol=1e-12, equal_nan=True):
                    findings.append(
                        f"output {i}: the hand path's value differs from the formula's by up to {np.nanmax(np.abs(h - a)):.3g}: "
                        "an op's forward"
                    )
            if replay:
                sizes = {s for x in leaves for s in x.shape}
                blame, through_formula = wrong_rules(
                    g, leaves, cotangents(key, jax.eval_shape(g, *leaves)), key, relative, lambda h, a: cause(h, a, sizes)
                )
                notes += [
                    f"the written backward of {name} was not used: vmapped or differentiated, it goes through its formula"
                    for name in through_formula
                ]
        if jnp.finfo(dtype).bits < 64 and lossy != dtype:
            notes += _lower_precision(on_leaves(False), hand_vjp, given, answers, key, paths, findings)
    if answers.smallest < 1:
        notes.append(f"finite differences could see a relative mistake of {answers.smallest:.0e}")
    return Report(_head(title, dtype), judged, findings, blame, notes)


def _head(title, dtype) -> str:
    where = f"{jax.default_backend()} · verdict in float64, arguments {dtype} · highest · jax {jax.__version__}"
    return f"{title}   {where}   3 oracles, {DIRECTIONS} directions"


def _widened(x):
    if isinstance(x, jax.Array | np.ndarray | np.generic) and jnp.issubdtype(x.dtype, jnp.floating):
        return jnp.asarray(x, jnp.float64)
    return x


def _loses_precision(equations, leaves):
    """The lowest floating type in which the trace goes, or None where it is float64 throughout."""
    types = [x.dtype for x in leaves]
    for eqn in equations:
        if eqn.primitive.name == "convert_element_type" and eqn.invars[0].aval.dtype == jnp.float64:
            types.append(eqn.params["new_dtype"])
    low = [t for t in types if jnp.issubdtype(t, jnp.floating) and jnp.finfo(t).bits < 64]
    return min(low, key=lambda t: jnp.finfo(t).bits, default=None)


def _judge(paths, answers, relative) -> list[Leaf]:
    whole = np.sqrt(sum(np.sum(np.square(np.nan_to_num(a))) for a in answers.auto))
    sizes = {s for a in answers.auto for s in a.shape}
    out = []
    for i, (path, hand, auto) in enumerate(zip(paths, answers.hand, answers.auto)):
        off = difference(hand, auto)
        error, norm = np.linalg.norm(off), np.linalg.norm(np.nan_to_num(auto))
        # where the function goes through float32, a gradient that is zero in truth is the rounding of the whole: both follow `relative`
        limit = relative * (norm + OF_WHOLE * max(whole, 1.0))
        order = answers.order[i]
        zero = norm <= 1e-2 * relative * whole or not np.any(auto)
        agrees = bool(error <= limit)
        forward = (
            bool(np.isnan(answers.jvp_error[i]) or answers.jvp_error[i] <= max(1e-8, 100 * relative))
            or zero
            or not np.all(np.isfinite(auto))
        )
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
        worst = tuple(int(k) for k in np.unravel_index(np.argmax(np.abs(off)), auto.shape)) if auto.size else ()
        out.append(
            Leaf(
                path,
                auto.shape,
                float(np.linalg.norm(hand)),
                float(error / norm if norm else error),
                float(answers.jvp_error[i]),
                float(order),
                agrees and forward and numeric,
                note,
                worst,
            )
        )
    return out


def _swapped(i, paths, answers) -> str:
    """Whether another leaf's gradient stands here."""
    for j, auto in enumerate(answers.auto):
        if j != i and auto.shape == answers.hand[i].shape and np.any(auto) and np.allclose(answers.hand[i], auto, rtol=1e-8, atol=0):
            return f"hand is the gradient of {paths[j]}: cotangents swapped"
    return ""


def _lower_precision(g, hand_vjp, given, answers, key, paths, findings) -> list[str]:
    """float32 and below: the hand gradient may err against float64 twice as much as the automatic one."""
    values, hands, autos = _derivatives(hand_vjp(g), g, given, key)
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
            findings.append(
                f"{path}: in {given[0].dtype} the hand gradient is off by {error:.2e}, "
                f"the automatic one by {np.linalg.norm(auto - truth):.2e}"
            )
    return []


def _derivatives(hand, plain, leaves, key):
    @compiled
    def both(leaves, u):
        value, back = hand(*leaves)
        _, auto_back = jax.vjp(plain, *leaves)
        return value, back(u), auto_back(u)

    return jax.tree.map(np.asarray, both(list(leaves), cotangents(key, jax.eval_shape(plain, *leaves))))
