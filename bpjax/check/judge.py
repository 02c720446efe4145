"""The verdict on each leaf: what the oracles say of the hand-written gradient, and what their answers are worth."""

import enum
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ..program import jaxprs
from ..program.places import place_of
from . import oracles, rounding
from .blame import wrong_rules
from .oracles import KINK, UNASKED
from .report import OF_WHOLE, Leaf, cause, difference, norm
from .traced import Traced, evaluate, opened

RELATIVE = 1e-10  # of a leaf's norm, in float64
FORWARD = 1e-8  # of the sum of |v g|, for jax.jvp
EPS = float(np.finfo(np.float64).eps)
EPS_32 = float(np.finfo(np.float32).eps)
_TIE = "at a tie: rounding decides which way it goes, and every rule is right"


class Precision(enum.Enum):
    """In which types a program is judged: the first in which it is the function that was given."""

    WIDE = "float64"
    ROUNDED = "float64 with casts kept"
    GIVEN = ""

    def of(self, traced: Traced, **how) -> Any:
        """The traced function in this precision."""
        return traced if self is Precision.GIVEN else traced.widened(casts=self is Precision.ROUNDED, **how)


class Own(NamedTuple):
    """The value and the hand-written gradient in the types given."""

    values: list
    grads: list

    @classmethod
    def of(cls, traced: Traced, u) -> "Own":
        return cls(*oracles.numpy(jax.jit(oracles.by_hand(traced.program, len(traced.leaves)))(traced.inputs, u)))


class Customs:
    """The rules that users gave JAX, in a program: those that are to be judged, and those that mean what they do."""

    def __init__(self, traced: Traced, intended: Sequence[Callable]):
        self._intended = {jaxprs.source_of_function(f) for f in intended}
        found = [e for e in jaxprs.every_equation_of(traced.program) if e.primitive.name in ("custom_jvp_call", "custom_vjp_call")]
        self.equations = list(filter(self.is_judged, found))
        self.strips = any(map(self.is_stripped, found))
        self.intended = dict.fromkeys(jaxprs.function_name(e) for e in found if self._is_intended(e))
        self.keeps_vjp = any(e.primitive.name == "custom_vjp_call" and self._is_intended(e) for e in found)

    def _is_intended(self, eqn) -> bool:
        return jaxprs.source_of_equation(eqn) in self._intended

    def is_stripped(self, eqn) -> bool:
        """Whether its plain function is differentiated, where independent oracles are asked."""
        name = eqn.primitive.name
        return (name == "custom_vjp_call" or (name == "custom_jvp_call" and not jaxprs.is_of_jax(eqn))) and not self._is_intended(eqn)

    def is_judged(self, eqn) -> bool:
        """Whether it is a user's rule, so that an oracle that follows it says nothing."""
        return self.is_stripped(eqn) and not jaxprs.is_of_jax(eqn)

    def __str__(self):
        return ", ".join(list(dict.fromkeys(map(jaxprs.function_name, self.equations)))[:3])


class Judged(NamedTuple):
    """What a judge found."""

    leaves: list[Leaf]
    findings: list[str]
    blame: list
    notes: list[str]


