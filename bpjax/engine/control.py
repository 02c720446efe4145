"""Equations that hold equations: jit, scan, cond, checkpoint, and the rules that users gave JAX."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..program import jaxprs
from ..program.jaxprs import Literal, Program, is_differentiable
from ..program.straight import inside
from .hooks import Finding, Hook, collected, hooked, hooks, report
from .saved import Saved, Static
from .sweep import RULES, Inlined, PolicySaved, Rule, active_outputs, run, sweep


class _Checkpoint(Rule):
    """`jax.checkpoint`: keep the inputs and what the policy names, and run again, behind a barrier, on the way back."""

    name = "checkpoint"
    symbolic_zeros = True

    def active_outputs(self, eqn, active):
        return active_outputs(inside(eqn), active)

    def forward(self, eqn, values, active):
        policy = eqn.params["policy"]
        saved = PolicySaved(policy) if policy is not None else None
        # with the activity of the second run: so both meet the same equations, and ops run their own forwards in both
        outputs, _ = run(inside(eqn), values, active, saved)
        return outputs, (list(values), saved.kept if saved else [])

    def backward(self, record, dys):
        eqn = record.eqn
        values, kept = record.saved
        if eqn.params["prevent_cse"]:
            values, kept, dys = jaxprs.barrier((values, kept, list(dys)))
        policy = eqn.params["policy"]
        _, tape = run(inside(eqn), values, record.active, PolicySaved(policy, kept) if policy is not None else None)
        return sweep(tape, dys)


# ---- scan ----


def _hoisted(body: Program, consts: int) -> tuple[Program, Program]:
    """Split a scan's body: what depends on its constants alone, to run once; and the rest, with more constants."""
    invariant = set(body.invars[:consts])
    once, each_step = [], []
    for eqn in body.eqns:
        free = not eqn.effects and not jaxprs.is_elsewhere(eqn) and all(isinstance(v, Literal) or v in invariant for v in eqn.invars)
        (once if free else each_step).append(eqn)
        if free:
            invariant.update(eqn.outvars)
    wanted = {v for e in each_step for v in e.invars if not isinstance(v, Literal)}
    wanted |= {v for v in body.outvars if not isinstance(v, Literal)}
    made = [v for e in once for v in e.outvars if v in wanted]
    inner = Program([*body.invars[:consts], *made, *body.invars[consts:]], each_step, body.outvars)
    return Program(body.invars[:consts], once, made), inner


def carry_activity(body: Program, consts: list[bool], carry: list[bool], xs: list[bool]) -> tuple[list[bool], list[bool]]:
    """The fixpoint of which carries depend on differentiated inputs, and the outputs' activity there."""
    carry = list(carry)
    while True:
        out = active_outputs(body, [*consts, *carry, *xs])
        grown = [a or b for a, b in zip(carry, out)]
        if grown == carry:
            return carry, out
        carry = grown


