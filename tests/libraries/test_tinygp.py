"""tinygp: the log-likelihood of Gaussian processes, by dense and by quasiseparable matrices."""

import jax
import jax.numpy as jnp
import pytest
from agreement import agree, library, normal

tinygp = library("tinygp")
from tinygp import GaussianProcess, kernels, transforms  # noqa: E402

pytestmark = pytest.mark.usefixtures("x64")
times = lambda: jnp.sort(5 * jnp.abs(normal(0, 12)))


def likelihood(kernel, x=None, **params):
    """Differentiated in the kernel's parameters, the noise, the mean and what was seen."""
    x = times() if x is None else x
    params |= {"noise": jnp.array(-1.0), "mean": jnp.array(0.2), "y": normal(1, 12)}

    def loss(p):
        return -GaussianProcess(kernel(p), x, diag=jnp.exp(p["noise"]), mean=p["mean"]).log_probability(p["y"])

    return loss, params


def predicted():
    """The posterior at other places."""

    def loss(p):
        process = GaussianProcess(p["v"] * kernels.Matern32(p["s"]), times(), diag=0.1)
        _, at = process.condition(p["y"], jnp.linspace(0, 5, 4))
        return jnp.sum(at.mean**2) + jnp.sum(jnp.sqrt(at.variance))

    return loss, {"s": jnp.array(1.3), "v": jnp.array(0.7), "y": normal(1, 12)}


def predicted_quickly():
    def loss(p):
        process = GaussianProcess(kernels.quasisep.SHO(p["w"], p["q"]), times(), diag=0.1)
        _, at = process.condition(p["y"])
        return jnp.sum(at.mean**2) + jnp.sum(at.variance)

    return loss, {"w": jnp.array(1.3), "q": jnp.array(0.7), "y": normal(1, 12)}


def gradients():
    """A kernel of derivatives, made by differentiating a kernel."""

    class Slope(kernels.Kernel):
        scale: float

        def evaluate(self, a, b):
            k = lambda a, b: jnp.exp(-0.5 * ((a - b) / self.scale) ** 2)
            return jax.grad(jax.grad(k), argnums=1)(a, b)

    return likelihood(lambda p: Slope(p["s"]), s=jnp.array(0.9))


q = kernels.quasisep
scales = lambda **more: {"s": jnp.array(1.3), "v": jnp.array(0.7), **more}
PROGRAMS = {
    "exponential squared": lambda: likelihood(lambda p: p["v"] * kernels.ExpSquared(p["s"]), **scales()),
    "Matern 3/2": lambda: likelihood(lambda p: p["v"] * kernels.Matern32(p["s"]), **scales()),
    "Matern 5/2 and a period": lambda: likelihood(
        lambda p: p["v"] * kernels.Matern52(p["s"]) + kernels.ExpSineSquared(scale=p["period"], gamma=p["v"]),
        **scales(period=jnp.array(2.1)),
    ),
    "rational quadratic times a cosine": lambda: likelihood(
        lambda p: kernels.RationalQuadratic(p["s"], alpha=p["v"]) * kernels.Cosine(3.0 + p["v"]), **scales()
    ),
    "many dimensions, each with a scale": lambda: likelihood(
        lambda p: transforms.Linear(jnp.exp(p["scales"]), kernels.Matern52(distance=kernels.distance.L2Distance())),
        normal(0, 12, 3),
        scales=normal(2, 3),
    ),
    "many dimensions, a metric": lambda: likelihood(
        lambda p: transforms.Cholesky(jnp.tril(p["L"]), kernels.ExpSquared()), normal(0, 12, 2), L=jnp.array([[1.2, 0.0], [0.3, 0.8]])
    ),
    "the posterior": predicted,
    "derivatives": gradients,
    "quasiseparable Matern 3/2": lambda: likelihood(lambda p: q.Matern32(p["s"], p["v"]), **scales()),
    "quasiseparable Matern 5/2": lambda: likelihood(lambda p: q.Matern52(p["s"], p["v"]), **scales()),
    "quasiseparable oscillators": lambda: likelihood(lambda p: q.SHO(p["s"], p["v"]) * q.Exp(p["s"]) + q.SHO(2 * p["s"], 3.0), **scales()),
    "quasiseparable, celerite's": lambda: likelihood(lambda p: q.Celerite(p["s"], 0.1, p["v"], 2.0), **scales()),
    "the quasiseparable posterior": predicted_quickly,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_tinygp(name):
    agree(*PROGRAMS[name]())