class Judge:
    """Holds the gradients of one program, in one precision, and asks the oracles about them; `begin` is told how far that is."""

    def __init__(
        self, traced: Traced, plain: Traced, customs: Customs, paths, own: Own, u, seed: int, precision: Precision, begin: Callable
    ):
        self.begin = begin
        self.traced, self.customs, self.paths, self.own, self.seed, self.precision = traced, customs, paths, own, seed, precision
        self.of_plain, self.n = plain, len(paths)
        self.hand = precision.of(traced)
        self.auto = self.hand if plain is traced else precision.of(plain)
        is_wide = precision is not Precision.GIVEN
        self.eps = max(EPS, self.hand.widening.eps if is_wide else traced.eps)
        self.relative = RELATIVE if self.eps < 1e-12 else 64 * self.eps
        self.noise_size = rounding.noise_for(self.eps)
        self.u = [np.asarray(x, o.dtype) for x, o in zip(u, self.hand.outputs)]
        self.programs, self.inputs = (self.hand.program, self.hand.program), self.hand.inputs
        if plain is not traced:  # two programs over the inputs of both
            more, k = self.auto.program.invars[self.n :], len(self.hand.given)
            of_hand = self.hand.program._replace(invars=[*self.hand.program.invars, *more])
            invars = self.auto.program.invars
            of_auto = self.auto.program._replace(invars=[*invars[: self.n], *self.hand.program.invars[self.n :][:k], *invars[self.n :]])
            self.programs, self.inputs = (of_hand, of_auto), [*self.hand.inputs, *self.auto.given]
        self.derivatives = oracles.both(*self.programs, self.n)
        traced_derivatives = jax.jit(self.derivatives).trace(self.inputs, self.u)
        self.compiled = traced_derivatives.lower().compile()
        # constants were rounded when they were written into the program, those of a formula and those of its backward apart
        self.is_rounded = is_wide and traced.eps > EPS and rounding.holds_rounded(traced_derivatives.jaxpr, np.float32)
        self.relative = max(self.relative, EPS_32 if self.is_rounded else 0.0)
        self.answers = oracles.numpy(self.compiled(self.inputs, self.u))
        self.whole = _whole(self.answers.auto)
        self.oracles, self.notes, self.findings = ["jax.vjp"], [], []
        self.excused: set[int] = set()  # the leaves at which jax.grad is wrong

    # ---- whether this is the function that was given ----

    def another_function(self) -> str | None:
        """A note where the value in this precision differs from the program's own by more than the rounding of its types."""
        eps = self.traced.eps
        moved = sum(float(np.sum(np.abs(np.nan_to_num(g) * np.asarray(x)))) for g, x in zip(self.answers.auto, self.hand.leaves))
        for own, wide in zip(self.own.values, self.answers.hand_value):
            own = np.asarray(own, np.float64)
            allowed = min(1e3 * eps, 0.5) * np.max(np.abs(np.nan_to_num(wide)), initial=0.0) + 1e2 * eps * moved
            with np.errstate(invalid="ignore"):
                off = np.abs(difference(own, wide))
            if not np.all(off <= allowed):
                k = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
                return (
                    f"in {self.precision.value} the value would be {wide.flat[k]:.6g}, in the types given it is {own.flat[k]:.6g}: "
                    "a function of rounding"
                )
        return None

    # ---- the verdicts ----

    def judged(self, numeric: bool) -> Judged:
        """Ask the oracles; name the rules at fault."""
        self._values()
        numeric = numeric and self.precision is Precision.WIDE
        self.begin("moved along directions")
        self.moved = self._moved(numeric)
        self.begin("held against the oracles")
        self.orders, self.on_purpose = self._orders(numeric)
        leaves = list(map(self._leaf, range(self.n)))
        self.begin("rules asked one by one")
        blame = []
        if self.findings or any(leaf.verdict == "WRONG" for leaf in leaves):
            blame = self._blame(self.inputs)
            if not blame:
                leaves = [self._unless_a_tie(i, leaf) for i, leaf in enumerate(leaves)]
        elif self.excused:
            self.notes.append("rules were not asked beside the point, where jax.grad, which is wrong here, would have to judge them")
        else:
            blame = self._elsewhere()
        self.begin("rules run in the types given")
        if self.precision is not Precision.GIVEN:
            self._in_own_types()
            if narrow := list(self.hand.widening.narrow):
                self.notes.append(f"run in their own types: {', '.join(narrow[:4])}")
        return Judged(leaves, self.findings, blame, self.notes)

    def _values(self) -> None:
        for i, (hand, auto) in enumerate(zip(self.answers.hand_value, self.answers.auto_value)):
            off = norm(difference(hand, auto))
            if off > self.relative * norm(auto) and not off <= self._measured("value", i):
                worst = np.nanmax(np.abs(difference(hand, auto)))
                self.findings.append(f"output {i}: the hand path's value differs from the formula's by up to {worst:.3g}: an op's forward")

    def _moved(self, numeric: bool) -> oracles.Moved:
        """jax.jvp, of the plain functions where there are users' rules; and finite differences."""
        judged, forward = self.auto, not self.customs.keeps_vjp
        if self.customs.strips and self.precision is Precision.GIVEN:
            forward = False
        elif self.customs.strips:
            judged = self.precision.of(self.of_plain, is_plain=self.customs.is_stripped)
        if not forward:
            self.notes.append("jax.jvp not asked: the function holds a jax.custom_vjp, which has no forward derivative")
        f = lambda leaves, given: evaluate(judged.program, [*leaves, *given])
        ask = lambda forward: oracles.mover(f, self._along, forward, numeric)
        self.move = ask(forward)
        try:
            found = self.move(judged.leaves, judged.given, self.u)
        except Exception as error:
            if not (forward and self.customs.strips):  # a plain function need not have a derivative
                raise
            self.notes.append(f"jax.jvp not asked: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
            found = ask(False)(judged.leaves, judged.given, self.u)
        if found.slopes is not None:
            self.oracles.append("jax.jvp" + (" of the plain functions" if self.customs.equations else ""))
        if numeric:
            self.oracles.append("finite differences")
        self.of_move = judged
        return found

    def _orders(self, numeric: bool) -> tuple[list[float], set[int]]:
        """The orders by finite differences, and which leaves differ from them by a `stop_gradient` alone."""
        if not numeric:
            return [UNASKED] * self.n, set()
        orders, smallest = self._taylor(self.moved.values, 0.0)
        if any(0 <= o < 1.5 for o in orders):
            orders, smallest = self._taylor(self.moved.values, sum(self._measured("value", i) for i in range(len(self.u))))
        on_purpose: set[int] = set()
        stops = [e for e in jaxprs.every_equation_of(self.of_plain.program) if e.primitive.name == "stop_gradient"]
        if stops and any(0 <= o < 1.5 for o in orders):
            given = self.auto.given[: len(self.of_plain.given)]
            still = oracles.mover(oracles.frozen(self.of_plain), self._along, False, True)
            again, _ = self._taylor(still(self.auto.leaves, given, self.u).values, 0.0)
            on_purpose = {i for i, (before, now) in enumerate(zip(orders, again)) if before < 1.5 <= now}
            orders = [now if i in on_purpose else before for i, (before, now) in enumerate(zip(orders, again))]
            if on_purpose:
                self.notes.append(f"finite differences keep what stands under stop_gradient{place_of(stops[0])}: on purpose")
        if smallest < 1:
            self.notes.append(f"finite differences could see a relative mistake of {smallest:.0e}")
        return orders, on_purpose

    def _taylor(self, values, noise: float) -> tuple[list[float], float]:
        slopes = [float(np.sum(v[0] * g)) for v, g in zip(self._along, self.answers.hand)]
        found = [oracles.order(v, s, noise, self.eps) for v, s in zip(values, slopes)]
        return [o for o, _ in found], max((s for _, s in found if np.isfinite(s)), default=np.inf)

    def _jax_is_wrong(self, i: int) -> bool:
        """Whether finite differences follow hand, and refute auto, with no user's rule between."""
        if self.customs.equations or not self.orders[i] >= 1.5:  # nor where they were not asked
            return False
        slope = float(np.sum(self._along[i][0] * self.answers.auto[i]))
        return 0 <= oracles.order(self.moved.values[i], slope, 0.0, self.eps)[0] < 1.5

    def _leaf(self, i: int) -> Leaf:
        hand, auto = self.answers.hand[i], self.answers.auto[i]
        off = difference(hand, auto)
        error, size, limit = norm(off), norm(auto), self._limit(i)
        jvp_error, scale = (np.nan, 1.0) if self.moved.slopes is None else oracles.adjoint_error(self.moved.slopes[i], self._along[i], hand)
        value = self.answers.auto_value
        if not np.all(np.isfinite(hand)) or not np.all(np.isfinite(auto)) or (value[0].shape == () and not np.isfinite(value[0])):
            verdict, note = self._not_finite(hand, auto)
        elif error > 1e3 * FORWARD * size and jvp_error <= FORWARD * scale and self.orders[i] >= 1.5:
            verdict, note = "ok", "jax.vjp is wrong here: jax.jvp and finite differences agree with hand"
        elif error > 1e3 * FORWARD * size and self._jax_is_wrong(i):
            self.excused.add(i)
            verdict, note = "ok", "jax.grad is wrong here, by jax.vjp and jax.jvp: finite differences agree with hand alone"
        elif not error <= limit and not error <= self._measured("gradient", i):
            verdict, note = "WRONG", self._swapped(i) or cause(hand, auto, self._sizes)
        else:
            verdict, note = self._independently(i, jvp_error, scale, self._size(i, size, error > limit))
        worst = tuple(int(k) for k in np.unravel_index(np.argmax(np.abs(off)), auto.shape)) if auto.size else ()
        return Leaf(
            self.paths[i],
            auto.shape,
            norm(hand),
            error / size if size else error,
            jvp_error / scale if scale else jvp_error,
            self.orders[i],
            verdict,
            note,
            worst,
        )

    def _limit(self, i: int) -> float:
        """How far hand and auto may be apart before rounding is measured."""
        return self.relative * (norm(self.answers.auto[i]) + OF_WHOLE * self.whole)

    @functools.cached_property
    def _along(self) -> list:
        """The directions in which each leaf is moved."""
        return oracles.directions(self.seed, self.hand.leaves)

    @property
    def _sizes(self) -> set[int]:
        """The sizes of all axes, of which a missing factor may be one."""
        return {s for x in self.hand.leaves for s in x.shape}

    def _not_finite(self, hand, auto) -> tuple[str, str]:
        if not np.all(np.isfinite(hand) == np.isfinite(auto)):
            return "WRONG", cause(hand, auto)
        if all(np.all(np.isfinite(v)) for v in self.answers.auto_value):
            return "not finite", "NaN or infinite by both: bpjax.find_nan says where it begins"
        return "not finite", "the value itself is not finite: bpjax.find_nan says where that begins"

    def _size(self, i, size, is_rounding: bool) -> str:
        """What there is to say of a gradient that is nearly nothing."""
        if size <= 1e-2 * self.relative * self.whole or not np.any(self.answers.auto[i]):
            return "zero in truth"
        return "zero to rounding" if is_rounding else ""

    def _independently(self, i, jvp_error, scale, note) -> tuple[str, str]:
        """The verdict where hand and auto agree: what the oracles say that follow neither."""
        order, is_asked = self.orders[i], not np.isnan(jvp_error)
        of_nothing = 1.5 * self.answers.auto[i].size ** 0.5 * self._limit(i)  # what a gradient of rounding alone may make of it
        forward = is_asked and jvp_error <= max(FORWARD, 100 * self.relative) * scale + of_nothing
        if is_asked and not forward and jvp_error <= 1.5 * self._measured("gradient", i, np.sum):
            forward, note = True, note or "zero to rounding"
        if order == KINK:
            note = note or "a kink: no verdict by finite differences"
        if 0 <= order < 1.5:
            if self.customs.intended:
                return "ok", f"differs from finite differences on purpose: intended by {', '.join(self.customs.intended)}"
            return "WRONG", "finite differences disagree: " + (
                f"the rule of {self.customs}" if self.customs.equations else "both derivatives are wrong"
            )
        if i in self.on_purpose:
            note = note or "on purpose: stop_gradient"
        if not self.customs.equations:
            if is_asked and not forward and jvp_error > 32 * float(np.sum(self._noise.auto[i])):
                return "WRONG", "jax.jvp disagrees with jax.vjp here"
            return "ok", note if forward or not is_asked else _TIE
        if forward or order >= 1.5:
            return "ok", note
        why = "it is not the derivative of its plain function" if is_asked else "every oracle that could be asked follows it"
        return "not judged", f"the rule of {self.customs}: {why}, and finite differences have no verdict"

    def _swapped(self, i) -> str:
        """Whether another leaf's gradient stands here."""
        hand = self.answers.hand[i]
        for path, auto in zip(self.paths, self.answers.auto):
            if path != self.paths[i] and auto.shape == hand.shape and np.any(auto) and np.allclose(hand, auto, rtol=1e-8, atol=0):
                return f"hand is the gradient of {path}: cotangents swapped"
        return ""

    def _unless_a_tie(self, i, leaf: Leaf) -> Leaf:
        """A disagreement that no rule is to blame for, and that a little noise makes too, is a choice among equals."""
        error = norm(difference(self.answers.hand[i], self.answers.auto[i]))
        if leaf.verdict != "WRONG" or error <= self._limit(i):  # it is other oracles that disagree
            return leaf
        is_tie = error <= 16 * (norm(self._noise.hand[i]) + norm(self._noise.auto[i]))
        return leaf._replace(verdict="ok", note=_TIE) if is_tie else leaf

    # ---- rounding, measured ----

    @functools.cached_property
    def _noise(self) -> oracles.Gradients:
        return rounding.rounding(self.derivatives, self.traced.settings, self.noise_size, self.inputs, self.u)

    @functools.cached_property
    def _rounding(self) -> oracles.Gradients:
        return self._measure(self.derivatives, self.inputs, self.u)

    def _measured(self, what: str, i: int, size: Callable = norm) -> float:
        """What the rounding of all that a value or a gradient is computed from may amount to, in both paths."""
        found = (self._rounding.hand_value, self._rounding.auto_value) if what == "value" else (self._rounding.hand, self._rounding.auto)
        return float(sum(size(np.nan_to_num(a[i])) for a in found))

    def _measure(self, f: Callable, *args) -> Any:
        """The same for each number that a function gives."""
        noise = self._noise if f is self.derivatives else rounding.rounding(f, self.traced.settings, self.noise_size, *args)
        unit = 64 * self.eps / self.noise_size
        if not self.is_rounded:
            return jax.tree.map(lambda x: unit * x, noise)
        of_constants = rounding.rounding(f, self.traced.settings, EPS_32, *args, dtype=np.float32)
        return jax.tree.map(lambda x, y: unit * x + 4 * y, noise, of_constants)

    # ---- rules ----

    def _blame(self, inputs) -> list:
        """The rules that are wrong at these inputs."""
        explain = lambda hand, auto: cause(hand, auto, self._sizes)
        is_plain = self.customs.is_judged if self.customs.equations or self.of_plain is not self.traced else lambda eqn: False
        return wrong_rules(self.programs[0], inputs, self.n, self.u, self.seed, self.relative, explain, self._measure, is_plain)

    def _elsewhere(self) -> list:
        """The rules that are wrong beside the point, with random cotangents: a last layer that is zero hides no mistake above it."""
        u = [np.asarray(x, o.dtype) for x, o in zip(oracles.random(self.seed + 1, [o.shape for o in self.hand.outputs]), self.hand.outputs)]
        hidden = list(range(self.n))
        for size in (0.1, 0.01):
            inputs = [*oracles.beside(self.seed + 2, self.inputs[: self.n], size), *self.inputs[self.n :]]
            found = oracles.numpy(self.compiled(inputs, u))
            if all(np.all(np.isfinite(g)) for g in found.auto):
                if self._values_differ(found) or (self._gradients_differ(found) and not self._jvp_agrees(found, inputs, u)):
                    return self._blame(inputs) or self._unexplained(found, self.derivatives, inputs, u)
                hidden = [i for i in hidden if not np.any(found.auto[i])]
                break
        if hidden and self.programs[0] is self.programs[1]:
            prog, inputs = opened(self.programs[0], self.inputs, self.n)
            drawn = oracles.random(self.seed + 3, [v.aval.shape for v in prog.outvars])
            u = [np.asarray(x, v.aval.dtype) for x, v in zip(drawn, prog.outvars)]
            derivatives = oracles.both(prog, prog, self.n)
            found = oracles.numpy(jax.jit(derivatives)(inputs, u))
            if self._values_differ(found) or self._gradients_differ(found):
                return self._blame(self.inputs) or self._unexplained(found, derivatives, inputs, u)
        return []

    def _unexplained(self, found: oracles.Gradients, derivatives: Callable, inputs, u) -> list:
        """No rule is to blame for what was found; a note, where it is more than rounding."""
        noise = self._measure(derivatives, inputs, u)
        pairs = [(found.hand_value, found.auto_value, noise.hand_value, noise.auto_value), (found.hand, found.auto, noise.hand, noise.auto)]
        if not all(norm(difference(h, a)) <= norm(n) + norm(m) for fours in pairs for h, a, n, m in zip(*fours)):
            self.notes.append(
                "beside the point, or where no cotangent arrives, the two paths disagree, "
                "though no rule is to blame: a choice among equals?"
            )
        return []

    def _jvp_agrees(self, found: oracles.Gradients, inputs, u) -> bool:
        """Whether jax.jvp agrees with hand at these inputs, so that it is jax.vjp that errs."""
        if self.moved.slopes is None:
            return False
        slopes: Any = self.move(inputs[: self.n], self.of_move.given, u).slopes
        found_by = map(oracles.adjoint_error, slopes, self._along, found.hand)
        return all(error <= max(FORWARD, 100 * self.relative) * scale for error, scale in found_by)

    def _gradients_differ(self, found: oracles.Gradients) -> bool:
        return self._differ(found.hand, found.auto, _whole(found.auto))

    def _values_differ(self, found: oracles.Gradients) -> bool:
        return self._differ(found.hand_value, found.auto_value, 0.0)

    def _differ(self, hands, autos, whole: float) -> bool:
        limits = (self.relative * (norm(a) + OF_WHOLE * whole) for a in autos)
        return not all(norm(difference(h, a)) <= limit for h, a, limit in zip(hands, autos, limits))

    # ---- in the types given ----

    def _in_own_types(self) -> None:
        """float32 and below: the hand gradient may err against float64 twice as much as the automatic one."""
        eps, plain = self.traced.eps, self.of_plain
        if eps < 1e-12:
            return
        truth = [self.answers.hand[i] if i in self.excused else g for i, g in enumerate(self.answers.auto)]
        errors = [norm(difference(np.asarray(h, np.float64), t)) for h, t in zip(self.own.grads, truth)]
        norms = list(map(norm, truth))
        suspicious = [
            i for i, t in enumerate(truth) if np.all(np.isfinite(t)) and not errors[i] <= 16 * eps * (norms[i] + 0.1 * self.whole)
        ]
        if not suspicious:
            return
        with jax.enable_x64(self.traced.settings.x64):
            u = [np.asarray(x, o.dtype) for x, o in zip(self.u, plain.outputs)]
            _, autos = oracles.numpy(jax.jit(oracles.automatic(plain.program, self.n))(plain.inputs, u))
        for i in suspicious:
            of_auto = norm(difference(np.asarray(autos[i], np.float64), truth[i]))
            if not errors[i] <= 2 * of_auto + 4 * eps * norms[i] and not errors[i] <= 4 * eps / self.noise_size * (
                norm(self._noise.hand[i]) + norm(self._noise.auto[i])
            ):
                self.findings.append(
                    f"{self.paths[i]}: in {plain.leaves[i].dtype} the hand gradient is off by {errors[i]:.2e}, "
                    f"the automatic one by {of_auto:.2e}, of {norms[i]:.2e}"
                )


def _whole(grads) -> float:
    """The norm of a whole gradient."""
    return norm(np.array([norm(g) for g in grads]))
