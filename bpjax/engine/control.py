"""Equations that hold equations: jit, scan, cond, checkpoint, and the rules that users gave JAX."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from . import jaxprs
from .jaxprs import Literal, Program, is_differentiable
from .op import recognised
from .sweep import RULES, Keep, Rule, Tape, active_outputs, run, sweep


class _Inline(Rule):
    """`jit` and its kin: the equations inside, in place. A call of an op is that op."""

    is_inlined = True

    def __init__(self, name):
        self.name = name

    def resolve(self, eqn):
        return (recognised(eqn) if self.name == "jit" else None) or self

    def active_outputs(self, eqn, active):
        inner, consts = jaxprs.program(jaxprs.inner_jaxpr(eqn))
        return active_outputs(inner, [False] * len(consts) + list(active))

    def forward(self, eqn, values, active, keep=None):
        inner, consts = jaxprs.program(jaxprs.inner_jaxpr(eqn))
        return run(inner, [*consts, *values], [False] * len(consts) + list(active), keep)

    def backward(self, record, dys, watch):
        return sweep(record.saved, dys, watch)[-len(record.eqn.invars) :]


class _Checkpoint(Rule):
    """`jax.checkpoint`: keep the inputs and what the policy names, and run again, behind a barrier, on the way back."""

    name = "checkpoint"

    active_outputs = _Inline.active_outputs

    def forward(self, eqn, values, active, keep=None):
        inner, consts = jaxprs.program(jaxprs.inner_jaxpr(eqn))
        policy = eqn.params["policy"]
        kept = Keep(policy) if policy is not None else None
        # with the activity of the second run: so both meet the same equations, and ops run their own forwards in both
        outputs, _ = run(inner, [*consts, *values], [False] * len(consts) + list(active), kept)
        return outputs, (list(values), kept.kept if kept else [])

    def backward(self, record, dys, watch):
        eqn = record.eqn
        values, kept = record.saved
        if eqn.params["prevent_cse"]:
            values, kept, dys = lax.optimization_barrier((values, kept, list(dys)))
        inner, consts = jaxprs.program(jaxprs.inner_jaxpr(eqn))
        policy = eqn.params["policy"]
        again = Keep(policy, kept) if policy is not None else None
        _, tape = run(inner, [*consts, *values], [False] * len(consts) + list(record.active), again)
        return sweep(tape, dys, watch)[len(consts) :]


# ---- scan ----


def _hoisted(body: Program, consts: int) -> tuple[Program, Program]:
    """Split a scan's body: what depends on its constants alone, to run once; and the rest, with more constants."""
    invariant = set(body.invars[:consts])
    once, each_step = [], []
    for eqn in body.eqns:
        free = not eqn.effects and all(isinstance(v, Literal) or v in invariant for v in eqn.invars)
        (once if free else each_step).append(eqn)
        if free:
            invariant.update(eqn.outvars)
    wanted = {v for e in each_step for v in e.invars if not isinstance(v, Literal)}
    wanted |= {v for v in body.outvars if not isinstance(v, Literal)}
    made = [v for e in once for v in e.outvars if v in wanted]
    inner = Program([*body.invars[:consts], *made, *body.invars[consts:]], each_step, body.outvars)
    return Program(body.invars[:consts], once, made), inner


def _carry_activity(body: Program, consts: list[bool], carry: list[bool], xs: list[bool]) -> tuple[list[bool], list[bool]]:
    """The fixpoint of which carries depend on differentiated inputs, and the outputs' activity there."""
    carry = list(carry)
    while True:
        out = active_outputs(body, [*consts, *carry, *xs])
        grown = [a or b for a, b in zip(carry, out)]
        if grown == carry:
            return carry, out
        carry = grown


class _ScanSaved:
    """A scan's tapes. `where` says for each array in the body's tape: ("const"|"xs"|"ys"|"step", index) or ("value", index)."""

    def __init__(self, outer, arrays, split, where, tree, carry_active):
        self.outer, self.arrays = outer, arrays
        self.split, self.where, self.tree, self.carry_active = split, where, tree, carry_active


class _ById:
    def __init__(self, *content):
        self.content = content


jax.tree_util.register_pytree_node(
    _ScanSaved,
    lambda s: ((s.outer, s.arrays), _ById(s.split, s.where, s.tree, s.carry_active)),
    lambda aux, children: _ScanSaved(*children, *aux.content),
)


