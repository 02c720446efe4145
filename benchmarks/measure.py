"""Runs the competitors of a workload: bytes and errors of each, times interleaved, peak memory in processes of their own."""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bpjax.inspect.cost import module_costs

from .competitors import COMPETITORS, Competitor, Missing, exact_gradients
from .workloads import Problem, Workload


class Row(NamedTuple):
    """What was measured of one competitor. Ratios are the hand-written step's number divided by this one's."""

    workload: str
    competitor: str
    temporary_bytes: int | None = None
    argument_bytes: int | None = None
    output_bytes: int | None = None
    bytes_ratio: float | None = None
    milliseconds: float | None = None
    time_ratio: float | None = None
    time_ratio_low: float | None = None  # quartiles of the interleaved ratios
    time_ratio_high: float | None = None
    compile_seconds: float | None = None
    peak_bytes: int | None = None
    gradient_error: float | None = None  # L2 over the whole gradient, relative to float64
    items_per_second: float | None = None
    unit: str = ""
    share_of_limit: float | None = None
    missing: str = ""


def rows_of(workload: Workload, names, rounds: int, budget: float, limit: float, with_peak: bool) -> list[Row]:
    """One row for each competitor, "hand" first.

    Timed are as many rounds as fit into `budget` seconds, one at least and `rounds` at most. `limit` is the machine's
    FLOPs per second in products of matrices. `with_peak`: whether each also runs in a process of its own.
    """
    problem = workload.make(**workload.sizes)
    ready: dict[str, Competitor] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            competitor = COMPETITORS[name](workload, problem)
            if competitor.program is not None and _bytes(competitor)[0] > 0.8 * _memory():
                raise Missing(f"needs {_bytes(competitor)[0] / 1e9:.0f} GB of temporaries")
            ready[name] = competitor
        except Missing as why:
            missing[name] = str(why)
    exact = {} if workload.steps else exact_gradients(problem)
    errors, once = {}, 0.0
    for name, competitor in ready.items():
        start = time.perf_counter()
        result = jax.block_until_ready(competitor.call())
        once += time.perf_counter() - start
        errors[name] = _error(competitor.gradients(result), exact)
    seconds = interleaved([c.call for c in ready.values()], max(1, min(rounds, int(budget / once))))
    seconds = {n: np.array(s) * _scale(workload, c) for (n, c), s in zip(ready.items(), seconds)}
    steps = max(workload.steps, 1)
    flops = 3 * steps * sum(m.forward for m in module_costs(problem.loss, (problem.params, *problem.data), {}))
    hand_bytes = _bytes(ready["hand"])[0]
    rows = []
    for name in names:
        if name in missing:
            rows.append(Row(workload.name, name, missing=missing[name]))
            continue
        competitor, median = ready[name], statistics.median(seconds[name])
        temporary, arguments, outputs = _bytes(competitor)
        low, ratio, high = np.quantile(seconds["hand"] / seconds[name], [0.25, 0.5, 0.75])
        rows.append(
            Row(
                workload.name,
                name,
                temporary,
                arguments,
                outputs,
                hand_bytes / temporary if temporary else None,
                1e3 * median,
                *map(float, (ratio, low, high)),
                competitor.compile_seconds,
                peak_bytes(workload, name) if with_peak else None,
                errors[name],
                steps * problem.items / median,
                problem.unit,
                flops / median / limit,
            )
        )
    return rows


def interleaved(calls, rounds: int) -> list[list[float]]:
    """Seconds of each call in each round; the order turns round, so that drift falls on all."""
    seconds: list[list[float]] = [[] for _ in calls]
    for i in range(rounds):
        for k in range(len(calls)) if i % 2 else reversed(range(len(calls))):
            start = time.perf_counter()
            jax.block_until_ready(calls[k]())
            seconds[k].append(time.perf_counter() - start)
    return seconds


def limit_of_products(size: int = 2048, rounds: int = 5) -> float:
    """FLOPs per second of the largest product of matrices that this machine does well: the best of some rounds."""
    a = jnp.ones((size, size))
    product = jax.jit(jnp.dot).lower(a, a).compile()
    product(a, a).block_until_ready()
    return 2 * size**3 / min(interleaved([lambda: product(a, a)], rounds)[0])


def peak_bytes(workload: Workload, name: str) -> int | None:
    """The largest resident memory of a fresh process that builds the step and runs it twice."""
    command = [sys.executable, "-m", "benchmarks.measure", workload.name, name]
    result = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    return json.loads(result.stdout.splitlines()[-1]) if result.returncode == 0 else None


def _memory() -> int:
    """The bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _scale(workload: Workload, competitor: Competitor) -> float:
    return workload.steps / competitor.epochs if competitor.epochs else 1.0


def _bytes(competitor: Competitor):
    if competitor.program is None:
        return None, None, None
    memory = competitor.program.memory_analysis()
    return memory.temp_size_in_bytes, memory.argument_size_in_bytes, memory.output_size_in_bytes


def _error(gradients: dict, exact: dict) -> float | None:
    if not gradients or not exact:
        return None
    off = sum(np.sum((gradients[path] - exact[path]) ** 2) for path in exact)
    return float(np.sqrt(off / sum(np.sum(g**2) for g in exact.values())))


def _alone(workload: Workload, name: str):
    problem: Problem = workload.make(**workload.sizes)
    competitor = COMPETITORS[name](workload, problem)
    for _ in range(2):
        jax.block_until_ready(competitor.call())
    print(json.dumps(_peak()))


def _peak() -> int:
    """The largest resident memory of this process. (On Linux getrusage begins with that of the process that started it.)"""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    from .workloads import WORKLOADS

    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    _alone(next(w for w in WORKLOADS if w.name == sys.argv[1]), sys.argv[2])
