"""NumPyro: log-densities, models as Hamiltonian Monte Carlo sees them, and variational bounds."""

import jax
import jax.numpy as jnp
import pytest
from agreement import agree, library, normal

library("numpyro")
import numpyro  # noqa: E402
import numpyro.distributions as dist  # noqa: E402
from numpyro.distributions import constraints, transforms  # noqa: E402
from numpyro.infer import SVI, Trace_ELBO, TraceGraph_ELBO, autoguide, util  # noqa: E402
from numpyro.infer.reparam import LocScaleReparam  # noqa: E402

pytestmark = pytest.mark.usefixtures("x64")
positive = lambda seed, *shape: 0.5 + normal(seed, *shape) ** 2
unit = lambda seed, *shape: jax.nn.sigmoid(normal(seed, *shape))
simplex = lambda seed, *shape: jax.nn.softmax(normal(seed, *shape))
lower = lambda a: jnp.tril(a, -1) + jnp.diag(jnp.exp(jnp.diag(a)))
COUNTS = (0, 3, 1, 7)

DENSITIES = {  # the distribution of some parameters, those, and a value (differentiated where it is a real number)
    "Normal": lambda: (dist.Normal, [normal(0, 4), positive(1, 4)], normal(2, 4)),
    "StudentT": lambda: (dist.StudentT, [positive(0, 4), normal(1, 4), positive(2, 4)], normal(3, 4)),
    "Cauchy": lambda: (dist.Cauchy, [normal(0, 4), positive(1, 4)], normal(2, 4)),
    "HalfNormal": lambda: (dist.HalfNormal, [positive(0, 4)], positive(1, 4)),
    "LogNormal": lambda: (dist.LogNormal, [normal(0, 4), positive(1, 4)], positive(2, 4)),
    "Gamma": lambda: (dist.Gamma, [positive(0, 4), positive(1, 4)], positive(2, 4)),
    "InverseGamma": lambda: (dist.InverseGamma, [positive(0, 4), positive(1, 4)], positive(2, 4)),
    "Beta": lambda: (dist.Beta, [positive(0, 4), positive(1, 4)], unit(2, 4)),
    "Kumaraswamy": lambda: (dist.Kumaraswamy, [positive(0, 4), positive(1, 4)], unit(2, 4)),
    "Dirichlet": lambda: (dist.Dirichlet, [positive(0, 4)], simplex(1, 4)),
    "Exponential": lambda: (dist.Exponential, [positive(0, 4)], positive(1, 4)),
    "Gumbel": lambda: (dist.Gumbel, [normal(0, 4), positive(1, 4)], normal(2, 4)),
    "Laplace": lambda: (dist.Laplace, [normal(0, 4), positive(1, 4)], normal(2, 4)),
    "Weibull": lambda: (dist.Weibull, [positive(0, 4), positive(1, 4)], positive(2, 4)),
    "VonMises": lambda: (dist.VonMises, [normal(0, 4), positive(1, 4)], normal(2, 4)),
    "AsymmetricLaplace": lambda: (dist.AsymmetricLaplace, [normal(0, 4), positive(1, 4), positive(2, 4)], normal(3, 4)),
    "TruncatedNormal": lambda: (
        lambda a, b, c: dist.TruncatedNormal(a, b, low=c),
        [normal(0, 4), positive(1, 4), -positive(2, 4)],
        positive(3, 4),
    ),
    "MultivariateNormal": lambda: (
        lambda m, a: dist.MultivariateNormal(m, scale_tril=lower(a)),
        [normal(0, 3), normal(1, 3, 3)],
        normal(2, 3),
    ),
    "MultivariateNormal by covariance": lambda: (
        lambda m, a: dist.MultivariateNormal(m, a @ a.T + jnp.eye(3)),
        [normal(0, 3), normal(1, 3, 3)],
        normal(2, 3),
    ),
    "LowRankMultivariateNormal": lambda: (dist.LowRankMultivariateNormal, [normal(0, 5), normal(1, 5, 2), positive(2, 5)], normal(3, 5)),
    "MultivariateStudentT": lambda: (
        lambda d, m, a: dist.MultivariateStudentT(d, m, lower(a)),
        [positive(0), normal(1, 3), normal(2, 3, 3)],
        normal(3, 3),
    ),
    "Wishart": lambda: (lambda n, a: dist.Wishart(n + 4, a @ a.T + jnp.eye(3)), [positive(0), normal(1, 3, 3)], 2 * jnp.eye(3)),
    "LKJCholesky": lambda: (lambda c: dist.LKJCholesky(3, c), [positive(0)], jnp.linalg.cholesky(jnp.eye(3) + 0.3 * (1 - jnp.eye(3)))),
    "Poisson": lambda: (dist.Poisson, [positive(0, 4)], jnp.array(COUNTS)),
    "NegativeBinomial": lambda: (dist.NegativeBinomial2, [positive(0, 4), positive(1, 4)], jnp.array(COUNTS)),
    "ZeroInflatedPoisson": lambda: (dist.ZeroInflatedPoisson, [unit(0, 4), positive(1, 4)], jnp.array(COUNTS)),
    "Binomial": lambda: (lambda p: dist.Binomial(9, p), [unit(0, 4)], jnp.array(COUNTS)),
    "BetaBinomial": lambda: (lambda a, b: dist.BetaBinomial(a, b, 9), [positive(0, 4), positive(1, 4)], jnp.array(COUNTS)),
    "Categorical": lambda: (lambda logits: dist.Categorical(logits=logits), [normal(0, 4, 5)], jnp.arange(4)),
    "Multinomial": lambda: (lambda p: dist.Multinomial(11, p), [simplex(0, 4)], jnp.array(COUNTS)),
    "DirichletMultinomial": lambda: (lambda a: dist.DirichletMultinomial(a, 11), [positive(0, 4)], jnp.array(COUNTS)),
    "OrderedLogistic": lambda: (
        lambda x, c: dist.OrderedLogistic(x, jnp.cumsum(c)),
        [normal(0, 4), positive(1, 3)],
        jnp.array([0, 1, 2, 3]),
    ),
    "a mixture": lambda: (
        lambda w, m, s: dist.MixtureSameFamily(dist.Categorical(logits=w), dist.Normal(m, s)),
        [normal(0, 3), normal(1, 3), positive(2, 3)],
        normal(3),
    ),
    "a random walk": lambda: (lambda s: dist.GaussianRandomWalk(s, 6), [positive(0)], normal(1, 6)),
    "transformed twice": lambda: (
        lambda a, s: dist.TransformedDistribution(dist.Normal(a, s), [transforms.SigmoidTransform(), transforms.AffineTransform(1.0, 2.0)]),
        [normal(0, 4), positive(1, 4)],
        1 + 2 * unit(2, 4),
    ),
    "an autoregressive process": lambda: (
        lambda a, s: dist.Normal(jnp.cumsum(a), s).to_event(1),
        [normal(0, 5), positive(1)],
        normal(2, 5),
    ),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_log_density(name):
    """Differentiated in the distribution's parameters, and in the value where it is continuous."""
    of, parameters, value = DENSITIES[name]()
    if jnp.issubdtype(value.dtype, jnp.floating):
        agree(lambda p: jnp.sum(of(*p[0]).log_prob(p[1])), (parameters, value))
    else:
        agree(lambda p: jnp.sum(of(*p).log_prob(value)), parameters)


SAMPLES = {  # by the derivative of a sample in the parameters
    "Normal": lambda: (dist.Normal, [normal(0, 4), positive(1, 4)]),
    "Gamma": lambda: (dist.Gamma, [positive(0, 4), positive(1, 4)]),
    "Beta": lambda: (dist.Beta, [positive(0, 4), positive(1, 4)]),
    "Dirichlet": lambda: (dist.Dirichlet, [positive(0, 4)]),
    "StudentT": lambda: (dist.StudentT, [positive(0, 4), normal(1, 4), positive(2, 4)]),
    "MultivariateNormal": lambda: (lambda m, a: dist.MultivariateNormal(m, scale_tril=lower(a)), [normal(0, 3), normal(1, 3, 3)]),
    "LKJ": lambda: (lambda c: dist.LKJ(3, c), [positive(0)]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_sample(name):
    of, parameters = SAMPLES[name]()
    agree(lambda p: jnp.sum(jnp.sin(of(*p).rsample(jax.random.key(0), (2,)))), parameters)


def schools(y, sigma):
    """Rubin's eight schools, with an effect for each around a common one."""
    mu, tau = numpyro.sample("mu", dist.Normal(0, 5)), numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("schools", len(y)):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def regression(x, y):
    """Logistic regression with a horseshoe prior."""
    tau = numpyro.sample("tau", dist.HalfCauchy(1.0))
    lambdas = numpyro.sample("lambdas", dist.HalfCauchy(jnp.ones(x.shape[1])).to_event(1))
    beta = numpyro.sample("beta", dist.Normal(0.0, tau * lambdas).to_event(1))
    numpyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=y)


def clusters(y):
    """A mixture of three Gaussians, the assignments summed out."""
    weights = numpyro.sample("weights", dist.Dirichlet(jnp.ones(3)))
    centers = numpyro.sample("centers", dist.TransformedDistribution(dist.Normal(0, 3).expand([3]), transforms.OrderedTransform()))
    scales = numpyro.sample("scales", dist.InverseGamma(2.0, 1.0).expand([3]).to_event(1))
    with numpyro.plate("points", len(y)):
        numpyro.sample("y", dist.MixtureSameFamily(dist.Categorical(probs=weights), dist.Normal(centers, scales)), obs=y)


def volatility(returns):
    """Stochastic volatility: the log of the variance walks."""
    step = numpyro.sample("step", dist.Exponential(10.0))
    s = numpyro.sample("s", dist.GaussianRandomWalk(step, len(returns)))
    numpyro.sample("r", dist.StudentT(numpyro.sample("nu", dist.Exponential(0.1)) + 2, 0.0, jnp.exp(s)), obs=returns)


def correlated(x):
    """A covariance by its scales and an LKJ prior of the correlations."""
    scales = numpyro.sample("scales", dist.LogNormal(0, 1).expand([3]).to_event(1))
    factor = numpyro.sample("factor", dist.LKJCholesky(3, 2.0))
    with numpyro.plate("points", len(x)):
        numpyro.sample("x", dist.MultivariateNormal(jnp.zeros(3), scale_tril=scales[:, None] * factor), obs=x)


def gaussian_process(x, y):
    kernel = lambda v, length: v * jnp.exp(-0.5 * ((x[:, None] - x) / length) ** 2)
    v, length, noise = (numpyro.sample(name, dist.LogNormal(0.0, 1.0)) for name in ("v", "length", "noise"))
    numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(len(x)), kernel(v, length) + (noise + 1e-6) * jnp.eye(len(x))), obs=y)


