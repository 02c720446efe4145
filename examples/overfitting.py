"""Overfitting: 100 digits and a large net. The training loss falls to nothing while the loss on other digits rises; three cures stop it.

The report names it from the validation loss. The cures, each alone, with the same learning rate: dropout (of pixels and of units),
weight decay, and early stopping, which keeps the weights of the lowest validation loss. All of them make the net less sure where it is
wrong, so the test loss falls; the share of test digits that it knows changes little, for 100 examples say no more.
Needs scikit-learn and matplotlib.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import bpjax.nn.functional as F
from bpjax import nn
from bpjax.inspect import Monitor
from bpjax.models.digits import classification_loss
from bpjax.training import create_state, run_steps

WIDTH, DIGITS, STEPS, EVERY = 256, 100, 600, 10
PICTURE = Path(__file__).parent.parent / "runs" / "overfitting.png"


class Large(nn.Module):
    """64 -> 256 -> 256 -> 10: 85 000 weights for 100 digits."""

    def __init__(self, drop_pixels=0.0, drop_units=0.0):
        self.drop_pixels, self.drop_units = nn.Dropout(drop_pixels), nn.Dropout(drop_units)
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x):
        h = self.drop_units(F.relu(self.fc1(self.drop_pixels(x))))
        h = self.drop_units(F.relu(self.fc2(h)))
        return self.fc3(h)


VARIANTS = {
    "no cure": {},
    "dropout": {"drop_pixels": 0.3, "drop_units": 0.8},
    "weight decay": {"weight_decay": 12.0},
    "early stopping": {"patience": 1},  # checks of the validation loss without a new lowest one
}


class Result(NamedTuple):
    """A training: its health at every step; (loss, share of right answers) at the end, in training and test; the curves of the losses."""

    monitor: Monitor
    train: tuple[float, float]
    test: tuple[float, float]
    curves: list[tuple[int, float, float]]  # step, training loss, test loss

    @property
    def kinds(self):
        return [verdict.kind for verdict in self.monitor.verdicts()]


@functools.cache
def compiled(variant):
    """The model, its optimizer, and two compiled functions: many steps, and the loss and the share of right answers. For all seeds."""
    options = VARIANTS[variant]
    model = Large(options.get("drop_pixels", 0.0), options.get("drop_units", 0.0))
    optimizer = optax.adamw(0.001, weight_decay=options.get("weight_decay", 0.0))

    def measure(params, images, labels):
        logits = model.apply(params, images)
        return F.cross_entropy(logits, labels), (logits.argmax(-1) == labels).mean()

    return model, optimizer, run_steps(classification_loss(model), optimizer, watch=True), jax.jit(measure)


def split(seed):
    """100 digits to train on, 697 to validate, 1000 to test."""
    data = load_digits()
    images, labels = (data.data / 16).astype(np.float32), data.target.astype(np.int32)
    images, rest, labels, others = train_test_split(images, labels, train_size=DIGITS, stratify=labels, random_state=seed)
    validation, test, right, true = train_test_split(rest, others, test_size=1000, stratify=others, random_state=seed)
    return (images, labels), (validation, right), (test, true)


def train(variant, seed):
    (images, labels), validation, test = split(seed)
    model, optimizer, run, measure = compiled(variant)
    patience = VARIANTS[variant].get("patience", STEPS)
    state, monitor, curves, losses = create_state(model, jax.random.key(seed), optimizer), Monitor(), [], []
    batches = np.stack([images] * EVERY), np.stack([labels] * EVERY)  # each step sees all of them
    for step in range(EVERY, STEPS + 1, EVERY):
        state, metrics = run(state, batches)
        monitor.record(metrics["health"])
        losses.append(float(measure(state.params, *validation)[0]))
        monitor.record_validation(losses[-1])
        curves.append((step, float(measure(state.params, images, labels)[0]), float(measure(state.params, *test)[0])))
        if losses[-1] == min(losses):
            best = jax.tree.map(np.array, state.params)  # a copy: the next steps take the state's memory
        if len(losses) - np.argmin(losses) > patience:
            break
    params = best if "patience" in VARIANTS[variant] else state.params
    on_train, on_test = (tuple(map(float, measure(params, *part))) for part in ((images, labels), test))
    return Result(monitor, on_train, on_test, curves)


def compare(seed=0):
    """The result of each variant, by its name."""
    return {variant: train(variant, seed) for variant in VARIANTS}


def draw(results, file=PICTURE):
    """For each variant the loss in training and in test over the steps."""
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    for (name, result), axes in zip(results.items(), figure.subplots(2, 2, sharex=True, sharey=True).flat):
        steps, on_train, on_test = zip(*result.curves)
        axes.fill_between(steps, on_train, on_test, color="#c1272d", alpha=0.06, linewidth=0)
        axes.plot(steps, on_train, color="#1f77b4", label="training")
        axes.plot(steps, on_test, color="#c1272d", label="test")
        axes.axhline(min(results["no cure"].curves, key=lambda row: row[2])[2], color="grey", linewidth=0.8, linestyle=":")
        axes.set(yscale="log", xlim=(0, STEPS))
        axes.set_title(f"{name}: {', '.join(result.kinds) or 'well'}", loc="left", fontweight="bold")
        ends = f"test loss {result.test[0]:.2f}, knows {result.test[1]:.0%}"
        axes.set_title(ends, loc="right", fontsize=9, color="#555555")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.axes[0].legend(frameon=False, loc="lower left")
    figure.supxlabel("step", fontsize=10)
    figure.supylabel("loss", fontsize=10)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def main(file=PICTURE, seed=0):
    results = compare(seed)
    print(results["no cure"].monitor.table())
    print(f"\n{'variant':16} {'train':>6} {'test':>6} {'test loss':>10}  verdicts")
    for name, result in results.items():
        print(f"{name:16} {result.train[1]:6.1%} {result.test[1]:6.1%} {result.test[0]:10.3f}  {', '.join(result.kinds) or 'well'}")
    draw(results, file)
    print(f"\ndrawn: {file}")


if __name__ == "__main__":
    main()
