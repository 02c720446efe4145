"""`check_gradients` and `check_custom_vjp`: a function traced, judged, and reported on."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import engine
from ..program import jaxprs
from ..program.modules import leaf_name
from . import oracles
from .judge import Customs, Judge, Own, Precision
from .progress import progress
from .report import Report
from .traced import Traced


def check_gradients(
    f: Callable,
    *args,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    seed: int = 0,
    numeric: bool = True,
    intended: Sequence[Callable] = (),
    **keywords,
) -> Report:
    """Hold the hand-written gradient of `f` against three independent oracles, and name the rule that is wrong.

    Args:
        f: any function that `bpjax.grad` takes; its value need not be a scalar (then random cotangents are used).
        args: its arguments.
        argnums: which of them are differentiated.
        has_aux: whether `f` returns `(value, aux)`.
        seed: of the random cotangents and directions.
        numeric: whether finite differences are asked too.
        intended: `jax.custom_vjp` and `jax.custom_jvp` functions whose rule is another than their function's derivative on purpose
            (straight-through, gradient reversal).
        keywords: handed to `f`, not differentiated.

    `f` is traced once, with the types that it is given. That program is judged in float64, where every equation of it is computed wide,
    and beside that in its own types, by the error that hand and automatic gradients have against float64.

    >>> import jax.numpy as jnp, bpjax
    >>> bpjax.check_gradients(lambda x: jnp.sum(jnp.tanh(x) ** 2), jnp.arange(3.0)).ok
    True
    """

    @functools.wraps(f)
    def plain(*inner):
        out = f(*inner, **keywords)
        return engine.value_and_aux_of(out)[0] if has_aux else out

    return _Check("bpjax.check_gradients", plain, args, argnums, seed, numeric, intended).report()


def check_custom_vjp(f: Callable, *args, argnums: int | Sequence[int] = 0, seed: int = 0, numeric: bool = True, **keywords) -> Report:
    """The same report for a `jax.custom_vjp` function: its own rule against the derivatives of its plain function.

    `f` may also be such a function under `functools.partial`, `functools.wraps` or `jax.jit`.

    >>> import jax, jax.numpy as jnp, bpjax
    >>> @jax.custom_vjp
    ... def double(x):
    ...     return 2.0 * x
    >>> double.defvjp(lambda x: (2.0 * x, None), lambda _, dy: (dy,))
    >>> bpjax.check_custom_vjp(double, jnp.ones(3)).leaves[0].note
    'hand = 0.5 x auto: a missing factor 2'
    """
    ruled, plain = (functools.partial(g, **keywords) if keywords else g for g in (f, _without_rule(f)))
    return _Check("bpjax.check_custom_vjp", ruled, args, argnums, seed, numeric, (), plain).report()


def _without_rule(f: Callable) -> Callable:
    """The plain function of a `jax.custom_vjp` function, looked for through what wraps it."""
    if isinstance(f, jax.custom_vjp):
        return f.__wrapped__
    if isinstance(f, functools.partial):
        return functools.partial(_without_rule(f.func), *f.args, **f.keywords)
    if (inner := getattr(f, "__wrapped__", None)) is not None:
        return _without_rule(inner)
    raise TypeError(f"check_custom_vjp takes a jax.custom_vjp function, got {type(f).__name__}")


def _in_parts(x) -> list:
    """A complex array as its real and its imaginary part: what is judged is real."""
    return [jnp.real(x), jnp.imag(x)] if jnp.iscomplexobj(x) else [x]


class _Check:
    """One check: the function traced, and what is reported of it."""

    def __init__(self, title, f, args, argnums, seed, numeric, intended, plain=None):
        self.title, self.seed, self.numeric = title, seed, numeric
        numbers = engine.chosen_arguments(engine.argument_numbers(f, argnums), args)
        flat, self.tree = jax.tree_util.tree_flatten_with_path([args[n] for n in numbers])
        self.floating = [jaxprs.is_inexact(x) for _, x in flat]
        self.parts = [2 if jnp.iscomplexobj(x) else 1 for (_, x), on in zip(flat, self.floating) if on]
        if not any(self.floating):
            raise TypeError(
                f"{title}: argument {', '.join(map(str, numbers))} holds no floating array to differentiate; choose others by argnums="
            )
        self.numbers, self.args, self.flat = numbers, args, [x for _, x in flat]
        paths = [leaf_name(p, numbers) for (p, _), on in zip(flat, self.floating) if on]
        self.paths = [path + part for path, n in zip(paths, self.parts) for part in ([""] if n == 1 else [".real", ".imag"])]
        leaves = [part for x, on in zip(self.flat, self.floating) if on for part in _in_parts(jnp.asarray(x))]
        self.dtype = jnp.result_type(*leaves)
        self.traced = Traced(self._on_leaves(f), leaves)
        self.plain = self.traced if plain is None else Traced(self._on_leaves(plain), leaves)
        self.customs = Customs(self.plain, intended)

    def _on_leaves(self, f):
        """`f` as a function of the differentiated arrays alone, whose results are its floating ones; complex ones in two parts."""

        def of_leaves(*leaves):
            parts, full = iter(leaves), list(self.args)
            it = iter([next(parts) if n == 1 else lax.complex(next(parts), next(parts)) for n in self.parts])
            inner = jax.tree.unflatten(self.tree, [next(it) if on else x for x, on in zip(self.flat, self.floating)])
            for n, value in zip(self.numbers, inner):
                full[n] = value
            outputs = jax.tree.leaves(f(*full))
            if strange := [o for o in outputs if not jaxprs.is_arraylike(o)]:
                raise TypeError(
                    f"{self.title}: the function must return arrays, got a {type(strange[0]).__name__} among them "
                    "(has_aux=True takes (value, aux))"
                )
            outputs = [part for o in outputs if jaxprs.is_inexact(o) for part in _in_parts(jnp.asarray(o))]
            if not outputs:
                raise TypeError(f"{self.title}: the function returns no floating array, so there is nothing to differentiate")
            return outputs

        return of_leaves

    def report(self) -> Report:
        """What is judged; and what JAX lent, which proves nothing."""
        with engine.lent() as names, progress(self.title) as self.begin:
            report = self._report()
        lent = [f"borrowed from JAX, and so held against itself: {', '.join(dict.fromkeys(names))}"] if names else []
        return report._replace(notes=[*report.notes, *lent])

    def _report(self) -> Report:
        """Run in the types given; then judge in float64; where that is another function, with casts kept; else in the types given."""
        u = oracles.cotangents(self.seed, self.traced.outputs)
        notes: list[str] = []
        with jax.default_matmul_precision("highest"), np.errstate(all="ignore"):  # what is not finite is judged, and not warned of
            self.begin("run in its own types")
            try:
                own = Own.of(self.traced, u)
            except (engine.NoRuleError, engine.HalfAnOpError):
                raise
            except (engine.GradientError, TypeError, ValueError) as error:  # a rule that breaks its contract, in the types given
                reduced = " A broadcast that was not reduced?" if "returned shape" in str(error) else ""
                return Report(self._head("not judged", ""), [], [f"{error}{reduced}"], [str(error)], [])
            names = oracles.through_formula(self.traced.program, len(self.paths), self.traced.inputs)
            with jax.enable_x64(True):
                judge = self._judge(Precision.WIDE, own, u)
                for next_best in (Precision.ROUNDED, Precision.GIVEN):
                    if (another := judge.another_function()) is None:
                        break
                    notes.append(another)
                    judge = self._judge(next_best, own, u)
                found = judge.judged(self.numeric)
        notes += [f"the written backward of {n} was not used: vmapped or differentiated, it goes through its formula" for n in names]
        head = self._head(f"judged in {judge.precision.value or self.dtype}", f"{len(judge.oracles)} oracles: {', '.join(judge.oracles)}")
        return Report(head, found.leaves, found.findings, found.blame, [*notes, *found.notes])

    def _judge(self, precision: Precision, own, u) -> Judge:
        self.begin("differentiated in float64")
        return Judge(self.traced, self.plain, self.customs, self.paths, own, u, self.seed, precision, self.begin)

    def _head(self, judged, asked) -> str:
        where = f"{jax.default_backend()} · {judged}, arguments {self.dtype} · highest · jax {jax.__version__}"
        return f"{self.title}   {where}   {asked}".rstrip()
