"""`shard_map`: the program that every device runs on its own part is swept where it ran."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec

from ..program import jaxprs
from ..program.straight import inside
from .hooks import collected
from .saved import Saved, Static
from .sweep import RULES, Rule, active_outputs, run, sweep


class _Mapped(NamedTuple):
    """The parts of a `shard_map` equation."""

    mesh: Any
    in_specs: tuple
    out_specs: tuple
    axes: frozenset  # those of the mesh over which it maps
    check_vma: bool

    @classmethod
    def of(cls, eqn) -> "_Mapped":
        p = eqn.params
        return cls(p["mesh"], p["in_specs"], p["out_specs"], p["newly_manual_axes"], p["check_vma"])

    def map(self, f, in_specs, out_specs):
        options = {"axis_names": self.axes, "check_vma": self.check_vma}
        return jax.shard_map(f, mesh=self.mesh, in_specs=in_specs, out_specs=out_specs, **options)

    def copies(self, spec) -> tuple:
        """The axes of the mesh along which each device holds a copy of an array laid out so."""
        named = {name for part in spec if part is not None for name in (part if isinstance(part, tuple) else (part,))}
        return tuple(name for name in self.mesh.axis_names if name in self.axes and name not in named)

    def kept(self, x) -> PartitionSpec:
        """How what each device keeps is laid out: side by side, along the axes over which it varies."""
        varies = jaxprs.varying(x) if self.check_vma else self.axes
        names = tuple(name for name in self.mesh.axis_names if name in varies and name in self.axes)
        return PartitionSpec(names) if names else PartitionSpec()


class _ShardMap(Rule):
    """Each device keeps what its own backward needs.

    Where types do not say what varies (check_vma=False), the cotangent of a result of which devices hold copies is shared out among them,
    and that of an argument of which they hold copies is summed, as JAX does.
    """

    name = "shard_map"

    def active_outputs(self, eqn, active):
        return active_outputs(inside(eqn), active)

    def forward(self, eqn, values, active):
        mapped, program = _Mapped.of(eqn), inside(eqn)
        found: Any = None

        def forward(*inputs):
            nonlocal found
            outputs, tape = run(program, inputs, active)
            kept, tree = jax.tree.flatten(tape)
            place = {id(x): i for i, x in enumerate(inputs)}
            own = list({id(x): x for x in kept if id(x) not in place}.values())
            number = {id(x): i for i, x in enumerate(own)}
            where = [("input", place[id(x)]) if id(x) in place else ("own", number[id(x)]) for x in kept]
            found = tree, where, [mapped.kept(x) for x in own], [jnp.ndim(x) == 0 for x in own]
            return outputs, [jnp.reshape(x, (1,)) if jnp.ndim(x) == 0 else x for x in own]

        anyhow = PartitionSpec(tuple(name for name in mapped.mesh.axis_names if name in mapped.axes))
        jax.eval_shape(mapped.map(forward, mapped.in_specs, (list(mapped.out_specs), anyhow)), *values)
        outputs, own = mapped.map(forward, mapped.in_specs, (list(mapped.out_specs), found[2]))(*values)
        tree, where, specs, scalar = found
        inputs = {i: values[i] for kind, i in where if kind == "input"}
        return outputs, Saved((inputs, own), Static(tree=tree, where=where, specs=specs, scalar=scalar))

    def backward(self, record, dys):
        mapped, program, saved = _Mapped.of(record.eqn), inside(record.eqn), record.saved.static
        inputs, own = record.saved.arrays
        sent = [i for i, dy in enumerate(dys) if dy is not None]
        wanted = [i for i, on in enumerate(record.active) if on]

        def backward(inputs, own, sent_dys):
            own = [x[0] if is_scalar else x for x, is_scalar in zip(own, saved.scalar)]
            tape = jax.tree.unflatten(saved.tree, [inputs[i] if kind == "input" else own[i] for kind, i in saved.where])
            cotangents: list[Any] = [None] * len(dys)
            for i, dy in zip(sent, sent_dys):
                copies = 1 if mapped.check_vma else math.prod(mapped.mesh.shape[a] for a in mapped.copies(mapped.out_specs[i]))
                cotangents[i] = dy / copies if copies > 1 else dy
            with collected():  # what hooks see here lies on other devices
                dxs = sweep(tape, cotangents)
            out = []
            for i in wanted:
                dx = jaxprs.zeros(program.invars[i].aval) if dxs[i] is None else dxs[i]
                copies = () if mapped.check_vma else mapped.copies(mapped.in_specs[i])
                out.append(lax.psum(dx, copies) if copies else dx)
            return out

        in_specs = ({i: mapped.in_specs[i] for i in inputs}, saved.specs, [mapped.out_specs[i] for i in sent])
        dxs = mapped.map(backward, in_specs, [mapped.in_specs[i] for i in wanted])(inputs, own, [dys[i] for i in sent])
        of = dict(zip(wanted, dxs))
        return [of.get(i) for i in range(len(record.active))]


RULES["shard_map"] = _ShardMap()
