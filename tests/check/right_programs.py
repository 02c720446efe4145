"""Programs that are right: networks of digits fresh and trained to the end, at sizes that strain a check, with data closed over."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from sklearn.datasets import load_digits

import bpjax
import bpjax.functional as F
from bpjax import nn
from bpjax.models.digits import CNN, MLP, RNN

_digits, _labels = load_digits(return_X_y=True)
IMAGES = (_digits.reshape(-1, 8, 8) / 16).astype(np.float32)[:8]
LABELS = _labels.astype(np.int32)[:8]


class Normed(nn.Module):
    """Convolution, BatchNorm, ReLU, pooling, dropout, linear."""

    def __init__(self):
        self.conv, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.drop, self.fc = nn.Dropout(0.3), nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.conv(x[:, None]))), 2)
        return self.fc(self.drop(x.reshape(len(x), -1)))


class Attending(nn.Module):
    """Rows of the image as tokens."""

    def __init__(self):
        self.embed, self.norm = nn.Linear(8, 8), nn.LayerNorm(8)
        self.attention, self.fc = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 10)

    def forward(self, x):
        x = self.norm(self.embed(x))
        return self.fc((x + self.attention(x, x, x, need_weights=False)[0]).mean(1))


class Gelu(nn.Module):
    """A perceptron with GELU and a residual."""

    def __init__(self):
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 16), nn.Linear(16, 16), nn.Linear(16, 10)

    def forward(self, x):
        x = F.gelu(self.fc1(x.reshape(len(x), -1)))
        return self.fc3(x + F.silu(self.fc2(x)))


class Recurrent(nn.Module):
    """A GRU over the rows."""

    def __init__(self):
        self.gru, self.fc = nn.GRU(8, 12, batch_first=True), nn.Linear(12, 10)

    def forward(self, x):
        return self.fc(self.gru(x)[0][:, -1])


NETWORKS = {
    "MLP": lambda: MLP(16),
    "CNN": lambda: CNN(4),
    "RNN": lambda: RNN(12),
    "BatchNorm and dropout": Normed,
    "attention": Attending,
    "GELU": Gelu,
    "GRU": Recurrent,
}


def loss_of(net, images=IMAGES, labels=LABELS, dtype=None):
    """The loss of a network in training, its images closed over."""
    buffers, rng = net.init_buffers(), jax.random.key(1)

    def loss(params):
        if dtype is not None:
            params = jax.tree.map(lambda w: w.astype(dtype), params)
        logits, _ = net.apply(params, jnp.asarray(images, dtype), buffers=buffers, train=True, rng=rng)
        return F.cross_entropy(logits.astype(jnp.float32), labels)

    return loss


@functools.lru_cache
def trained(name: str):
    """Parameters after so many steps that nothing is left to learn."""
    net = NETWORKS[name]()
    loss = loss_of(net)

    @jax.jit
    def train(params):
        def step(params, _):
            grads = bpjax.grad(loss)(params)
            size = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(grads)))
            return jax.tree.map(lambda w, g: w - 0.3 * g / jnp.maximum(size, 0.3), params, grads), None

        return lax.scan(step, params, None, length=2000)[0]

    return train(net.init(jax.random.key(0)))


def scaled(params, factor):
    return jax.tree.map(lambda w: (factor * w).astype(w.dtype), params)


def programs():
    """Name, function, argument."""
    for name, make in NETWORKS.items():
        net = make()
        params, loss = net.init(jax.random.key(0)), loss_of(net)
        yield f"{name}, fresh", loss, params
        yield f"{name}, trained to the end", loss, lambda name=name: trained(name)
        yield f"{name}, confident", loss, scaled(params, 30.0)
        yield f"{name}, tiny", loss, scaled(params, 1e-6)
        yield f"{name}, huge loss", lambda p, loss=loss: 1e12 * loss(p), params
        yield f"{name}, tiny loss", lambda p, loss=loss: 1e-12 * loss(p), params
        yield f"{name}, in bfloat16", loss_of(net, dtype=jnp.bfloat16), params
        yield (
            f"{name}, parameters in bfloat16",
            loss_of(net, IMAGES.astype(jnp.bfloat16)),
            jax.tree.map(lambda w: w.astype(jnp.bfloat16), params),
        )
        yield f"{name}, black images", loss_of(net, np.zeros_like(IMAGES)), params
        yield f"{name}, equal images", loss_of(net, np.repeat(IMAGES[:1], 8, 0)), params
        yield f"{name}, checkpointed", jax.checkpoint(loss), params
        yield f"{name}, under jit", jax.jit(loss), params
        yield f"{name}, under vmap", lambda p, loss=loss: jax.vmap(loss)(jax.tree.map(lambda w: jnp.stack([w, 2 * w]), p)).sum(), params
        yield (
            f"{name}, in a scan",
            lambda p, loss=loss: lax.scan(lambda c, s: (c + loss(scaled(p, s)), None), 0.0, jnp.arange(1.0, 3))[0],
            params,
        )
        yield f"{name}, zero last layer", loss, {k: scaled(v, 0.0) if k in ("fc", "fc2", "fc3") else v for k, v in params.items()}
