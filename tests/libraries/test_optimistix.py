"""Optimistix: roots, minima, least squares and fixed points, differentiated through the answer or through the steps."""

import jax.numpy as jnp
import pytest
from agreement import agree, library, normal

lx, optx = library("lineax"), library("optimistix")
pytestmark = pytest.mark.usefixtures("x64")
TIGHT = {"rtol": 1e-12, "atol": 1e-12}
STEPS = optx.RecursiveCheckpointAdjoint()


def root(solver, **options):
    """Of x³ + A x = b."""
    residual = lambda x, p: x**3 + p["A"] @ x - p["b"]
    loss = lambda p: jnp.sum(optx.root_find(residual, solver, jnp.zeros(3), p, **options).value ** 2)
    return loss, {"A": 2 * jnp.eye(3) + 0.3 * normal(0, 3, 3), "b": normal(1, 3)}


def one_root(solver, **options):
    """Kepler's equation: the eccentric anomaly."""
    kepler = lambda E, p: E - p["e"] * jnp.sin(E) - p["M"]
    options = {"options": {"lower": jnp.array(0.0), "upper": jnp.array(4.0)}} | options
    return lambda p: jnp.sin(optx.root_find(kepler, solver, jnp.array(1.0), p, **options).value), {"e": jnp.array(0.3), "M": jnp.array(1.2)}


def fit(solver, **options):
    """The rates of a sum of two exponentials, as seen in noise; differentiated in what was seen."""
    ts = jnp.linspace(0, 2, 9)
    seen = jnp.exp(-ts) + 0.5 * jnp.exp(-3 * ts) + 0.01 * normal(0, 9)
    model = lambda y, p: p["weight"] * (y["a"] * jnp.exp(-y["k"] * ts) + jnp.exp(-3 * ts) / 2 - p["seen"])

    def loss(p):
        found = optx.least_squares(model, solver, {"a": jnp.array(0.8), "k": jnp.array(0.7)}, p, max_steps=64, **options).value
        return found["k"] + found["a"] ** 2

    return loss, {"seen": seen, "weight": jnp.ones(9)}


def minimum(solver, **options):
    """Rosenbrock's valley, with its bottom moved."""
    valley = lambda y, p: jnp.sum((p["a"] - y[:-1]) ** 2 + p["b"] * (y[1:] - y[:-1] ** 2) ** 2)
    loss = lambda p: jnp.sum(jnp.sin(optx.minimise(valley, solver, jnp.array([0.5, 0.6, 0.4]), p, max_steps=512, **options).value))
    return loss, {"a": jnp.array(1.1), "b": jnp.array(3.0)}


def fixed_point(solver, **options):
    """A layer that is its own limit (a deep equilibrium model)."""
    layer = lambda z, p: jnp.tanh(p["W"] @ z + p["x"])
    loss = lambda p: jnp.sum(optx.fixed_point(layer, solver, jnp.zeros(4), p, max_steps=256, **options).value ** 2)
    return loss, {"W": 0.3 * normal(0, 4, 4), "x": normal(1, 4)}


SOLVED = ["linear_solve"]  # lineax's primitive
PROGRAMS = {  # and what has no written rule
    "Newton": (lambda: root(optx.Newton(**TIGHT)), SOLVED),
    "Newton, step by step": (lambda: root(optx.Newton(**TIGHT), adjoint=STEPS, max_steps=16), []),
    "Chord": (lambda: root(optx.Chord(**TIGHT)), SOLVED),
    "Dogleg as a root finder": (lambda: root(optx.Dogleg(**TIGHT)), SOLVED),
    "bisection": (lambda: one_root(optx.Bisection(**TIGHT)), SOLVED),
    "Newton of one unknown": (lambda: one_root(optx.Newton(**TIGHT), options={}), SOLVED),
    "implicit, by conjugate gradients": (
        lambda: fixed_point(optx.FixedPointIteration(**TIGHT), adjoint=optx.ImplicitAdjoint(lx.GMRES(1e-12, 1e-12))),
        SOLVED,
    ),
    "Levenberg-Marquardt": (lambda: fit(optx.LevenbergMarquardt(**TIGHT)), SOLVED),
    "Levenberg-Marquardt, step by step": (lambda: fit(optx.LevenbergMarquardt(1e-6, 1e-6), adjoint=STEPS), []),
    "Gauss-Newton": (lambda: fit(optx.GaussNewton(**TIGHT)), SOLVED),
    "Gauss-Newton, step by step": (lambda: fit(optx.GaussNewton(1e-6, 1e-6), adjoint=STEPS), []),
    "BFGS": (lambda: minimum(optx.BFGS(1e-9, 1e-9)), SOLVED),
    "BFGS, step by step": (lambda: minimum(optx.BFGS(1e-4, 1e-4), adjoint=STEPS), []),
    "gradient descent, step by step": (lambda: minimum(optx.GradientDescent(0.01, 1e-2, 1e-2), adjoint=STEPS), []),
    "Nelder-Mead": (lambda: minimum(optx.NelderMead(1e-9, 1e-9)), SOLVED),
    "fixed point": (lambda: fixed_point(optx.FixedPointIteration(**TIGHT)), SOLVED),
    "fixed point, step by step": (lambda: fixed_point(optx.FixedPointIteration(**TIGHT), adjoint=STEPS), []),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_optimistix(name):
    make, borrowed = PROGRAMS[name]
    agree(*make(), borrowed)