class _Scan(Rule):
    """Back-propagation through time. What depends on constants alone runs outside; only what changes is stacked."""

    name = "scan"

    def _split(self, scan, xs: Sequence[Any]):
        return xs[: scan.consts], xs[scan.consts : scan.consts + scan.carry], xs[scan.consts + scan.carry :]

    def active_outputs(self, eqn, active):
        scan = jaxprs.scan_parts(eqn)
        carry, out = _carry_activity(scan.body, *map(list, self._split(scan, active)))
        return [*carry, *out[scan.carry :]]

    def forward(self, eqn, values, active, keep=None):
        scan = jaxprs.scan_parts(eqn)
        outer, body = _hoisted(scan.body, scan.consts)
        consts, init, xs = self._split(scan, values)
        consts_active, carry_active, xs_active = map(list, self._split(scan, active))
        made, outer_tape = run(outer, consts, consts_active)
        consts, consts_active = [*consts, *made], [*consts_active, *outer_tape.active_outputs]
        carry_active, _ = _carry_activity(body, consts_active, carry_active, xs_active)

        tree = None

        def step(*inputs):
            nonlocal tree
            outputs, tape = run(body, inputs, [*consts_active, *carry_active, *xs_active])
            saved, tree = jax.tree.flatten(tape)
            return [*outputs, *saved]

        program, values_inside = jaxprs.trace(step, *(jaxprs.shape_of(v.aval) for v in body.invars))
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
        return [*carry, *ys], _ScanSaved(outer_tape, [arrays[w] for w in used], split, (used, where), tree, carry_active)

    def backward(self, record, dys, watch):
        scan, saved = jaxprs.scan_parts(record.eqn), record.saved
        n_consts, n_carry, n_xs, consts_active, xs_active, n_made = saved.split
        _, body = _hoisted(scan.body, scan.consts)
        used, where = saved.where
        is_stacked = [w[0] in ("xs", "ys", "step") for w in used]
        fixed = {w: a for w, a, s in zip(used, saved.arrays, is_stacked) if not s}
        stacked = [a for a, s in zip(saved.arrays, is_stacked) if s]
        stacked_where = [w for w, s in zip(used, is_stacked) if s]

        avals = [v.aval for v in body.invars]
        d_consts = [jaxprs.zeros(a) if on else None for a, on in zip(avals, consts_active)]
        d_carry = [(jaxprs.zeros(a) if d is None else d) if on else None for a, d, on in zip(avals[n_consts:], dys, saved.carry_active)]
        inner_watch = watch and watch.inner()

        def step(carry, xs):
            d_consts, d_carry = carry
            arrays, d_ys = xs
            if inner_watch:
                inner_watch.found.clear()
            at = fixed | dict(zip(stacked_where, arrays))
            tape = jax.tree.unflatten(saved.tree, [at[w] for w in where])
            dxs = sweep(tape, [*d_carry, *d_ys], inner_watch)
            dxs = [_or_zero(d, v.aval, on) for d, v, on in zip(dxs, body.invars, [*consts_active, *saved.carry_active, *xs_active])]
            d_consts = [None if a is None else lax.add(a, d) for a, d in zip(d_consts, dxs)]
            seen = [value for _, value in inner_watch.found] if inner_watch else []
            return (d_consts, dxs[n_consts : n_consts + n_carry]), (dxs[n_consts + n_carry :], seen)

        (d_consts, d_carry), (d_xs, seen) = lax.scan(
            step, (d_consts, d_carry), (stacked, list(dys[n_carry:])), length=scan.length, reverse=not scan.reverse, unroll=scan.unroll
        )
        if inner_watch:
            watch.found.extend((r, v) for (r, _), v in zip(inner_watch.found, seen))
        given = n_consts - n_made
        d_outer = sweep(saved.outer, d_consts[given:], watch)
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

    def forward(self, eqn, values, active, keep=None):
        index, operands = values[0], values[1:]
        branches = []
        for branch in jaxprs.cond_branches(eqn):
            tree = None

            def forward(*inputs, branch=branch):
                nonlocal tree
                outputs, tape = run(branch, inputs, active[1:])
                saved, tree = jax.tree.flatten(tape)
                return [*outputs, *saved]

            program, inside = jaxprs.trace(forward, *(jaxprs.shape_of(v.aval) for v in branch.invars))
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
                kind = (v.aval.shape, v.aval.dtype)
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
        return outputs, _CondSaved(index, kept, inputs, layouts, [tree for *_, tree in branches])

    def backward(self, record, dys, watch):
        saved, active = record.saved, record.active[1:]
        avals = [v.aval for v in record.eqn.invars[1:]]
        watches = [watch.inner() for _ in saved.trees] if watch else [None] * len(saved.trees)

        def branch_backward(where, tree, inner_watch):
            def call(kept, inputs, dys):
                at = {("slot", i): a for i, a in enumerate(kept)} | {("input", i): a for i, a in inputs.items()}
                if inner_watch:
                    inner_watch.found.clear()
                dxs = sweep(jax.tree.unflatten(tree, [at[w] for w in where]), dys, inner_watch)
                seen = [v for _, v in inner_watch.found] if inner_watch else []
                return [_or_zero(d, a, on) for d, a, on in zip(dxs, avals, active)], seen

            return call

        calls = [branch_backward(*b) for b in zip(saved.layouts, saved.trees, watches)]
        arguments = (saved.kept, saved.inputs, list(dys))
        if watch:  # every branch returns every branch's findings, zeros for those not taken
            shapes = [jax.eval_shape(call, *arguments)[1] for call in calls]

            def padded(call, i):
                def with_all(*arguments):
                    dxs, seen = call(*arguments)
                    return dxs, [seen if j == i else jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), s) for j, s in enumerate(shapes)]

                return with_all

            calls = [padded(call, i) for i, call in enumerate(calls)]
        dxs, seen = lax.switch(saved.index, calls, *arguments)
        if watch:
            for inner_watch, values in zip(watches, seen):
                watch.found.extend((r, v) for (r, _), v in zip(inner_watch.found, values))
        return [None, *dxs]


