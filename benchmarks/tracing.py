"""What a gradient costs before it runs: CPU seconds of tracing, and of tracing and compiling, by hand and by `jax.grad`.

`jax.grad` differentiates the bare formulas here, without the ops that hold them: what somebody would have written in plain JAX.
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

import bpjax
import bpjax.nn.functional as F
from bpjax import nn
from bpjax.engine import Op

from .workloads import WORKLOADS


@contextlib.contextmanager
def bare_formulas() -> Iterator[None]:
    """Inside, calling an op is calling its formula."""
    called = Op.__call__

    def bare(self, *args, **kwargs):
        statics, arrays = self._bind(args, kwargs)
        return self.formula(**dict(zip(self.arrays, arrays)), **statics)

    Op.__call__ = bare
    try:
        yield
    finally:
        Op.__call__ = called


def chain(step: Callable, length: int) -> Callable:
    """A loss of `length` steps, one after the other."""

    def loss(x):
        for _ in range(length):
            x = step(x)
        return jnp.sum(x)

    return loss


def traced_losses():
    """Losses whose tracing is timed: name, loss, arguments."""
    x = jnp.linspace(-1.0, 1.0, 64)
    gpt = next(w for w in WORKLOADS if w.name == "GPT (1, 1024, 32768)").make(1, 64, 256, width=64, layers=12)
    yield "GPT, 12 layers", gpt.loss, (gpt.params, *gpt.data)
    yield "500 relu", chain(F.relu, 500), (x,)
    yield "500 gelu", chain(F.gelu, 500), (x,)
    yield "500 plain lines", chain(lambda x: x * 1.01 + jnp.tanh(x), 250), (x,)


class ViT(nn.Module):
    """Images (N, 3, 32, 32) -> logits (N, 10): patches of 4 x 4, encoder blocks (https://arxiv.org/abs/2010.11929)."""

    def __init__(self, width: int, layers: int, heads: int):
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.position = nn.Parameter((1, 64, width), init=0.0)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True), layers)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patches(x).reshape(x.shape[0], -1, 64).swapaxes(1, 2) + self.position
        return self.head(self.encoder(x).mean(1))


class UNet(nn.Module):
    """Images (N, 3, H, W) -> (N, 3, H, W): convolutions down and up, joined across (https://arxiv.org/abs/1505.04597)."""

    def __init__(self, width: int):
        pair = lambda a, b: nn.Sequential(
            nn.Conv2d(a, b, 3, padding=1), nn.GroupNorm(4, b), nn.SiLU(), nn.Conv2d(b, b, 3, padding=1), nn.SiLU()
        )
        self.down1, self.down2, self.middle = pair(3, width), pair(width, 2 * width), pair(2 * width, 4 * width)
        self.up2, self.up1 = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2), nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.join2, self.join1 = pair(4 * width, 2 * width), pair(2 * width, width)
        self.head = nn.Conv2d(width, 3, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        y = self.middle(F.max_pool2d(b, 2))
        y = self.join2(jnp.concatenate([self.up2(y), b], 1))
        return self.head(self.join1(jnp.concatenate([self.up1(y), a], 1)))


def compiled_losses():
    """Losses whose tracing and compiling is timed: name, loss, arguments."""
    for workload in WORKLOADS:
        if workload.name in ("MLP, 8 layers, GELU", "CNN", "LSTM, 2 layers", "GPT (4, 256, 8192)", "ResNet-18"):
            problem = workload.make(**workload.sizes)
            yield workload.name, problem.loss, (problem.params, *problem.data)
    images = jnp.zeros((4, 3, 32, 32))
    vit, unet = ViT(64, 6, 4), UNet(16)
    yield "ViT, 6 layers", lambda p, x: jnp.mean(vit.apply(p, x) ** 2), (vit.init(jax.random.key(0)), images)
    yield "U-Net", lambda p, x: jnp.mean((unet.apply(p, x) - x) ** 2), (unet.init(jax.random.key(0)), images)


def cpu_seconds(make: Callable[[], None]) -> float:
    """Of a call with no cache filled."""
    jax.clear_caches()
    before = time.process_time()
    make()
    return time.process_time() - before


def seconds(loss, args, compiles: bool, rounds: int) -> tuple[float, float]:
    """By hand and by jax.grad of the bare formulas: medians over interleaved rounds."""

    def once(grad):
        lowered = jax.jit(lambda *args: grad(loss)(*args)).trace(*args)
        if compiles:
            lowered.lower().compile()

    hand, auto = [], []
    for _ in range(rounds):
        hand.append(cpu_seconds(lambda: once(bpjax.grad)))
        with bare_formulas():
            auto.append(cpu_seconds(lambda: once(jax.grad)))
    return statistics.median(hand), statistics.median(auto)


def eager_losses():
    """A loss that is called without `jit`: name, loss, arguments."""
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    x, labels = jax.random.normal(jax.random.key(1), (32, 64)), jnp.arange(32) % 10
    loss = lambda params, x, labels: F.cross_entropy(model.apply(params, x), labels)
    yield "MLP, 3 layers", loss, (model.init(jax.random.key(0)), x, labels)


def eager_seconds(loss, args, rounds: int) -> tuple[float, float]:
    """By hand and by jax.grad of the bare formulas: medians over interleaved rounds of ten calls."""

    def ten(grad):
        before = time.process_time()
        for _ in range(10):
            jax.block_until_ready(grad(loss)(*args))
        return (time.process_time() - before) / 10

    hand, auto = [], []
    for number in range(rounds + 1):
        a = ten(bpjax.grad)
        with bare_formulas():
            b = ten(jax.grad)
        if number:  # the first round compiles
            hand.append(a)
            auto.append(b)
    return statistics.median(hand), statistics.median(auto)


def report(rounds: int) -> None:
    """Prints the tables."""
    print("\nCPU seconds before a gradient runs: by hand, jax.grad of the bare formulas, ratio")
    tables = (
        ("traced", traced_losses(), lambda *case: seconds(*case, False, rounds)),
        ("called without jit", eager_losses(), lambda *case: eager_seconds(*case, rounds)),
        ("traced and compiled", compiled_losses(), lambda *case: seconds(*case, True, rounds)),
    )
    for what, losses, measure in tables:
        print(f"  {what}")
        for name, loss, args in losses:
            a, b = measure(loss, args)
            print(f"    {name:20} {a:8.4f} {b:8.4f} {a / b:7.2f}", flush=True)
