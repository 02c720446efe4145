"""Equations that hold a linear map, a linear system, or a loop of unknown length."""

from typing import Any, NamedTuple

import jax

from ..program import jaxprs
from .control import carry_activity
from .errors import NoRuleError
from .sweep import RULES, Missing, Rule, run, sweep


class _System(NamedTuple):
    """The parts of a `custom_linear_solve`: for each of its four programs, how many of the inputs are its constants."""

    lengths: Any
    jaxprs: Any

    @classmethod
    def of(cls, eqn) -> "_System":
        return cls(eqn.params["const_lengths"], eqn.params["jaxprs"])

    @property
    def consts(self) -> int:
        return sum(self.lengths)

    def transposed(self) -> dict:
        return {"const_lengths": _turned(self.lengths), "jaxprs": _turned(self.jaxprs)}


def _turned(parts):
    """In the place of the system the transposed one, and the other way round."""
    return type(parts)(parts.vecmat, parts.matvec, parts.transpose_solve, parts.solve)


class _LinearSolve(Rule):
    """A x = b: db solves the transposed system, as its writer does it, and what A is made of gets the cotangent -db of A x, at x."""

    name = "custom_linear_solve"

    def active_outputs(self, eqn, active):
        system = _System.of(eqn)
        moves = any(active[: system.lengths.matvec]) or any(active[system.consts :])
        unknowns = len(active) - system.consts
        return [moves and i < unknowns and jaxprs.is_differentiable(v.aval) for i, v in enumerate(eqn.outvars)]

    def forward(self, eqn, values, active):
        outputs = jaxprs.evaluate(eqn, values)
        system = _System.of(eqn)
        unknowns = len(values) - system.consts
        return outputs, (list(values[: system.consts]), outputs[:unknowns] if any(active[: system.lengths.matvec]) else [])

    def backward(self, record, dys):
        eqn, system = record.eqn, _System.of(record.eqn)
        consts, x = record.saved
        if system.jaxprs.transpose_solve is None:
            raise NoRuleError(
                f"custom_linear_solve{record.where()} was given no transpose_solve, without which there is no backward. "
                "Pass transpose_solve=, or symmetric=True."
            )
        unknowns = len(eqn.invars) - system.consts
        parts = iter(consts)
        matvec, vecmat, solve, transpose_solve = ([next(parts) for _ in range(n)] for n in system.lengths)
        db = eqn.primitive.bind(*vecmat, *matvec, *transpose_solve, *solve, *dys[:unknowns], **system.transposed())[:unknowns]
        rest = [None] * (system.consts - len(matvec))
        on = record.active[: len(matvec)]
        if not any(on):
            return [*[None] * len(matvec), *rest, *db]
        program, own = jaxprs.program(system.jaxprs.matvec)
        _, tape = run(program, [*own, *matvec, *x], [*[False] * len(own), *on, *[False] * len(x)])
        d_map = sweep(tape, [-d for d in db])[len(own) : len(own) + len(matvec)]
        return [*d_map, *rest, *db]


class _LinearCall(Rule):
    """`jax.custom_derivatives.linear_call`: the transposed map is the user's own. What it depends on has no derivative, in JAX neither."""

    name = "linear_call"

    def forward(self, eqn, values, active):
        fixed = eqn.params["num_callee_consts"] + eqn.params["num_res"]
        if any(active[:fixed]):
            raise NoRuleError("linear_call has no derivative by its residuals, in JAX neither: lax.stop_gradient them.")
        return jaxprs.evaluate(eqn, values), list(values[eqn.params["num_callee_consts"] : fixed])

    def backward(self, record, dys):
        transpose, consts = record.eqn.params["transpose_thunk"]()
        program, own = jaxprs.program(transpose)
        d = run(program, [*own, *consts, *record.saved, *dys])[0]
        return [None] * (len(record.eqn.invars) - len(d)) + d


class _While(Missing):
    """A loop of unknown length has no backward; where no carry depends on what is differentiated, it needs none."""

    def __init__(self):
        super().__init__(
            "while", "Use bpjax.bounded_while, or lax.scan with a fixed number of steps (lax.fori_loop with static bounds becomes one)."
        )

    def active_outputs(self, eqn, active):
        _, body, _, consts, carry = jaxprs.while_parts(eqn, active)
        return carry_activity(body, consts, carry, [])[0]


class _Root(Rule):
    """f(p, x) = 0 (`lax.custom_root` of newer versions): db solves the transposed tangent system, as its writer does it, and p gets the
    cotangent -db of f."""

    name = "CustomRoot"

    def active_outputs(self, eqn, active):
        """The root moves with what f is made of; what the solver tells besides, with nothing."""
        _, guess, f_consts, _ = _arguments(eqn, active)
        return [any(jax.tree.leaves(f_consts)) and i < len(jax.tree.leaves(guess)) for i in range(len(eqn.outvars))]

    def forward(self, eqn, values, active):
        outputs = jaxprs.evaluate(eqn, values)
        _, guess, f_consts, tangent_consts = _arguments(eqn, values)
        leaves, tree = jax.tree.flatten(guess)
        return outputs, (f_consts, tangent_consts, jax.tree.unflatten(tree, outputs[: len(leaves)]))

    def backward(self, record, dys):
        root = record.eqn.params["_prim"]
        p, tangent_consts, x = record.saved
        parts = [jax.tree.leaves(part) for part in _arguments(record.eqn, record.active)]
        db = _pulled(lambda b: root.tangent_solve(tangent_consts, x, b), x, dys[: len(parts[1])])
        dp = _pulled(lambda p: root.f(p, x), p, [None if d is None else -d for d in db], parts[2])
        return [*[None] * len(parts[0] + parts[1]), *dp, *[None] * len(parts[3])]


def _arguments(eqn, leaves):
    """One for each input of a root's equation, as its arguments: solver's constants, guess, those of f, those of the tangent's solver."""
    return jax.tree.unflatten(eqn.params["_prim"].in_tree, list(leaves))


def _pulled(f, at, dys, active=None):
    """The cotangents of the leaves of f's argument."""
    leaves, tree = jax.tree.flatten(at)
    program, consts = jaxprs.trace(lambda *leaves: f(jax.tree.unflatten(tree, leaves)), *leaves)
    _, tape = run(program, [*consts, *leaves], [*[False] * len(consts), *(active or [True] * len(leaves))])
    return sweep(tape, dys)[len(consts) :]


class _TangentMap(Rule):
    """The linear map of which a root's tangent system is made: swept as what JAX puts in its place."""

    name = "_RootLinearMap"

    def forward(self, eqn, values, active):
        expand = lambda *leaves: eqn.params["_prim"].expand(*_arguments(eqn, leaves))
        program, consts = jaxprs.trace(expand, *values)
        return run(program, [*consts, *values], [*[False] * len(consts), *active])

    def backward(self, record, dys):
        return sweep(record.saved, dys)[-len(record.eqn.invars) :]


RULES["CustomRoot"] = _Root()
RULES["_RootLinearMap"] = _TangentMap()
RULES["custom_linear_solve"] = _LinearSolve()
RULES["linear_call"] = _LinearCall()
RULES["while"] = _While()
