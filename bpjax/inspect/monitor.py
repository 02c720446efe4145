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
        """One picture, as PNG: the gain of each module by depth over the steps, white where it is 1, and the loss beneath."""
        from matplotlib.figure import Figure  # without pyplot: the caller's backend is left alone

        if not self.history:
            raise ValueError("nothing to draw: no steps were recorded")
        steps = np.array([step for step, _ in self.history])
        s = Series([h for _, h in self.history], self.thresholds)
        with np.errstate(all="ignore"):
            gain = np.log10(np.where(s.gain > 0, s.gain, np.nan))[:, 1:]
        names = s.modules[1:]
        figure = Figure(figsize=(9, 2.4 + 0.28 * len(names)), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[max(len(names) * 0.28, 1), 1.2])
        above.set_facecolor("0.8")  # no delta, no gain
        if names:
            image = above.pcolormesh(steps, np.arange(len(names)), gain.T, cmap="RdBu", vmin=-2, vmax=2, shading="nearest")
            above.set_yticks(range(len(names)), names)
            figure.colorbar(image, ax=above, label="log10 of the gain")
        above.set_title("what each module passes back of its delta", loc="left")
        below.plot(steps, s.value, label="training")
        if self.validation:
            below.plot(*zip(*self.validation), label="validation")
            below.legend()
        below.set(xlabel="step", ylabel="loss", yscale="log" if 0 < 10 * s.value.min() < s.value.max() else "linear")
        figure.savefig(file, dpi=120)