def centred_no_more(y, sigma):
    numpyro.handlers.reparam(schools, config={"theta": LocScaleReparam(0)})(y, sigma)


MODELS = {
    "eight schools": lambda: (schools, (normal(0, 8), positive(1, 8))),
    "eight schools, not centred": lambda: (centred_no_more, (normal(0, 8), positive(1, 8))),
    "logistic regression": lambda: (regression, (normal(0, 9, 4), (normal(1, 9) > 0).astype(int))),
    "a mixture": lambda: (clusters, (normal(0, 12),)),
    "stochastic volatility": lambda: (volatility, (normal(0, 10),)),
    "a covariance": lambda: (correlated, (normal(0, 7, 3),)),
    "a Gaussian process": lambda: (gaussian_process, (jnp.linspace(0, 1, 8), normal(0, 8))),
}


@pytest.mark.parametrize("name", MODELS)
def test_potential_energy(name):
    """What Hamiltonian Monte Carlo differentiates: the model in unconstrained coordinates."""
    model, data = MODELS[name]()
    found = util.initialize_model(jax.random.key(0), model, model_args=data)
    agree(found.potential_fn, found.param_info.z)


def test_hamiltonian_trajectory():
    """Three leapfrog steps, differentiated: the gradient of a gradient."""
    found = util.initialize_model(jax.random.key(0), schools, model_args=(normal(0, 8), positive(1, 8)))

    def end(z):
        momentum = jax.tree.map(jnp.ones_like, z)
        for _ in range(3):
            momentum = jax.tree.map(lambda r, g: r - 0.05 * g, momentum, jax.grad(found.potential_fn)(z))
            z = jax.tree.map(lambda q, r: q + 0.05 * r, z, momentum)
        return found.potential_fn(z)

    agree(end, found.param_info.z)


