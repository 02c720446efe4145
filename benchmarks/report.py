"""The table of the benchmark: Markdown to read, JSON to compute with, a picture to look at."""

import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path

import jax

from .measure import Row

GOALS = {  # hand divided by jax.grad: temporary bytes, time
    "MLP, 8 layers, ReLU": (0.60, 1.0),
    "MLP, 8 layers, GELU": (0.75, 1.0),
    "CNN": (0.80, 0.90),
    "CNN, 10 steps scanned": (0.80, 0.15),
    "LSTM, 2 layers": (0.90, 1.0),
    "depthwise block": (1.0, 0.25),
    "GPT (4, 256, 8192)": (0.50, 0.85),
    "GPT (1, 1024, 32768)": (0.25, 0.65),
    "GPT (1, 2048, 8192)": (0.18, 0.50),
}
ANY = (1.0, 1.05)
SHORT, LONG, GROWTH = "GPT (1, 4096, 1024)", "GPT (1, 8192, 1024)", 2.2  # the temporary bytes of twice the tokens, at most

HEAD = [
    "model", "who", "temp MB", "hand / it", "args + outputs MB", "ms", "hand / it (quartiles)", "compile s", "peak MB", "gradient error",
    "per second", "of the limit",
]  # fmt: skip


def machine(limit: float, rounds: int) -> str:
    """Where and with what: the first line of the report."""
    versions = {name: _version(name) for name in ("jax", "jaxlib", "equinox", "flax", "torch")}
    versions = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    device = f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores"
    measured = f"products of matrices reach {limit / 1e9:.0f} GFLOP/s · medians of 1 to {rounds} interleaved rounds"
    return f"{datetime.date.today()} · {device} · Python {platform.python_version()}, {versions} · {measured}"


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def head() -> str:
    return "| " + " | ".join(HEAD) + " |\n| " + " | ".join(["---"] * len(HEAD)) + " |"


def line(row: Row) -> str:
    return "| " + " | ".join(_cells(row)) + " |"


def markdown(rows: list[Row], machine: str) -> str:
    goals = [_goal(row) for row in rows if row.competitor == "jax.grad" and not row.missing]
    goals = ["| hand / jax.grad | bytes | goal | time | goal |", "| --- | --- | --- | --- | --- |", *goals]
    return "\n".join([machine, "", head(), *map(line, rows), "", *goals, "", *_growth(rows)])


