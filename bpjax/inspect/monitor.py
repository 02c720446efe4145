"""`Monitor`: keeps the health of a training and hands it out as a table, JSON lines, TensorBoard scalars and a picture."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .health import Health
from .tables import aligned
from .verdicts import Series, Thresholds, Verdict, verdicts


class Monitor:
    """The health of a training, step by step, and what is wrong with it.

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import inspect
    >>> params = {"fc1": {"w": jnp.ones((1, 4)), "b": jnp.full(4, -9.0)}, "fc2": {"w": jnp.ones(4)}}
    >>> def loss(params, x):
    ...     return jnp.sum((jax.nn.relu(x @ params["fc1"]["w"] + params["fc1"]["b"]) @ params["fc2"]["w"] - 1) ** 2)
    >>> monitor = inspect.Monitor()
    >>> for step in range(10):
    ...     monitor.record(inspect.health(loss)(params, jnp.ones((3, 1))).health)
    >>> [(v.kind, v.module, v.since) for v in monitor.verdicts() if v.kind == "dead ReLU"]
    [('dead ReLU', 'fc1', 0)]
    """

    def __init__(self, thresholds: Thresholds = Thresholds()):
        self.thresholds = thresholds
        self.history: list[tuple[int, Health]] = []
        self.validation: list[tuple[int, float]] = []

    def record(self, health: Health, step: int | None = None) -> None:
        """Keep the health of a step, or of many steps stacked by a scan; `step` is the number of the first (left out: the next)."""
        health = jax.tree.map(np.asarray, jax.device_get(health))
        step = self._next() if step is None else step
        many = np.ndim(health.value) > 0
        parts = [jax.tree.map(lambda x, i=i: x[i], health) for i in range(len(health.value))] if many else [health]
        self.history += [(step + i, part) for i, part in enumerate(parts)]

    def record_validation(self, loss: Any, step: int | None = None) -> None:
        """Keep the loss on data that is not trained on; `step` left out: that of the last health."""
        self.validation.append((self._next() - 1 if step is None else step, float(loss)))

    def _next(self) -> int:
        return self.history[-1][0] + 1 if self.history else 0

    def verdicts(self) -> list[Verdict]:
        """What is wrong now."""
        return verdicts(self.history, self.validation, self.thresholds)

    def table(self) -> str:
        """One row for each module, in the order in which values meet them: medians of the last steps, and the verdicts."""
        if not self.history:
            return "no steps were recorded"
        recent = self.history[-self.thresholds.patience :]
        s = Series([h for _, h in recent], self.thresholds)
        head = ("module", "|delta|", "gain", "|grad|/|w|", "|update|/|w|", "dead", "saturated", "non-finite", "verdict")
        found = self.verdicts()
        rows = [head]
        for m, module in enumerate(s.modules):
            numbers = [np.median(c[:, m]) for c in (s.delta, s.gain, s.relative_gradient, s.relative_update)]
            shares = [np.median(c[:, m]) for c in (s.dead, s.saturated)]
            bad = int(s.nonfinite_forward[-1, m] + s.nonfinite_backward[-1, m])
            kinds = ", ".join(dict.fromkeys(v.kind for v in found if v.module == module)) or "ok"
            numbers[1] = numbers[1] if s.outgoing[-1, m] or m else np.nan  # the first one passes nothing on
            cells = [f"{x:.2e}" if np.isfinite(x) else "-" for x in numbers] + [f"{x:.0%}" if np.isfinite(x) else "-" for x in shares]
            rows.append((module, *cells, str(bad), kinds))
        first, last = recent[0][0], recent[-1][0]
        lines = [f"health at steps {first} to {last}, loss {np.median(s.value):.4g}"]
        lines += [f"  {line}" for line in (*aligned(rows, left=(0, 8)), *map(str, found))]
        return "\n".join(lines)

    def write_json_lines(self, file: str | Path) -> None:
        """One line for each step: its loss, and for each module every statistic (null where there is none)."""
        with open(file, "w", encoding="utf-8") as out:
            for step, values in self._rows():
                print(json.dumps({"step": step, **values}, allow_nan=False), file=out)

    def write_tensorboard(self, folder: str | Path) -> None:
        """Scalars `gain/fc1`, ... for TensorBoard, by tensorboardX; what is not finite is left out."""
        from tensorboardX import SummaryWriter

        with SummaryWriter(str(folder)) as writer:
            for step, values in self._rows():
                if values["loss"] is not None:
                    writer.add_scalar("loss", values["loss"], step)
                for module, statistics in values["modules"].items():
                    for name, value in statistics.items():
                        if value is not None:
                            writer.add_scalar(f"{name}/{module}", value, step)
            for step, loss in self.validation:
                if np.isfinite(loss):
                    writer.add_scalar("validation_loss", loss, step)

    def _rows(self):
        """(step, {"loss", "modules": {module: {statistic: number or None}}}) of every step."""
        s = Series([h for _, h in self.history], self.thresholds) if self.history else None
        columns = ("delta", "incoming", "outgoing", "gain", "relative_gradient", "relative_update", "dead", "saturated",
                   "nonfinite_forward", "nonfinite_backward")  # fmt: skip

        def number(x):
            return float(x) if np.isfinite(x) else None

        for t, (step, _) in enumerate(self.history):
            modules = {m: {c: number(getattr(s, c)[t, i]) for c in columns} for i, m in enumerate(s.modules)}
            yield step, {"loss": number(s.value[t]), "modules": modules}

    def draw(self, file: str | Path) -> None:
        """One picture, as PNG, over the steps: what reaches each module of the last one's delta, what each passes on of its own, the loss.

        The first two by depth, in powers of ten: white where a delta is what it was, red where it vanishes, blue where it grows; grey where
        there is none.
        """
        from matplotlib.figure import Figure  # without pyplot: the caller's backend is left alone
        from matplotlib.ticker import MaxNLocator

        if not self.history:
            raise ValueError("nothing to draw: no steps were recorded")
        steps = np.array([step for step, _ in self.history])
        s = Series([h for _, h in self.history], self.thresholds)
        depth = max(len(s.modules), 1)
        height = min(max(0.28 * depth, 1.6), 12)
        longest = max(map(len, map(_label, s.modules)), default=0)
        figure = Figure(figsize=(10 + 0.14 * longest, 3 + height), layout="constrained")
        panels = figure.subplot_mosaic([["reaches", "gain"], ["loss", "loss"]], height_ratios=[height, 1.8])
        panels["gain"].sharey(panels["reaches"])
        for name, numbers, widest, title in (
            ("reaches", s.reaches, 4, "what reaches each module\nof the last one's delta"),
            ("gain", s.gain, 1, "what each module passes on\nof its own delta"),
        ):
            _draw_depth(figure, panels[name], steps, numbers, widest, title)
        shown = np.unique(np.linspace(0, len(s.modules) - 1, min(len(s.modules), int(height / 0.24))).round().astype(int))
        if s.modules:
            panels["reaches"].set_yticks(shown, [_label(s.modules[m]) for m in shown], fontsize=9)
            panels["reaches"].set_ylim(len(s.modules) - 0.5, -0.5)  # the first one on top, as in the table
        panels["gain"].tick_params(labelleft=False)
        below = panels["loss"]
        finite = np.where(np.isfinite(s.value), s.value, np.nan)
        seen = finite[np.isfinite(finite)]
        below.plot(steps, finite, label="training", marker="o" if len(steps) < 4 else None)
        if self.validation:
            at, losses = zip(*self.validation)
            below.plot(at, np.where(np.isfinite(losses), losses, np.nan), label="validation", marker="o" if len(at) < 4 else None)
            below.legend()
        below.set(xlabel="step", ylabel="loss", yscale="log" if seen.size and 0 < 10 * seen.min() < seen.max() else "linear")
        for panel in panels.values():
            panel.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
            panel.set_xlim(steps[0] - 0.5, steps[-1] + 0.5)
        figure.savefig(file, dpi=120)


def _draw_depth(figure, panel, steps, numbers, widest, title) -> None:
    """A number of each module at each step, its power of ten as a colour; the scale reaches `widest` powers or as far as the numbers do."""
    with np.errstate(all="ignore"):
        powers = np.log10(np.where(numbers > 0, numbers, np.nan))
    found = np.abs(powers[np.isfinite(powers)])
    limit = max(widest, int(np.ceil(np.quantile(found, 0.99)))) if found.size else widest
    panel.set_facecolor("0.8")
    panel.set_title(title, loc="left", fontsize=10)
    if powers.size:
        edges = np.append(steps - 0.5, steps[-1] + 0.5)
        image = panel.pcolormesh(edges, np.arange(powers.shape[1] + 1) - 0.5, powers.T, cmap="RdBu", vmin=-limit, vmax=limit)
        bar = figure.colorbar(image, ax=panel, extend="both")
        ticks = np.unique(np.linspace(-limit, limit, 5).round().astype(int))
        bar.set_ticks(ticks, labels=[f"$10^{{{power}}}$" for power in ticks])


def _label(module: str, longest: int = 32) -> str:
    """A path that fits beside the picture: of a long one the end."""
    return module if len(module) <= longest else "…" + module[1 - longest :]