class _Scan(Rule):
    """Back-propagation through time. What depends on constants alone runs outside; only what changes is stacked."""

    name = "scan"

    def _split(self, scan, xs: Sequence[Any]):
        return xs[: scan.consts], xs[scan.consts : scan.consts + scan.carry], xs[scan.consts + scan.carry :]

    def active_outputs(self, eqn, active):
        scan = jaxprs.scan_parts(eqn)
        carry, out = carry_activity(scan.body, *map(list, self._split(scan, active)))
        return [*carry, *out[scan.carry :]]

    def forward(self, eqn, values, active):
        scan = jaxprs.scan_parts(eqn)
        outer, body = _hoisted(scan.body, scan.consts)
        consts, init, xs = self._split(scan, values)
        consts_active, carry_active, xs_active = map(list, self._split(scan, active))
        made, outer_tape = run(outer, consts, consts_active)
        consts, consts_active = [*consts, *made], [*consts_active, *outer_tape.active_outputs]
        carry_active, _ = carry_activity(body, consts_active, carry_active, xs_active)

        tree = None

        def step(*inputs):
            nonlocal tree
            outputs, tape = run(body, inputs, [*consts_active, *carry_active, *xs_active])
            saved, tree = jax.tree.flatten(tape)
            return [*outputs, *saved]

        program, values_inside = jaxprs.trace(step, *(v.aval for v in body.invars))
        n_inside, n_consts, n_out = len(values_inside), len(consts), len(body.outvars)
        inside, invars = program.invars[:n_inside], program.invars[n_inside:]
        place = {v: ("value", i) for i, v in enumerate(inside)}
        place |= {v: ("const", i) for i, v in enumerate(invars[:n_consts])}
        place |= {v: ("xs", i) for i, v in enumerate(invars[n_consts + scan.carry :])}
        for i, v in enumerate(program.outvars[scan.carry : n_out]):
            if not isinstance(v, Literal):
                place.setdefault(v, ("ys", i))
        stacked, literals, where = [], [], []
        for v in program.outvars[n_out:]:
            if isinstance(v, Literal):
                where.append(("value", n_inside + len(literals)))
                literals.append(jaxprs.literal(v))
                continue
            if v not in place:
                place[v] = ("step", len(stacked))
                stacked.append(v)
            where.append(place[v])
        lean = Program(program.invars, program.eqns, [*program.outvars[:n_out], *stacked])

        carry_vars = body.invars[n_consts : n_consts + scan.carry]

        def forward_step(carry, x):
            out, _ = run(lean, [*values_inside, *consts, *carry, *x])
            carry = [_like(c, v.aval) for c, v in zip(out, carry_vars)]
            return carry, out[scan.carry :]

        init = [_like(c, v.aval) for c, v in zip(init, carry_vars)]
        carry, stacks = lax.scan(forward_step, init, list(xs), length=scan.length, reverse=scan.reverse, unroll=scan.unroll)
        ys, steps = stacks[: n_out - scan.carry], stacks[n_out - scan.carry :]
        source = {"value": [*values_inside, *literals], "const": consts, "xs": xs, "ys": ys, "step": steps}
        used = sorted(set(where))
        arrays = {w: source[w[0]][w[1]] for w in used}
        split = (n_consts, scan.carry, len(xs), consts_active, xs_active, len(made))
        static = Static(split=split, where=(used, where), tree=tree, carry_active=carry_active)
        return [*carry, *ys], Saved((outer_tape, [arrays[w] for w in used]), static)

    def backward(self, record, dys):
        scan, saved = jaxprs.scan_parts(record.eqn), record.saved.static
        outer, saved_arrays = record.saved.arrays
        n_consts, n_carry, n_xs, consts_active, xs_active, n_made = saved.split
        _, body = _hoisted(scan.body, scan.consts)
        used, where = saved.where
        is_stacked = [w[0] in ("xs", "ys", "step") for w in used]
        fixed = {w: a for w, a, s in zip(used, saved_arrays, is_stacked) if not s}
        stacked = [a for a, s in zip(saved_arrays, is_stacked) if s]
        stacked_where = [w for w, s in zip(used, is_stacked) if s]

        avals = [v.aval for v in body.invars]
        d_consts = [jaxprs.zeros(a) if on else None for a, on in zip(avals, consts_active)]
        d_carry = [(jaxprs.zeros(a) if d is None else d) if on else None for a, d, on in zip(avals[n_consts:], dys, saved.carry_active)]
        findings: list[Finding] = []

        def step(carry, xs):
            d_consts, d_carry = carry
            arrays, d_ys = xs
            at = fixed | dict(zip(stacked_where, arrays))
            tape = jax.tree.unflatten(saved.tree, [at[w] for w in where])
            with collected() as found:
                dxs = sweep(tape, [*d_carry, *d_ys])
            findings[:] = found
            dxs = [_or_zero(d, v.aval, on) for d, v, on in zip(dxs, body.invars, [*consts_active, *saved.carry_active, *xs_active])]
            d_consts = [_sum(a, d) for a, d in zip(d_consts, dxs)]
            seen = [f.value for f in found]
            return (d_consts, dxs[n_consts : n_consts + n_carry]), (dxs[n_consts + n_carry :], seen)

        (d_consts, d_carry), (d_xs, seen) = lax.scan(
            step, (d_consts, d_carry), (stacked, list(dys[n_carry:])), length=scan.length, reverse=not scan.reverse, unroll=scan.unroll
        )
        report([Finding(f.hook, f.record, value) for f, value in zip(findings, seen)])
        given = n_consts - n_made
        d_outer = sweep(outer, d_consts[given:])
        d_consts = [_sum(a, b) for a, b in zip(d_consts[:given], d_outer)]
        return [*d_consts, *d_carry, *d_xs]


