"""Check models that know nothing of bpjax: an Equinox one and a Flax one, as they are."""

import sys

import jax
import jax.numpy as jnp
import optax

import bpjax

try:
    import equinox as eqx
    from flax import nnx
except ModuleNotFoundError as error:
    sys.exit(f"this example needs {error.name}: {sys.executable} -m pip install equinox flax")


def of_equinox():
    """An Equinox MLP under vmap."""
    model = eqx.nn.MLP(4, 3, 16, depth=2, key=jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)
    x, labels = jax.random.normal(jax.random.key(1), (5, 4)), jnp.arange(5) % 3

    def loss(params):
        logits = jax.vmap(eqx.combine(params, static))(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    return bpjax.check_gradients(loss, params)


class Classifier(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.norm = nnx.LayerNorm(4, rngs=rngs)
        self.linear = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.linear(nnx.gelu(self.norm(self.conv(x))).mean((1, 2)))


def of_flax():
    """A Flax NNX convolutional network."""
    graph, params = nnx.split(Classifier(nnx.Rngs(0)), nnx.Param)
    x, labels = jax.random.normal(jax.random.key(1), (5, 8, 8, 1)), jnp.arange(5) % 3

    def loss(params):
        logits = nnx.merge(graph, params)(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    return bpjax.check_gradients(loss, params)


def main():
    with jax.enable_x64(True):
        for name, check in (("Equinox", of_equinox), ("Flax", of_flax)):
            report = check()
            report.assert_ok()
            print(name, report, sep="\n")


if __name__ == "__main__":
    main()
