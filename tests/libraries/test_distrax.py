"""Distrax: bijectors, flows made of them, and mixtures."""

import jax
import jax.numpy as jnp
import pytest
from agreement import agree, library, normal

distrax = library("distrax")
pytestmark = pytest.mark.usefixtures("x64")


def density_of(distribution, value, **params):
    """Differentiated in the parameters and in the value."""
    return lambda p: jnp.sum(distribution(**p[0]).log_prob(p[1])), (params, value)


def bijector(of, x, **params):
    """There, with the volume it costs, and back."""

    def loss(p):
        b = of(**p[0])
        y, volume = b.forward_and_log_det(p[1])
        return jnp.sum(jnp.sin(y)) + jnp.sum(volume) + jnp.sum(b.inverse(y * 0.9) ** 2)

    return loss, (params, x)


def autoregressive():
    """Masked: each coordinate is moved by those before it."""

    def loss(p):
        weights = [jnp.tril(w, -1) for w in p["weights"]]
        scale = lambda x, w: jnp.tanh(x @ w.T)
        step = lambda w: distrax.Lambda(
            forward=lambda x: x * jnp.exp(scale(x, w)) + x @ w.T,
            forward_log_det_jacobian=lambda x: jnp.sum(scale(x, w), -1),
            event_ndims_in=1,
            is_constant_jacobian=False,
        )
        flow = distrax.Chain([step(w) for w in weights])
        y, volume = flow.forward_and_log_det(p["x"])
        return jnp.sum(y**2) - jnp.sum(volume)

    return loss, {"weights": [0.5 * normal(i, 4, 4) for i in range(2)], "x": normal(7, 3, 4)}


def coupled(inner, sizes):
    """A flow of couplings (real NVP, neural splines): half of the coordinates say what becomes of the other half."""
    masks = [jnp.arange(4) % 2 == i % 2 for i in range(3)]

    def loss(p):
        def layer(mask, weight):
            return distrax.MaskedCoupling(mask, lambda x: (jnp.tanh(x) @ weight).reshape(-1, 4, sizes), inner)

        flow = distrax.Inverse(distrax.Chain([layer(m, w) for m, w in zip(masks, p["weights"])]))
        base = distrax.Independent(distrax.Normal(jnp.zeros(4), jnp.ones(4)), 1)
        return -jnp.mean(distrax.Transformed(base, flow).log_prob(p["x"]))

    return loss, {"weights": [0.3 * normal(i, 4, 4 * sizes) for i in range(3)], "x": normal(7, 5, 4)}


def mixture():
    def of(logits, loc, scale):
        return distrax.MixtureSameFamily(distrax.Categorical(logits), distrax.MultivariateNormalDiag(loc, jnp.exp(scale)))

    return density_of(of, normal(0, 5, 2), logits=normal(1, 3), loc=normal(2, 3, 2), scale=normal(3, 3, 2))


def hidden_markov():
    def loss(p):
        start, move = distrax.Categorical(p["start"]), distrax.Categorical(p["move"])
        model = distrax.HMM(start, move, distrax.Normal(p["mean"], jnp.exp(p["scale"])))
        alphas, betas, marginals, log_prob = model.forward_backward(p["seen"])
        return log_prob + jnp.sum(marginals[:, 0])

    return loss, {"start": normal(0, 3), "move": normal(1, 3, 3), "mean": normal(2, 3), "scale": normal(3, 3), "seen": normal(4, 7)}


def divergence():
    normals = lambda p, q: distrax.MultivariateNormalTri(p["m"], jnp.tril(p["L"])).kl_divergence(
        distrax.MultivariateNormalTri(q["m"], jnp.tril(q["L"]))
    )
    gaussian = lambda i: {"m": normal(i, 3), "L": 0.3 * normal(i + 1, 3, 3) + 2 * jnp.eye(3)}
    return lambda p: normals(*p), (gaussian(0), gaussian(5))


def relaxed():
    """A sample of a relaxed category, and the straight-through one."""

    def loss(p):
        soft = distrax.Gumbel(p["logits"], 1.0).sample(seed=jax.random.key(0))
        hard = distrax.straight_through_wrapper(distrax.OneHotCategorical)(logits=p["logits"]).sample(seed=jax.random.key(1))
        return jnp.sum(p["value"] * (jax.nn.softmax(soft) + hard))

    return loss, {"logits": normal(0, 3, 4), "value": normal(1, 4)}


affine = lambda params: distrax.ScalarAffine(params[..., 0], log_scale=jnp.tanh(params[..., 1]))
spline = lambda params: distrax.RationalQuadraticSpline(params, -3.0, 3.0)
PROGRAMS = {
    "affine": lambda: bijector(distrax.ScalarAffine, normal(0, 4), shift=normal(1, 4), log_scale=normal(2, 4)),
    "a full matrix": lambda: bijector(
        lambda L, b: distrax.LowerUpperTriangularAffine(L, b), normal(0, 3), L=normal(1, 3, 3) + 3 * jnp.eye(3), b=normal(2, 3)
    ),
    "sigmoid after tanh": lambda: bijector(lambda: distrax.Chain([distrax.Sigmoid(), distrax.Tanh()]), normal(0, 4)),
    "a rational quadratic spline": lambda: bijector(lambda p: spline(p), normal(0, 4), p=normal(1, 4, 13)),
    "Gumbel's distribution function": lambda: bijector(distrax.GumbelCDF, normal(0, 4)),
    "an autoregressive flow": autoregressive,
    "real NVP": lambda: coupled(affine, 2),
    "a neural spline flow": lambda: coupled(spline, 13),
    "a mixture": mixture,
    "a hidden Markov model": hidden_markov,
    "a divergence of Gaussians": divergence,
    "relaxed and straight-through samples": relaxed,
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore:jax.core.pytype_aval_mappings:DeprecationWarning")  # TensorFlow Probability's
def test_distrax(name):
    agree(*PROGRAMS[name]())