def _like(x, aval):
    """The same value without a weak type, so that a scan's carry keeps its type."""
    return lax.convert_element_type(x, aval.dtype) if is_differentiable(aval) else x


def _or_zero(d, aval, on):
    return (jaxprs.zeros(aval) if d is None else d) if on else None


def _sum(a, b):
    return b if a is None else a if b is None else lax.add(a, b)


# ---- cond and switch ----


class _Cond(Rule):
    """The backward of the branch that was taken. Branches share slots for what they keep; inputs are kept once."""

    name = "cond"

    def active_outputs(self, eqn, active):
        outs = [active_outputs(b, active[1:]) for b in jaxprs.cond_branches(eqn)]
        return [any(on) for on in zip(*outs)]

    def forward(self, eqn, values, active):
        index, operands = values[0], values[1:]
        branches = []
        for branch in jaxprs.cond_branches(eqn):
            tree = None

            def forward(*inputs, branch=branch):
                nonlocal tree
                outputs, tape = run(branch, inputs, active[1:])
                saved, tree = jax.tree.flatten(tape)
                return [*outputs, *saved]

            program, inside = jaxprs.trace(forward, *(v.aval for v in branch.invars))
            branches.append((program, inside, tree))
        n_out = len(eqn.outvars)
        slots: list[Any] = []  # the types of the shared slots
        layouts = []
        for program, inside, _ in branches:
            taken, where, inputs = set(), [], program.invars[len(inside) :]
            for v in program.outvars[n_out:]:
                if not isinstance(v, Literal) and v in inputs:
                    where.append(("input", inputs.index(v)))
                    continue
                aval: Any = v.aval
                kind = (aval.shape, aval.dtype)
                free = next((i for i, a in enumerate(slots) if (a.shape, a.dtype) == kind and i not in taken), None)
                if free is None:
                    free = len(slots)
                    slots.append(v.aval)
                taken.add(free)
                where.append(("slot", free))
            layouts.append(where)

        def branch_forward(program, inside, where):
            def call(*operands):
                out, _ = run(program, [*inside, *operands])
                filled = {i: a for (kind, i), a in zip(where, out[n_out:]) if kind == "slot"}
                kept = [_like(filled[i], a) if i in filled else jaxprs.zeros(a) for i, a in enumerate(slots)]
                return [_like(o, v.aval) for o, v in zip(out, eqn.outvars)], kept

            return call

        calls = [branch_forward(p, inside, where) for (p, inside, _), where in zip(branches, layouts)]
        outputs, kept = lax.switch(index, calls, *operands)
        inputs = {i: operands[i] for where in layouts for kind, i in where if kind == "input"}
        return outputs, Saved((index, kept, inputs), Static(layouts=layouts, trees=[tree for *_, tree in branches]))

    def backward(self, record, dys):
        index, kept, inputs = record.saved.arrays
        layouts, trees, active = record.saved.static.layouts, record.saved.static.trees, record.active[1:]
        avals = [v.aval for v in record.eqn.invars[1:]]
        findings: list[list[Finding]] = [[] for _ in trees]

        def branch_backward(where, tree, findings):
            def call(kept, inputs, dys):
                at = {("slot", i): a for i, a in enumerate(kept)} | {("input", i): a for i, a in inputs.items()}
                with collected() as found:
                    dxs = sweep(jax.tree.unflatten(tree, [at[w] for w in where]), dys)
                findings[:] = found
                return [_or_zero(d, a, on) for d, a, on in zip(dxs, avals, active)], [f.value for f in found]

            return call

        calls = [branch_backward(*b) for b in zip(layouts, trees, findings)]
        arguments = (kept, inputs, list(dys))
        if hooks():  # every branch returns every branch's findings, zeros for those not taken
            shapes = [jax.eval_shape(call, *arguments)[1] for call in calls]

            def padded(call, i):
                def with_all(*arguments):
                    dxs, seen = call(*arguments)
                    return dxs, [seen if j == i else jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), s) for j, s in enumerate(shapes)]

                return with_all

            calls = [padded(call, i) for i, call in enumerate(calls)]
        dxs, seen = lax.switch(index, calls, *arguments)
        for found, values in zip(findings, seen):
            report([Finding(f.hook, f.record, value) for f, value in zip(found, values)])
        return [None, *dxs]


