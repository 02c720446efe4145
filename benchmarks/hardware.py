"""The models of the benchmark, compiled for an H100 that is not there: temporary bytes and launches, by hand and by `jax.grad`.

`scripts/benchmark --hardware` prints the table; with `--write` it becomes the one in hardware.json, which a change must not worsen.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

import bpjax
from bpjax.inspect import targets
from bpjax.inspect.compiled import work

from .workloads import WORKLOADS, gpt

TABLE = Path(__file__).with_name("hardware.json")


def _gpt(dtype=None, **sizes):
    def make():
        problem = gpt(**sizes)
        narrow = lambda a: a.astype(dtype) if dtype is not None and a.dtype == jnp.float32 else a
        return problem._replace(params=jax.tree.map(narrow, problem.params))

    return make


MODELS: dict[str, Callable] = {w.name: lambda w=w: w.make(**w.sizes) for w in WORKLOADS if not w.steps}
MODELS |= {
    "GPT (1, 1024, 8192)": _gpt(batch=1, length=1024, vocabulary=8192),
    "GPT (1, 1024, 8192), bfloat16": _gpt(jnp.bfloat16, batch=1, length=1024, vocabulary=8192),
    "GPT (4, 2048, 8192), bfloat16": _gpt(jnp.bfloat16, batch=4, length=2048, vocabulary=8192),
}
GOALS = {  # launches and temporary bytes over those of `jax.grad`, at most
    "MLP, 8 layers, ReLU": (1.0, 0.57),
    "MLP, 8 layers, GELU": (1.0, 0.69),
    "CNN": (1.1, 0.91),
    "ResNet-18": (1.1, 0.73),
    "depthwise block": (1.1, 0.79),
    "LSTM, 2 layers": (0.5, 0.24),
    "GPT (1, 1024, 8192)": (1.5, 0.30),
    "GPT (1, 1024, 8192), bfloat16": (1.5, 0.30),
    "GPT (1, 2048, 8192)": (2.0, 0.30),
    "GPT (4, 2048, 8192), bfloat16": (2.0, 0.30),
    "GPT (1, 1024, 8192), 12 layers repeated, lean": (1.5, 0.40),
}


class Row(NamedTuple):
    """Of the value and the gradient, by hand and by `jax.grad`."""

    launches: tuple[int, int]
    bytes: tuple[int, int]
    microseconds: tuple[float, float]  # by the model of `Work.seconds`

    def ratios(self) -> tuple[float, float, float]:
        """Launches, bytes and the model's time, hand over automatic."""
        return self.launches[0] / self.launches[1], self.bytes[0] / self.bytes[1], self.microseconds[0] / self.microseconds[1]


def measured(name: str) -> Row:
    """The row of a model; nothing of it is computed."""
    device = targets.device("h100")
    lie = jax.sharding.SingleDeviceSharding(device)
    found = {}

    def made():
        problem = MODELS[name]()
        found["loss"] = problem.loss
        return problem.params, problem.data

    params, data = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=lie), jax.eval_shape(made))
    programs = [jax.jit(v(found["loss"])).lower(params, *data).compile() for v in (bpjax.value_and_grad, jax.value_and_grad)]
    target = targets.H100
    hand, auto = (work(program.as_text(), target.bandwidth, target.peak) for program in programs)
    of_hand, of_auto = (program.memory_analysis().temp_size_in_bytes for program in programs)
    times = round(1e6 * hand.seconds(), 1), round(1e6 * auto.seconds(), 1)
    return Row((hand.launches, auto.launches), (of_hand, of_auto), times)


def committed() -> dict[str, Row]:
    """The table as it stands."""
    return {name: Row(*map(tuple, row.values())) for name, row in json.loads(TABLE.read_text()).items()}


def line(name: str, row: Row) -> str:
    """A row of the table."""
    (of_launches, of_bytes, of_time), (hand, auto) = row.ratios(), (n / 1e6 for n in row.bytes)
    counts = f"{of_launches:.2f} | {row.launches[0]:,} / {row.launches[1]:,}"
    return f"| {name} | {counts} | {of_bytes:.2f} | {hand:.1f} / {auto:.1f} | {of_time:.2f} |"


def report(only: str = "", write: bool = False) -> int:
    """Print the table; `write`: and keep it."""
    print("compiled for an H100, not run · hand / jax.grad · the model's time, no measurement: each kernel its bytes at 3.35 TB/s or its")
    print("products at 495 TFLOP/s, whichever takes longer, and 3 µs to launch it\n")
    print("| model | launches | | temporary MB | | model's time |\n| --- | --- | --- | --- | --- | --- |", flush=True)
    rows = committed() if only else {}
    for name in MODELS:
        if only in name:
            rows[name] = measured(name)
            print(line(name, rows[name]), flush=True)
    ratios = [row.ratios()[2] for row in rows.values()]
    print(f"\nthe model's time, geometric mean: {math.prod(ratios) ** (1 / len(ratios)):.2f}")
    if write:
        TABLE.write_text(json.dumps({name: row._asdict() for name, row in rows.items()}, indent=1) + "\n")
    return 0
