"""`summary`: a table of the modules of a model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..nn.module import Module
from .cost import OUTSIDE, module_costs
from .tables import aligned

__all__ = ["summary"]


class ModuleSummary(NamedTuple):
    """One module, with all that stands inside it: the shape it returned, parameters, operations, bytes kept for the backward."""

    module: str
    kind: str
    output: str
    parameters: int
    forward: int
    backward: int
    saved_hand: int
    saved_auto: int


class Summary(NamedTuple):
    """What `nn.summary` returns; `print` it. `rows` has one `ModuleSummary` for each module, the model itself last."""

    rows: list[ModuleSummary]

    def __str__(self):
        head = ("module", "kind", "output", "parameters", "FLOPs forward", "FLOPs backward", "saved, hand", "saved, auto")
        rows = [head, *((*row[:3], *(f"{n:,}" for n in row[3:])) for row in self.rows)]
        return "\n".join(aligned(rows, left=(0, 1, 2)))


def summary(model: Module, *inputs, train: bool = True, **kwargs) -> Summary:
    """Modules, output shapes, parameters, FLOPs, and the bytes that the written backward keeps against what `jax.grad` would keep.

    Args:
        model: any bpjax module; a lazy one takes its sizes from the inputs.
        inputs, kwargs: those of `model.apply`. Nothing but initial parameters is computed, and nothing compiled.
        train: whether dropout and batch statistics are on.

    Bytes are those that a module's values have on the tape (see `bpjax.cost`, also for what a FLOP is); a row counts what stands inside it.
    What has no parameters counts with the module whose output it takes.
    Errors: those of `model.apply`.

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> print(nn.summary(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), jnp.ones((4, 2))))
    module               kind        output         parameters  FLOPs forward  FLOPs backward  saved, hand  saved, auto
    0                    Linear      float32[4, 3]           9             85              92            2           12
    1                    ReLU        float32[4, 3]           0              0               0            0            0
    (before any module)                                      0              0               0            0           32
    (everything)         Sequential  float32[4, 3]           9             85              92            2           44
    """
    key = jax.random.key(0)
    params, buffers = model.init(key, *inputs, **kwargs), model.init_buffers()
    shapes = {}

    def outputs(params):
        bound = model.bind(params, buffers=buffers, train=train, rng=key)
        bound._binding.outputs = {}
        y = bound(*inputs, **kwargs)
        shapes.update({path: _described(value) for path, value in bound._binding.outputs.items()})
        floating = [leaf for leaf in jax.tree.leaves(y) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)]
        return sum(jnp.sum(leaf) for leaf in floating)

    if not params:
        jax.eval_shape(outputs, params)
    costs = module_costs(outputs, (params,), {}) if params else []
    rows = []
    for path, module in [*((p, m) for p, m in model.named_modules() if p), ("", model)]:
        inside = [c for c in costs if not path or c.module == path or c.module.startswith(path + ".")]
        numbers = [sum(column) for column in zip(*(c[1:] for c in inside))] or [0] * 5
        rows.append(ModuleSummary(path or "(everything)", type(module).__name__, shapes.get(path, "-"), *numbers))
    rest = [c for c in costs if c.module == OUTSIDE]
    rows[-1:-1] = [ModuleSummary(OUTSIDE, "", "", *c[1:]) for c in rest]
    return Summary(rows)


def _described(output) -> str:
    """The types of the arrays of an output."""
    return ", ".join(f"{jnp.result_type(leaf)}{list(jnp.shape(leaf))}" for leaf in jax.tree.leaves(output))
