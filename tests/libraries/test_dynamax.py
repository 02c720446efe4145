"""Dynamax: what state-space models say of a series, after their states are summed out."""

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest
from agreement import agree, library, normal

library("dynamax")
from dynamax import hidden_markov_model as hmm  # noqa: E402
from dynamax import linear_gaussian_ssm as lgssm  # noqa: E402
from dynamax import nonlinear_gaussian_ssm as nlgssm  # noqa: E402
from dynamax.parameters import from_unconstrained, to_unconstrained  # noqa: E402

pytestmark = pytest.mark.usefixtures("x64")


def marginal(model, seen, **options):
    """The marginal log-probability, in the unconstrained parameters of `fit_sgd`."""
    params, props = model.initialize(jr.key(0), **options)
    free = to_unconstrained(params, props)
    return lambda p: -model.marginal_log_prob(from_unconstrained(p, props), seen), free


def linear():
    return lgssm.LinearGaussianSSM(3, 2)


def smoothed():
    params, _ = linear().initialize(jr.key(0))
    loss = lambda p: jnp.sum(linear().smoother(p[0], p[1]).smoothed_means ** 2)
    return loss, (params, normal(0, 7, 2))


def parallel():
    """The filter as an associative scan."""
    params, _ = linear().initialize(jr.key(0))
    return lambda p: lgssm.parallel_lgssm_smoother(p[0], p[1]).marginal_loglik, (params, normal(0, 7, 2))


def forward_backward():
    def loss(p):
        found = hmm.hmm_smoother(jax.nn.softmax(p["start"]), jax.nn.softmax(p["move"]), p["seen"])
        return found.marginal_loglik + jnp.sum(found.smoothed_probs[:, 0] ** 2)

    return loss, {"start": normal(0, 3), "move": normal(1, 3, 3), "seen": normal(2, 6, 3)}


def nonlinear(inference):
    """A pendulum, of which the sine of the angle is seen."""

    def loss(p):
        params = nlgssm.ParamsNLGSSM(
            initial_mean=p["start"],
            initial_covariance=0.1 * jnp.eye(2),
            dynamics_function=lambda x: jnp.stack([x[0] + 0.1 * x[1], x[1] - 0.1 * p["g"] * jnp.sin(x[0])]),
            dynamics_covariance=0.01 * jnp.eye(2),
            emission_function=lambda x: jnp.sin(x[:1]),
            emission_covariance=jnp.exp(p["noise"]) * jnp.eye(1),
        )
        return -inference(params, p["seen"]).marginal_loglik

    return loss, {"start": normal(0, 2), "g": jnp.array(9.8), "noise": jnp.array(-1.0), "seen": normal(1, 8, 1)}


PROGRAMS = {
    "Kalman's filter": lambda: marginal(linear(), normal(0, 7, 2)),
    "Kalman's smoother": smoothed,
    "Kalman's filter, in parallel": parallel,
    "a Gaussian hidden Markov model": lambda: marginal(hmm.GaussianHMM(3, 2), normal(0, 8, 2)),
    "a categorical one": lambda: marginal(hmm.CategoricalHMM(3, 1, 4), jnp.array([[0], [3], [1], [2], [2], [0]])),
    "one of counts": lambda: marginal(hmm.PoissonHMM(2, 3), jnp.array([[0, 3, 1], [2, 2, 0], [5, 1, 1], [0, 0, 2]])),
    "forward and backward": forward_backward,
    "the extended Kalman filter": lambda: nonlinear(nlgssm.extended_kalman_filter),
    "the unscented Kalman filter": lambda: nonlinear(lambda p, y: nlgssm.unscented_kalman_filter(p, y, nlgssm.UKFHyperParams())),
    "the extended smoother": lambda: nonlinear(nlgssm.extended_kalman_smoother),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore:shape requires ndarray or scalar:DeprecationWarning")  # TensorFlow Probability samples first values
def test_dynamax(name):
    agree(*PROGRAMS[name]())
