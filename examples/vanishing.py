"""Vanishing gradients: a net of 20 sigmoid layers does not learn, the health report says why, and three cures each make it learn.

The slope of a sigmoid is at most 1/4, so each layer passes back about a quarter of its delta: of what stands at the output about
1e-12 reaches the first layer. The cures, each alone, with the same optimizer and as many steps: ReLU with Kaiming's initialisation,
batch normalisation, residual connections. Needs scikit-learn and matplotlib.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
from jax.nn.initializers import glorot_normal, he_normal
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import bpjax.nn.functional as F
from bpjax import nn
from bpjax.inspect import Monitor
from bpjax.models.digits import classification_loss
from bpjax.training import create_state, run_steps

DEPTH, WIDTH, BATCH, EPOCHS = 20, 48, 240, 40
PICTURE = Path(__file__).parent.parent / "runs" / "vanishing.png"


def linear(inputs, outputs, start):
    """nn.Linear with weights by `start` and biases 0."""
    layer = nn.Linear(inputs, outputs)
    layer.weight = nn.Parameter((outputs, inputs), start(in_axis=1, out_axis=0))
    layer.bias = nn.Parameter((outputs,), 0.0)
    return layer


class Deep(nn.Module):
    """64 pixels -> DEPTH layers of activations -> 10 logits."""

    def __init__(self, activation=F.sigmoid, start=glorot_normal, normalised=False, residual=False):
        self.activation, self.residual = activation, residual
        self.first = linear(64, WIDTH, start)
        self.hidden = nn.ModuleList([linear(WIDTH, WIDTH, start) for _ in range(DEPTH - 1)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(WIDTH) if normalised else nn.Identity() for _ in range(DEPTH)])
        self.last = nn.Linear(WIDTH, 10)

    def forward(self, x):
        h = self.first(x)
        for layer, norm in zip(self.hidden, self.norms):
            y = layer(self.activation(norm(h)))
            h = h + y if self.residual else y
        return self.last(self.activation(self.norms[-1](h)))


VARIANTS = {
    "sigmoid": {},
    "ReLU with Kaiming": {"activation": F.relu, "start": he_normal},
    "batch normalisation": {"normalised": True},
    "residual connections": {"residual": True},
}


class Result(NamedTuple):
    """A training: what its health was at every step, and the share of digits that it ends by knowing."""

    monitor: Monitor
    train: float
    test: float

    @property
    def kinds(self):
        return [verdict.kind for verdict in self.monitor.verdicts()]


@functools.cache
def compiled(variant):
    """The model, its optimizer, and two compiled functions: many steps, and the share of right answers. For all seeds."""
    model = Deep(**VARIANTS[variant])
    rate = optax.cosine_decay_schedule(0.06, EPOCHS * (1440 // BATCH), alpha=0.1)
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(rate, momentum=0.9))

    def accuracy(state, images, labels):
        return (model.apply(state.params, images, buffers=state.buffers)[0].argmax(-1) == labels).mean()

    return model, optimizer, run_steps(classification_loss(model), optimizer, watch=True), jax.jit(accuracy)


def train(variant, seed):
    data = load_digits()
    images, labels = (data.data / 16).astype(np.float32), data.target.astype(np.int32)
    images, test_images, labels, test_labels = train_test_split(images, labels, train_size=1440, stratify=labels, random_state=seed)
    model, optimizer, run, accuracy = compiled(variant)
    state, rng, monitor = create_state(model, jax.random.key(seed), optimizer), np.random.default_rng(seed), Monitor()
    order = np.concatenate([rng.permutation(1440).reshape(-1, BATCH) for _ in range(EPOCHS)])
    state, metrics = run(state, (images[order], labels[order]))
    monitor.record(metrics["health"])
    return Result(monitor, float(accuracy(state, images, labels)), float(accuracy(state, test_images, test_labels)))


def compare(seed=0):
    """The result of each variant, by its name."""
    return {variant: train(variant, seed) for variant in VARIANTS}


def draw(results, file=PICTURE):
    """Left how the deltas fare from the output (right) to the first layer, right the loss over the steps."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, result), colour in zip(results.items(), ("#c1272d", "#1f77b4", "#2e8b57", "#8e5bb5")):
        ends = [health for _, health in result.monitor.history[-5:]]
        layers = [i for i, module in enumerate(ends[-1].modules) if not module.startswith("norms")]
        deltas = np.median([health.delta[layers] / health.delta[-1] for health in ends], axis=0)
        left.plot(range(1, len(layers) + 1), deltas, "o-", color=colour, markersize=3.5, label=name)
        losses = [health.value for _, health in result.monitor.history]
        right.plot(losses, color=colour, linewidth=1.6, label=f"{name}: knows {result.test:.0%} of the test digits")
    left.set(yscale="log", xlabel="layer", xticks=[1, 5, 10, 15, 20], ylabel="|delta| of the layer / |delta| of the output")
    left.set_title("What reaches each layer on the way back", loc="left")
    right.axhline(np.log(10), color="grey", linewidth=0.8, linestyle=":")
    beside = {"xytext": (0, -4), "textcoords": "offset points", "ha": "right", "va": "top"}
    right.annotate("guessing", (len(losses), np.log(10)), color="grey", fontsize=8, **beside)
    right.set(xlabel="step", ylabel="training loss", ylim=(0, 3.6))
    right.set_title(f"How {DEPTH} layers learn", loc="left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    left.legend(frameon=False, fontsize=9, loc="lower right")
    right.legend(frameon=False, fontsize=9, loc="upper right")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def main(file=PICTURE, seed=0):
    results = compare(seed)
    print(results["sigmoid"].monitor.table())
    print(f"\n{'variant':22} {'train':>6} {'test':>6}  verdicts")
    for name, result in results.items():
        print(f"{name:22} {result.train:6.1%} {result.test:6.1%}  {', '.join(result.kinds) or 'well'}")
    draw(results, file)
    print(f"\ndrawn: {file}")


if __name__ == "__main__":
    main()
