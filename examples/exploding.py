"""Exploding gradients: a deep net with large weights blows up in its first step; clipping saves it, and smaller weights spare it.

The net is residual, h <- h + W leaky_relu(h), without normalisation. With W at s times Kaiming's scale each layer multiplies |h|^2, and
on the way back |delta|^2, by about 1 + s^2: over 19 layers |delta| grows 12000 times for s = 1.3, and 1.6 times for s = 1 / sqrt(20).

The first five steps are taken at rate 0, only to look: the report names the trouble before it does harm. It also shows what each cure
is. Clipping leaves the growth as it is and bounds the step, until the net has learned smaller weights; the initialisation has none.
Needs scikit-learn and matplotlib.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
from jax.nn.initializers import variance_scaling
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import bpjax.nn.functional as F
from bpjax import nn
from bpjax.inspect import Monitor
from bpjax.models.digits import classification_loss
from bpjax.training import create_state, run_steps

DEPTH, WIDTH, LOOK, STEPS = 20, 32, 5, 200
PICTURE = Path(__file__).parent.parent / "runs" / "exploding.png"


class Residual(nn.Module):
    """64 pixels -> DEPTH layers of 32 units, each added to what came before -> 10 logits."""

    def __init__(self, scale):
        start = variance_scaling(2 * scale**2, "fan_in", "normal", in_axis=1, out_axis=0)  # Kaiming's, `scale` times
        self.first = nn.Linear(64, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH - 1)])
        self.last = nn.Linear(WIDTH, 10)
        for layer in self.hidden:
            layer.weight, layer.bias = nn.Parameter((WIDTH, WIDTH), start), nn.Parameter((WIDTH,), 0.0)

    def forward(self, x):
        h = self.first(x)
        for layer in self.hidden:
            h = h + layer(F.leaky_relu(h, 0.1))
        return self.last(F.leaky_relu(h, 0.1))


VARIANTS = {  # scale of the weights, norm to which the gradient is clipped
    "large weights": (1.3, np.inf),
    "large weights, clipped": (1.3, 1.0),
    "smaller weights": (DEPTH**-0.5, np.inf),
}


class Result(NamedTuple):
    """A training: its health after five steps at rate 0 and at every step, and the share of digits that it ends by knowing."""

    start: Monitor
    end: Monitor
    train: float
    test: float


def kinds(monitor):
    return [verdict.kind for verdict in monitor.verdicts()]


@functools.cache
def compiled(variant):
    """The model, its optimizer, and two compiled functions: many steps, and the share of right answers. For all seeds."""
    scale, limit = VARIANTS[variant]
    model = Residual(scale)
    rate = optax.join_schedules([optax.constant_schedule(0.0), optax.cosine_decay_schedule(0.02, STEPS, alpha=0.1)], [LOOK])
    optimizer = optax.chain(optax.clip_by_global_norm(limit), optax.sgd(rate, momentum=0.9))

    def accuracy(state, images, labels):
        return (model.apply(state.params, images).argmax(-1) == labels).mean()

    return model, optimizer, run_steps(classification_loss(model), optimizer, watch=True), jax.jit(accuracy)


def train(variant, seed):
    data = load_digits()
    images, labels = (data.data / 16).astype(np.float32), data.target.astype(np.int32)
    images, test_images, labels, test_labels = train_test_split(images, labels, train_size=480, stratify=labels, random_state=seed)
    model, optimizer, run, accuracy = compiled(variant)
    state, start, end = create_state(model, jax.random.key(seed), optimizer), Monitor(), Monitor()
    batches = np.stack([images] * LOOK), np.stack([labels] * LOOK)  # each step sees all images
    for _ in range(STEPS // LOOK):
        state, metrics = run(state, batches)
        if not start.history:
            start.record(metrics["health"])
        end.record(metrics["health"])
    return Result(start, end, float(accuracy(state, images, labels)), float(accuracy(state, test_images, test_labels)))


def compare(seed=0):
    """The result of each variant, by its name."""
    return {variant: train(variant, seed) for variant in VARIANTS}


def draw(results, file=PICTURE):
    """Left how the deltas fare from the output (right) to the first layer, right the loss over the steps."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    red, blue, green = "#c1272d", "#1f77b4", "#2e8b57"
    large, clipped, small = results.values()
    for name, monitor, style, colour in (
        ("large weights, clipped or not, before training", large.start, "o-", red),
        ("large weights, clipped, after training", clipped.end, "o-", blue),
        ("smaller weights, before training", small.start, "o--", green),
        ("smaller weights, after training", small.end, "o-", green),
    ):
        deltas = np.median([health.delta / health.delta[-1] for _, health in monitor.history[-5:]], axis=0)
        left.plot(range(1, len(deltas) + 1), deltas, style, color=colour, markersize=3.5, label=name)
    left.axhline(monitor.thresholds.exploding, color="grey", linewidth=0.8, linestyle=":")
    left.set(yscale="log", xlabel="layer", xticks=[1, 5, 10, 15, 20], ylabel="|delta| of the layer / |delta| of the output")
    left.set(ylim=(0.1, 1e6))
    left.set_title("What reaches each layer on the way back", loc="left")
    for (name, result), colour in zip(results.items(), (red, blue, green)):
        losses = np.array([health.value for _, health in result.end.history])
        finite = int(np.argmin(np.isfinite(losses))) if not np.isfinite(losses).all() else len(losses)
        right.plot(losses[:finite], color=colour, linewidth=1.6, label=f"{name}: knows {result.test:.0%} of the test digits")
        if finite < len(losses):
            right.plot(finite - 1, losses[finite - 1], "x", color=colour, markersize=9, markeredgewidth=2)
            right.annotate("infinite from here", (finite - 1, losses[finite - 1]), (9, -3), textcoords="offset points", color=colour)
    right.set(yscale="log", xlabel="step", ylabel="training loss", ylim=(None, 1e7))
    right.set_title("How the net learns", loc="left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=9, loc="upper right")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def main(file=PICTURE, seed=0):
    results = compare(seed)
    print(results["large weights"].start.table())
    print(f"\n{'variant':24} {'train':>6} {'test':>6}  {'before training':16} after training")
    for name, result in results.items():
        before, after = (", ".join(kinds(monitor)) or "well" for monitor in (result.start, result.end))
        print(f"{name:24} {result.train:6.1%} {result.test:6.1%}  {before:16} {after}")
    draw(results, file)
    print(f"\ndrawn: {file}")


if __name__ == "__main__":
    main()