def summary(rows: list[Row], machine: str) -> str:
    """One line for each model: what the written backward passes need, divided by what each other competitor needs."""
    others = ["jax.grad", BEST_CHECKPOINT, "Equinox", "Flax NNX"]
    head = ["model", *(f"bytes / {n}" for n in others), *(f"time / {n}" for n in (*others, "PyTorch")), "gradient error / jax.grad"]
    lines = [machine, "", "| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    for model in dict.fromkeys(row.workload for row in rows):
        of = {row.competitor: row for row in rows if row.workload == model and not row.missing}
        checkpoints = [row for name, row in of.items() if name.startswith("checkpoint")]
        if checkpoints:
            of[BEST_CHECKPOINT] = min(checkpoints, key=lambda row: row.temporary_bytes)
        cells = [_or_none(of[n].bytes_ratio if n in of else None, ".2f") for n in others]
        cells += [_or_none(of[n].time_ratio if n in of else None, ".2f") for n in (*others, "PyTorch")]
        errors = [of[n].gradient_error for n in ("hand", "jax.grad")]
        lines.append("| " + " | ".join([model, *cells, "" if None in errors else f"{errors[0] / errors[1]:.2f}"]) + " |")
    return "\n".join([*lines, "", *_growth(rows)])


BEST_CHECKPOINT = "best checkpoint"  # of the policies the one with the fewest bytes
_BEGIN, _END = "<!-- scripts/benchmark --readme writes from here -->\n", "<!-- to here -->\n"


def put_into(readme: Path, text: str):
    """Replace what stands between the two marks."""
    before, rest = readme.read_text(encoding="utf-8").split(_BEGIN)
    readme.write_text(before + _BEGIN + text + _END + rest.split(_END)[1], encoding="utf-8")


def _cells(row: Row) -> list[str]:
    if row.missing:
        return [row.workload, row.competitor, *[""] * (len(HEAD) - 3), row.missing]
    ratio = f"{row.time_ratio:.2f} ({row.time_ratio_low:.2f} to {row.time_ratio_high:.2f})"
    whole = None if row.argument_bytes is None else row.argument_bytes + row.output_bytes
    error = "" if row.gradient_error is None else f"{row.gradient_error:.1e}"
    return [
        row.workload, row.competitor, _mega(row.temporary_bytes), _or_none(row.bytes_ratio, ".2f"), _mega(whole), f"{row.milliseconds:.2f}",
        ratio, _or_none(row.compile_seconds, ".1f"), _mega(row.peak_bytes), error, f"{row.items_per_second:,.0f} {row.unit}",
        f"{row.share_of_limit:.0%}",
    ]  # fmt: skip


def _goal(row: Row) -> str:
    goals = GOALS.get(row.workload, ANY)
    cells = []
    for value, goal in zip((row.bytes_ratio, row.time_ratio), goals):
        cells += ["", ""] if value is None else [f"{value:.2f}", f"≤ {goal:.2f}" + ("" if value <= goal else ", not reached")]
    return "| " + " | ".join([row.workload, *cells]) + " |"


def _growth(rows: list[Row]) -> list[str]:
    """How the bytes of the hand-written step grow with the length, where both were run."""
    of = {row.workload: row.temporary_bytes for row in rows if row.competitor == "hand" and not row.missing}
    if not {SHORT, LONG} <= of.keys():
        return []
    growth = of[LONG] / of[SHORT]
    missed = "" if growth <= GROWTH else ", not reached"
    return [f"From {SHORT} to {LONG} the temporary bytes of the hand-written step grow {growth:.2f} times (goal ≤ {GROWTH}{missed}).", ""]


def _mega(n) -> str:
    return "" if n is None else f"{n / 1e6:,.1f}"


def _or_none(x, form) -> str:
    return "" if x is None else format(x, form)


def write(rows: list[Row], machine: str, folder: Path) -> str:
    """`benchmark.md`, `benchmark.json` and `benchmark.png` in the folder; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(rows, machine)
    (folder / "benchmark.md").write_text(text, encoding="utf-8")
    content = {"machine": machine, "rows": [row._asdict() for row in rows]}
    (folder / "benchmark.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    draw(rows, folder / "benchmark.png")
    return text


def draw(rows: list[Row], file: Path):
    """Bars of bytes and of time, the hand-written step divided by each other one: shorter is better, 1 is a tie."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    others = [n for n in dict.fromkeys(r.competitor for r in rows if not r.missing) if n not in ("hand", "NumPy")]
    models = list(dict.fromkeys(r.workload for r in rows))
    figure = Figure(figsize=(11, 0.9 * len(models) + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    by_place = {(r.workload, r.competitor): r for r in rows}
    for axis, field, title in zip(figure.subplots(1, 2, sharey=True), ("bytes_ratio", "time_ratio"), ("temporary bytes", "time")):
        height = 0.8 / max(len(others), 1)
        for k, name in enumerate(others):
            values = [getattr(by_place[model, name], field) if (model, name) in by_place else None for model in models]
            at = [i + (k - len(others) / 2) * height for i, value in enumerate(values) if value is not None]
            axis.barh(at, [value for value in values if value is not None], height, label=name, color=f"C{k}")
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xscale("log")
        axis.set_title(f"{title}: hand-written / other")
        axis.set_yticks(range(len(models)), models)
    axis.invert_yaxis()
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8)
    figure.savefig(file, dpi=120)