# ---- the rules that users gave JAX: never inlined ----


class _CustomVjp(Rule):
    """The user's own forward and backward."""

    name = "custom_vjp_call"

    def forward(self, eqn, values, active):
        outputs, residuals = jaxprs.custom_vjp_parts(eqn).forward(values, active)
        return outputs, residuals

    def backward(self, record, dys):
        dys = [jaxprs.zeros(v.aval.to_tangent_aval()) if dy is None else dy for v, dy in zip(record.eqn.outvars, dys)]
        return jaxprs.custom_vjp_parts(record.eqn).backward(record.saved, dys)


class _CustomJvp(Rule):
    """The user's jvp rule is run, and its tangent half, which is linear, swept with our rules."""

    name = "custom_jvp_call"
    symbolic_zeros = True  # some tangent halves raise where a cotangent comes at all

    def forward(self, eqn, values, active):
        n_consts = eqn.params["num_consts"]
        program, consts, has_tangent = jaxprs.custom_jvp_program(eqn, active)
        primals, primals_active = values[n_consts:], active[n_consts:]
        symbolic = eqn.params["symbolic_zeros"]
        with_tangent = [i for i, a in enumerate(primals_active) if a or not symbolic]
        tangent_vars = program.invars[len(consts) + len(primals) :]
        tangents = [jaxprs.zeros(v.aval) for v in tangent_vars]
        on = [False] * (len(consts) + len(primals)) + [primals_active[i] for i in with_tangent]
        with hooked(_AmongTangents()):
            outputs, tape = run(program, [*consts, *primals, *tangents], on)
        n_out = len(eqn.outvars)
        index = {i: len(program.invars) - len(tangents) + k for k, i in enumerate(with_tangent)}
        return outputs[:n_out], Saved(tape, Static(has_tangent=has_tangent, index=index))

    def backward(self, record, dys):
        saved = record.saved.static
        d_tangents = [dy for dy, on in zip(dys, saved.has_tangent) if on]
        with hooked(_AmongTangents()) as found:  # a checkpoint is run again here
            d_in = sweep(record.saved.arrays, [None] * len(dys) + d_tangents)
        report(found)
        n_consts = record.eqn.params["num_consts"]
        n = len(record.eqn.invars) - n_consts
        return [None] * n_consts + [d_in[saved.index[i]] if i in saved.index else None for i in range(n)]


class _AmongTangents(Hook):
    """A function that a jvp rule applies to its tangents, itself perhaps, is its own derivative there: only its formula is swept."""

    formula = Inlined(_CustomJvp.name)

    def replace(self, eqn, rule):
        return self.formula if isinstance(rule, _CustomJvp) else rule


for _name in ("jit", "pjit", "closed_call", "core_call", "call", "eval_jaxpr"):
    RULES[_name] = Inlined(_name)
for _rule, _names in (
    (_Scan(), ["scan"]),
    (_Cond(), ["cond"]),
    (_Checkpoint(), ["remat2", "checkpoint", "remat"]),
    (_CustomVjp(), ["custom_vjp_call"]),
    (_CustomJvp(), ["custom_jvp_call"]),
):
    for _name in _names:
        RULES[_name] = _rule
