"""`check_gradients` and `check_custom_vjp`: the program traced, the oracles asked, the answers judged, the rule at fault named."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import engine
from ..program import jaxprs
from ..program.modules import leaf_name
from ..program.places import place_of
from . import oracles
from .blame import wrong_rules
from .oracles import KINK
from .report import OF_WHOLE, Leaf, Report, cause, difference
from .traced import Traced, evaluate, exposed_program

RELATIVE = 1e-10  # of a leaf's norm, in float64
FORWARD = 1e-8  # of the sum of |v g|, for jax.jvp


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


def check_custom_vjp(
    f: Callable, *args, argnums: int | Sequence[int] = 0, seed: int = 0, numeric: bool = True, **keywords
) -> Report:
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
    if hasattr(f, "__wrapped__"):
        return _without_rule(f.__wrapped__)
    raise TypeError(f"check_custom_vjp takes a jax.custom_vjp function, got {type(f).__name__}")


class _Check:
    """One check: what it traced, what it has found so far."""

    def __init__(self, title, f, args, argnums, seed, numeric, intended, plain=None):
        self.title, self.seed, self.numeric = title, seed, numeric
        self.intended = {jaxprs.source_of_function(g) for g in intended}
        numbers = engine.chosen_arguments(engine.argument_numbers(f, argnums), args)
        chosen = [args[n] for n in numbers]
        flat, self.tree = jax.tree_util.tree_flatten_with_path(chosen)
        self.floating = [jaxprs.is_floating(x) for _, x in flat]
        if not any(self.floating):
            raise TypeError(
                f"{title}: argument {', '.join(map(str, numbers))} holds no floating array to differentiate; choose others by argnums="
            )
        self.numbers, self.args, self.flat = numbers, args, [x for _, x in flat]
        self.paths = [leaf_name(p, numbers) for (p, _), on in zip(flat, self.floating) if on]
        self.given = [jnp.asarray(x) for x, on in zip(self.flat, self.floating) if on]
        self.dtype = jnp.result_type(*self.given)
        self.findings: list[str] = []
        self.notes: list[str] = []
        self.traced = Traced(self._on_leaves(f), self.given)
        self.plain = self.traced if plain is None else Traced(self._on_leaves(plain), self.given)
        self.is_same = plain is None

    def _on_leaves(self, f):
        """`f` as a function of the differentiated arrays alone, whose results are its floating ones."""

        def of_leaves(*leaves):
            it, full = iter(leaves), list(self.args)
            inner = jax.tree.unflatten(self.tree, [next(it) if on else x for x, on in zip(self.flat, self.floating)])
            for n, value in zip(self.numbers, inner):
                full[n] = value
            outputs = jax.tree.leaves(f(*full))
            if strange := [o for o in outputs if not jaxprs.is_arraylike(o)]:
                raise TypeError(
                    f"{self.title}: the function must return arrays, got a {type(strange[0]).__name__} among them "
                    "(has_aux=True takes (value, aux))"
                )
            outputs = [jnp.asarray(o) for o in outputs if jaxprs.is_floating(o)]
            if not outputs:
                raise TypeError(f"{self.title}: the function returns no floating array, so there is nothing to differentiate")
            return outputs

        return of_leaves

    def report(self) -> Report:
        u = oracles.cotangents(self.seed, self.traced.outputs)
        with jax.default_matmul_precision("highest"):
            try:
                own = oracles.numpy(jax.jit(oracles.by_hand(self.traced.program, len(self.given)))(self.traced.inputs, u))
            except engine.NoRuleError:
                raise
            except (engine.GradientError, TypeError, ValueError) as error:  # a rule that breaks its contract, in the types given
                reduced = " A broadcast that was not reduced?" if "returned shape" in str(error) else ""
                return self._report([], [f"{error}{reduced}"], [str(error)])
            with jax.enable_x64(True):
                return self._judged(own, u)

    def _report(self, leaves, findings, blame) -> Report:
        where = f"{jax.default_backend()} · {self.judged_in}, arguments {self.dtype} · highest · jax {jax.__version__}"
        return Report(f"{self.title}   {where}   {self.asked}", leaves, findings, blame, self.notes)

    judged_in, asked = "judged in float64", "no oracle asked"

    def _judged(self, own, u) -> Report:
        """Judge in float64; where that is another function, with casts kept; else in the types given."""
        for how in ({}, {"casts": True}, None):
            judge = _Judge(self, how, u)
            if how is None or judge.is_the_function(own[0]):
                break
            self.notes.append(judge.says_otherwise(own[0]))
        self.judged_in, self.asked = judge.where, ""
        leaves = judge.leaves()
        self.notes += [
            f"the written backward of {name} was not used: vmapped or differentiated, it goes through its formula"
            for name in oracles.through_formula(self.traced.program, len(self.given), self.traced.inputs)
        ]
        judge.elsewhere()
        if judge.is_wide:
            judge.in_own_types(own)
        self.asked = judge.asked
        return self._report(leaves, self.findings, judge.blame)


class _Judge:
    """Holds the oracles' answers, in one precision."""

    def __init__(self, check: _Check, how: dict | None, u):
        self.check, self.n, self.seed, self.notes = check, len(check.given), check.seed, check.notes
        self.how, self.is_wide = how, how is not None
        intended = check.intended
        self.customs = [e for e in check.plain.customs() if jaxprs.source_of_equation(e) not in intended]
        self.is_plain = lambda eqn: (
            eqn.primitive.name in ("custom_jvp_call", "custom_vjp_call")
            and not (eqn.primitive.name == "custom_jvp_call" and jaxprs.is_of_jax(eqn))
            and jaxprs.source_of_equation(eqn) not in intended
        )
        self.wide = self._in_precision(check.traced)
        self.plain = self.wide if check.is_same else self._in_precision(check.plain)
        self.eps = max(float(jnp.finfo(self.wide.leaves[0].dtype).eps), self.widening_eps())
        self.relative = RELATIVE if self.eps < 1e-12 else 64 * self.eps
        self.noise_size = oracles.noise_for(self.eps)
        self.unit = 64 * self.eps / self.noise_size  # what rounding may amount to, in units of what that noise does
        self.where = "judged in float64" + (" with casts kept" if how else "") if self.is_wide else f"judged in {check.dtype}"
        self.u = [np.asarray(x, o.dtype) for x, o in zip(u, self.wide.outputs)]
        self.open = exposed_program(self.wide) if check.is_same else self.wide
        self.derivatives = oracles.both(self.open.program, self.open.program if check.is_same else self.plain.program, self.n)
        if not check.is_same:
            self.derivatives = self._of_two_programs()
        self.compiled = jax.jit(self.derivatives)
        k = len(self.wide.outputs)
        self.nothing = [np.zeros(o.shape, o.dtype) for o in self.open.outputs[k:]]
        self.answers = self._take(self.compiled(self.open.inputs, [*self.u, *self.nothing]))
        self.blame: list = []
        self.oracles = ["jax.vjp"]

    def _in_precision(self, traced: Traced) -> Any:
        return traced.widened(**self.how) if self.how is not None else traced

    def widening_eps(self) -> float:
        return self.wide.widening.eps if self.is_wide else self.check.traced.eps

    def _of_two_programs(self):
        hand, auto = self.wide, self.plain
        of_hand = oracles.by_hand(hand.program, self.n)

        def derivatives(inputs, u):
            value, grads = of_hand(inputs, u)
            auto_value, back = jax.vjp(lambda *leaves: evaluate(auto.program, [*leaves, *auto.given]), *inputs[: self.n])
            return oracles.Gradients(value, auto_value, grads, list(back(list(u))))

        return derivatives

    def _take(self, answers):
        return oracles.numpy(answers)

    @property
    def outputs(self) -> int:
        """How many outputs are the function's own."""
        return len(self.wide.outputs)

    # ---- whether this is the function that was given ----

    def is_the_function(self, values) -> bool:
        """Whether the wide value is the program's own, to the rounding of its types."""
        self.off = self._value_off(values)
        return self.off is None

    def _value_off(self, values):
        eps = self.check.traced.eps
        share = min(1e3 * eps, 0.5)
        moved = sum(float(np.sum(np.abs(np.nan_to_num(g) * np.asarray(x)))) for g, x in zip(self.answers.auto, self.wide.leaves))
        for own, wide in zip(values, self.answers.hand_value):
            own = np.asarray(own, np.float64)
            far = np.abs(difference(own, wide)) > share * (np.max(np.abs(np.nan_to_num(wide)), initial=0.0)) + 1e2 * eps * moved
            if np.any(far & np.isfinite(own) & np.isfinite(wide)) or np.any(np.isfinite(own) != np.isfinite(wide)):
                return own, wide
        return None

    def says_otherwise(self, values) -> str:
        """The note on a value that is another one in this precision."""
        own, wide = self.off
        k = int(np.argmax(np.abs(difference(own, wide))))
        how = "with casts kept" if self.how else "in float64"
        return f"{how} the value would be {wide.flat[k]:.6g}, in the types given it is {own.flat[k]:.6g}: a function of rounding"

    # ---- the leaves ----

    def leaves(self) -> list[Leaf]:
        """Every leaf, judged."""
        a = self.answers
        for i, (h, f) in enumerate(zip(a.hand_value[: self.outputs], a.auto_value[: self.outputs])):
            self._value(i, h, f)
        jvp_errors, jvp_scales = self._forward()
        orders, smallest = self._numeric()
        whole = np.sqrt(sum(np.sum(np.square(np.nan_to_num(g))) for g in a.auto))
        out = [self._leaf(i, whole, jvp_errors[i], jvp_scales[i], orders[i]) for i in range(self.n)]
        if any(not leaf.ok and leaf.verdict == "WRONG" for leaf in out):
            self.blame = self._blame()
            if not self.blame:
                out = [self._unless_a_tie(i, leaf) for i, leaf in enumerate(out)]
        if smallest is not None and smallest < 1:
            self.notes.append(f"finite differences could see a relative mistake of {smallest:.0e}")
        if self.is_wide and self.wide.widening.narrow:
            self.notes.append(f"run in their own types: {', '.join(list(self.wide.widening.narrow)[:4])}")
        return out

    def _value(self, i, hand, auto):
        if not np.allclose(hand, auto, rtol=max(1e-10, self.relative), atol=1e-12, equal_nan=True):
            off = np.nanmax(np.abs(difference(hand, auto)))
            self.check.findings.append(f"output {i}: the hand path's value differs from the formula's by up to {off:.3g}: an op's forward")

    def _forward(self):
        try:
            plain = self.check.plain
            wide = self.plain
            if any(self.is_plain(e) for e in jaxprs.every_equation_of(plain.program)):
                wide = plain.widened(**(self.how or {}), is_plain=self.is_plain) if self.is_wide else None
            if wide is None or any(e.primitive.name == "custom_vjp_call" for e in jaxprs.every_equation_of(wide.program)):
                self.notes.append("jax.jvp not asked: the function holds a jax.custom_vjp, which has no forward derivative")
                return np.full(self.n, np.nan), np.ones(self.n)
            found = oracles.adjoint_errors(wide, self.answers.hand, self.u, self.seed)
        except Exception as error:
            self.notes.append(f"jax.jvp not asked: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            return np.full(self.n, np.nan), np.ones(self.n)
        self.oracles.append("jax.jvp" + (" of the plain functions" if self.customs else ""))
        return found

    def _numeric(self):
        self._values: Any = None
        if not self.check.numeric or not self.is_wide or self.how:
            return np.full(self.n, np.nan), None
        self.oracles.append("finite differences")
        f = lambda inputs: evaluate(self.plain.program, inputs)
        self._values = oracles.moved(f, self.plain.inputs, self.n, self.u, self.seed)
        found = [oracles.order(v, s, 0.0, self.eps) for v, s in zip(self._values, self._slopes())]
        if any(o < 1.5 for o, _ in found):
            noise = self.unit * float(sum(np.sum(s * np.abs(u)) for s, u in zip(self.noise.auto_value, self.u)))
            found = [oracles.order(v, s, noise, self.eps) for v, s in zip(self._values, self._slopes())]
        smallest = [s for _, s in found if np.isfinite(s)]
        orders = [o for o, _ in found]
        self.on_purpose = set()
        if any(o < 1.5 for o in orders) and (stops := self._stops()):
            values = oracles.moved(oracles.frozen(self.check.plain), self.plain.inputs_of_traced, self.n, self.u, self.seed)
            again = [oracles.order(v, s, 0.0, self.eps)[0] for v, s in zip(values, self._slopes())]
            for i, (before, now) in enumerate(zip(orders, again)):
                if before < 1.5 <= now:
                    self.on_purpose.add(i)
                    orders[i] = now
            if self.on_purpose:
                self.notes.append(f"differs from finite differences on purpose: stop_gradient{stops[0]}")
        return np.array(orders), max(smallest, default=None)

    def _slopes(self):
        v = oracles.directions(self.seed, self.plain.leaves, 1)
        return [float(np.sum(d[0] * g)) for d, g in zip(v, self.answers.hand)]

    def _stops(self) -> list:
        """The places of `stop_gradient` on the path."""
        return [place_of(e) for e in jaxprs.every_equation_of(self.check.plain.program) if e.primitive.name == "stop_gradient"]

    @functools.cached_property
    def noise(self):
        """By how much a noise of 2^-30 in everything changes each answer."""
        settings = self.check.traced.settings
        return oracles.rounding(self.derivatives, settings, self.noise_size, self.open.inputs, [*self.u, *self.nothing])

    def measure(self, f, *args) -> Any:
        """What rounding may amount to in each number that `f` gives."""
        noise = oracles.rounding(f, self.check.traced.settings, self.noise_size, *args)
        return jax.tree.map(lambda x: self.unit * x, noise)

    def _leaf(self, i, whole, jvp_error, jvp_scale, order) -> Leaf:
        hand, auto, path = self.answers.hand[i], self.answers.auto[i], self.check.paths[i]
        off = difference(hand, auto)
        error, norm = float(np.linalg.norm(off)), float(np.linalg.norm(np.nan_to_num(auto)))
        limit = self.relative * (norm + OF_WHOLE * whole)
        verdict, note = "ok", ""
        if not np.all(np.isfinite(hand)) or not np.all(np.isfinite(auto)):
            verdict, note = self._not_finite(hand, auto)
        elif not error <= max(limit, self._rounding(i, error > limit)):
            sizes = {s for a in self.answers.auto for s in a.shape}
            verdict, note = "WRONG", _swapped(i, self.check.paths, self.answers) or cause(hand, auto, sizes)
        else:
            note = self._size(i, norm, error, limit, whole)
            verdict, note = self._independently(i, jvp_error, jvp_scale, order, note)
        worst = tuple(int(k) for k in np.unravel_index(np.argmax(np.abs(off)), auto.shape)) if auto.size else ()
        share = jvp_error / jvp_scale if jvp_scale else jvp_error
        return Leaf(
            path, auto.shape, float(np.linalg.norm(hand)), error / norm if norm else error, float(share), float(order), verdict, note, worst
        )

    def _not_finite(self, hand, auto):
        if np.all(np.isfinite(hand) == np.isfinite(auto)):
            if not all(np.all(np.isfinite(v)) for v in self.answers.auto_value[: self.outputs]):
                return "not finite", "the value itself is not finite: bpjax.find_nan says where that begins"
            return "not finite", "NaN or infinite by both: bpjax.find_nan says where it begins"
        return "WRONG", cause(hand, auto)

    def _rounding(self, i, is_needed) -> float:
        """What the rounding of all that this gradient is computed from may amount to."""
        if not is_needed:
            return 0.0
        return self.unit * float(np.linalg.norm(self.noise.hand[i]) + np.linalg.norm(self.noise.auto[i]))

    def _size(self, i, norm, error, limit, whole) -> str:
        if norm <= 1e-2 * self.relative * whole or not np.any(self.answers.auto[i]):
            return "zero in truth"
        return "zero to rounding" if error > limit else ""

    def _independently(self, i, jvp_error, scale, order, note):
        """The verdict where hand and auto agree: what the oracles say that know neither."""
        asked = not np.isnan(jvp_error)
        tolerance = max(FORWARD, 100 * self.relative)
        forward = asked and (jvp_error <= tolerance * scale or bool(note) or jvp_error <= 1.5 * self._summed_rounding(i))
        numeric = order >= 1.5
        if numeric and i in getattr(self, "on_purpose", ()):
            note = note or "on purpose: stop_gradient"
        if order == KINK:
            note = note or "a kink: no verdict by finite differences"
        if 0 <= order < 1.5:
            if note in ("zero in truth", "zero to rounding"):
                return "ok", note
            if self.check.intended:
                return "ok", "differs from finite differences on purpose: intended"
            if self.customs:
                return "WRONG", f"finite differences disagree: the rule of {self._customs()}"
            return "WRONG", "finite differences disagree: both derivatives are wrong"
        if not self.customs:
            return ("ok", note) if forward or not asked else ("WRONG", "jax.jvp disagrees with jax.vjp here")
        if forward or numeric or not np.any(self.answers.auto[i]) and note == "zero in truth":
            return "ok", note
        why = "every oracle that could be asked follows it" if not asked else "it is not the derivative of its plain function"
        numbers = "finite differences were not asked" if not self.check.numeric else "finite differences have no verdict"
        return "not judged", f"the rule of {self._customs()}: {why}, and {numbers}"

    def _summed_rounding(self, i) -> float:
        return self.unit * float(np.sum(self.noise.hand[i]) + np.sum(self.noise.auto[i]))

    def _customs(self) -> str:
        names = dict.fromkeys(jaxprs.function_name(e) for e in self.customs)
        return ", ".join(list(names)[:3])

    def _unless_a_tie(self, i, leaf: Leaf) -> Leaf:
        """A disagreement for which no rule is to blame, and that a little noise makes too, is the choice among equals."""
        if leaf.verdict != "WRONG" or "finite differences" in leaf.note or "jax.jvp" in leaf.note:
            return leaf
        error = float(np.linalg.norm(difference(self.answers.hand[i], self.answers.auto[i])))
        if error <= 16 * float(np.linalg.norm(self.noise.hand[i]) + np.linalg.norm(self.noise.auto[i])):
            return leaf._replace(verdict="ok", note="at a tie: rounding decides which way it goes, and every rule is right")
        return leaf

    def _blame(self) -> list:
        sizes = {s for x in self.wide.leaves for s in x.shape}
        is_plain = self.is_plain if self.customs else lambda eqn: False
        return wrong_rules(
            self.wide, self.u, self.seed, self.relative, lambda h, a: cause(h, a, sizes), self.measure, is_plain
        )

    # ---- where no cotangent arrives, and in the types given ----

    def elsewhere(self) -> None:
        """With random cotangents at every value that flows: a last layer that is zero hides no mistake above it."""
        a, k = self.answers, self.outputs
        if not self.check.is_same or self.blame:
            return
        everywhere = oracles.random(self.seed + 1, [o.shape for o in self.open.outputs], self.wide.leaves[0].dtype)
        found = self._take(self.compiled(self.open.inputs, [np.asarray(x, o.dtype) for x, o in zip(everywhere, self.open.outputs)]))
        whole = np.sqrt(sum(np.sum(np.square(np.nan_to_num(g))) for g in found.auto))

        def far(h, a, whole):
            if not np.all(np.isfinite(a)):
                return True
            return not np.linalg.norm(difference(h, a)) <= self.relative * (np.linalg.norm(a) + OF_WHOLE * whole)

        flows = any(far(h, f, 0.0) for h, f in zip(a.hand_value[k:], a.auto_value[k:]))
        if flows or any(far(h, g, whole) for h, g in zip(found.hand, found.auto)):
            self.blame = self._blame()

    def in_own_types(self, own) -> None:
        """float32 and below: the hand gradient may err against float64 twice as much as the automatic one."""
        eps, check = self.check.traced.eps, self.check
        if eps < 1e-12:
            return
        hands = [np.asarray(g, np.float64) for g in own[1]]
        errors = [float(np.linalg.norm(difference(h, t))) for h, t in zip(hands, self.answers.auto)]
        norms = [float(np.linalg.norm(np.nan_to_num(t))) for t in self.answers.auto]
        suspicious = [i for i in range(self.n) if np.all(np.isfinite(self.answers.auto[i])) and not errors[i] <= 16 * eps * norms[i]]
        if not suspicious:
            return
        with jax.enable_x64(check.traced.settings.x64):
            u = [np.asarray(x, o.dtype) for x, o in zip(self.u, check.plain.outputs)]

            def automatic(inputs, u):
                _, back = jax.vjp(lambda *leaves: evaluate(check.plain.program, [*leaves, *inputs[self.n :]]), *inputs[: self.n])
                return list(back(list(u)))

            autos = [np.asarray(g, np.float64) for g in oracles.numpy(jax.jit(automatic)(check.plain.inputs, u))]
        for i in suspicious:
            of_auto = float(np.linalg.norm(difference(autos[i], self.answers.auto[i])))
            if errors[i] <= 2 * of_auto + 4 * eps * norms[i]:
                continue
            measured = 4 * eps / self.noise_size * float(np.linalg.norm(self.noise.hand[i]) + np.linalg.norm(self.noise.auto[i]))
            if not errors[i] <= measured:
                check.findings.append(
                    f"{check.paths[i]}: in {check.given[i].dtype} the hand gradient is off by {errors[i]:.2e}, "
                    f"the automatic one by {of_auto:.2e}, of {norms[i]:.2e}"
                )

    @property
    def asked(self) -> str:
        return f"{len(self.oracles)} oracle{'s' if len(self.oracles) > 1 else ''}: {', '.join(self.oracles)}"


def _swapped(i, paths, answers) -> str:
    """Whether another leaf's gradient stands here."""
    for j, auto in enumerate(answers.auto):
        if j != i and auto.shape == answers.hand[i].shape and np.any(auto) and np.allclose(answers.hand[i], auto, rtol=1e-8, atol=0):
            return f"hand is the gradient of {paths[j]}: cotangents swapped"
    return ""
