"""e3nn: functions that turn with space."""

import jax
import jax.numpy as jnp
import pytest
from agreement import agree, library, normal

e3nn = library("e3nn_jax")
pytestmark = pytest.mark.usefixtures("x64")


def message():
    """One message of a network on atoms: harmonics of the directions, times features, gated, summed over neighbours."""
    senders, receivers = jnp.array([0, 1, 2, 3, 0, 2]), jnp.array([1, 2, 3, 0, 2, 1])

    def loss(p):
        vectors = e3nn.IrrepsArray("1o", p["at"][receivers] - p["at"][senders])
        harmonics = e3nn.spherical_harmonics([0, 1, 2], vectors, True)
        length = jnp.linalg.norm(vectors.array, axis=-1)
        radial = e3nn.bessel(length, 4, 5.0) @ p["radial"]
        features = e3nn.IrrepsArray("2x0e + 1o", p["features"])
        messages = e3nn.tensor_product(features[senders], harmonics, filter_ir_out=["0e", "0o", "1o"])
        messages = messages * radial[:, :1]
        summed = e3nn.scatter_sum(messages, dst=receivers, output_size=4)
        return jnp.sum(e3nn.norm(summed).array) + jnp.sum(summed.array**2)

    return loss, {"at": normal(0, 4, 3), "features": normal(1, 4, 5), "radial": normal(2, 4, 2)}


def turned():
    """Wigner's matrices, by angles."""

    def loss(angles):
        x = e3nn.IrrepsArray("0e + 1o + 2e", jnp.arange(9.0))
        return jnp.sum(jnp.sin(x.transform_by_angles(*angles).array))

    return loss, normal(0, 3)


def gated():
    def loss(x):
        y = e3nn.gate(e3nn.IrrepsArray("2x0e + 2x0e + 2x1o", x))
        return jnp.sum(jax.nn.tanh(e3nn.tensor_square(y).array))

    return loss, normal(0, 3, 10)


PROGRAMS = {"a message between atoms": message, "a rotation": turned, "a gate and a square": gated}


@pytest.mark.parametrize("name", PROGRAMS)
def test_e3nn(name):
    agree(*PROGRAMS[name]())