class _CondSaved:
    def __init__(self, index, kept, inputs, layouts, trees):
        self.index, self.kept, self.inputs, self.layouts, self.trees = index, kept, inputs, layouts, trees


jax.tree_util.register_pytree_node(
    _CondSaved,
    lambda s: ((s.index, s.kept, s.inputs), _ById(s.layouts, s.trees)),
    lambda aux, children: _CondSaved(*children, *aux.content),
)


# ---- the rules that users gave JAX: never inlined ----


class _CustomVjp(Rule):
    """The user's own forward and backward."""

    name = "custom_vjp_call"

    def forward(self, eqn, values, active, keep=None):
        outputs, residuals = jaxprs.custom_vjp_parts(eqn).forward(values, active)
        return outputs, residuals

    def backward(self, record, dys, watch):
        dys = [jaxprs.zeros(v.aval.to_tangent_aval()) if dy is None else dy for v, dy in zip(record.eqn.outvars, dys)]
        return jaxprs.custom_vjp_parts(record.eqn).backward(record.saved, dys)


class _CustomJvp(Rule):
    """The user's jvp rule is run, and its tangent half, which is linear, swept with our rules."""

    name = "custom_jvp_call"

    def forward(self, eqn, values, active, keep=None):
        n_consts = eqn.params["num_consts"]
        program, consts, has_tangent = jaxprs.custom_jvp_program(eqn, active)
        primals, primals_active = values[n_consts:], active[n_consts:]
        symbolic = eqn.params["symbolic_zeros"]
        with_tangent = [i for i, a in enumerate(primals_active) if a or not symbolic]
        tangent_vars = program.invars[len(consts) + len(primals) :]
        tangents = [jaxprs.zeros(v.aval) for v in tangent_vars]
        on = [False] * (len(consts) + len(primals)) + [primals_active[i] for i in with_tangent]
        outputs, tape = run(program, [*consts, *primals, *tangents], on)
        n_out = len(eqn.outvars)
        index = {i: len(program.invars) - len(tangents) + k for k, i in enumerate(with_tangent)}
        return outputs[:n_out], _JvpSaved(tape, has_tangent, index)

    def backward(self, record, dys, watch):
        saved = record.saved
        d_tangents = [dy for dy, on in zip(dys, saved.has_tangent) if on]
        d_in = sweep(saved.tape, [None] * len(dys) + d_tangents, watch)
        n_consts = record.eqn.params["num_consts"]
        n = len(record.eqn.invars) - n_consts
        return [None] * n_consts + [d_in[saved.index[i]] if i in saved.index else None for i in range(n)]


class _JvpSaved:
    def __init__(self, tape: Tape, has_tangent, index):
        self.tape, self.has_tangent, self.index = tape, has_tangent, index


jax.tree_util.register_pytree_node(
    _JvpSaved, lambda s: ((s.tape,), _ById(s.has_tangent, s.index)), lambda aux, children: _JvpSaved(*children, *aux.content)
)

for _name in ("jit", "pjit", "closed_call", "core_call", "call"):
    RULES[_name] = _Inline(_name)
for _rule, _names in (
    (_Scan(), ["scan"]),
    (_Cond(), ["cond"]),
    (_Checkpoint(), ["remat2", "checkpoint", "remat"]),
    (_CustomVjp(), ["custom_vjp_call"]),
    (_CustomJvp(), ["custom_jvp_call"]),
):
    for _name in _names:
        RULES[_name] = _rule