GUIDES = {
    "diagonal": (autoguide.AutoNormal, Trace_ELBO(4)),
    "full covariance": (autoguide.AutoMultivariateNormal, Trace_ELBO()),
    "low rank": (autoguide.AutoLowRankMultivariateNormal, Trace_ELBO()),
    "Laplace": (autoguide.AutoLaplaceApproximation, Trace_ELBO()),
    "a flow": (autoguide.AutoIAFNormal, Trace_ELBO()),
    "a graph's bound": (autoguide.AutoNormal, TraceGraph_ELBO()),
}


@pytest.mark.parametrize("name", GUIDES)
def test_variational_bound(name):
    guide, bound = GUIDES[name]
    data = normal(0, 8), positive(1, 8)
    svi = SVI(schools, guide(schools), numpyro.optim.Adam(0.1), bound)
    state = svi.init(jax.random.key(0), *data)
    params = svi.optim.get_params(state.optim_state)
    agree(lambda p: bound.loss(jax.random.key(1), svi.constrain_fn(p), schools, svi.guide, *data), params)


BIJECTIONS = {
    "a simplex": (constraints.simplex, 4),
    "correlations": (constraints.corr_cholesky, 6),
    "a covariance": (constraints.positive_definite, 6),
    "an order": (constraints.ordered_vector, 5),
    "a lower triangle": (constraints.lower_cholesky, 6),
    "an interval": (constraints.interval(-1.0, 2.0), 5),
}


@pytest.mark.parametrize("name", BIJECTIONS)
def test_transform(name):
    """To a constrained space and back, with the volume it costs."""
    constraint, size = BIJECTIONS[name]
    to = dist.biject_to(constraint)

    def loss(x):
        y = to(x)
        return jnp.sum(jnp.sin(y)) + jnp.sum(to.log_abs_det_jacobian(x, y)) + jnp.sum(to.inv(y) ** 2)

    agree(loss, normal(0, size))
