"""JAXopt: answers differentiated as answers, projections, and steps differentiated as steps."""

import jax
import jax.numpy as jnp
import pytest
from agreement import agree, library, normal

jaxopt = library("jaxopt")
from jaxopt import implicit_diff, objective, projection, prox  # noqa: E402

pytestmark = pytest.mark.usefixtures("x64")
X = lambda: normal(0, 9, 4)


def ridge():
    """By `custom_root`, as its documentation begins."""
    objective_of = lambda w, l2, data: jnp.sum((data[0] @ w - data[1]) ** 2) / 2 + l2 * jnp.sum(w**2) / 2

    @implicit_diff.custom_root(jax.grad(objective_of))
    def solve(_, l2, data):
        x, y = data
        return jnp.linalg.solve(x.T @ x + l2 * jnp.eye(4), x.T @ y)

    return lambda p: jnp.sum(solve(None, p["l2"], (X(), p["y"])) ** 2), {"l2": jnp.array(2.0), "y": normal(1, 9)}


def logistic(solver, **options):
    fun = objective.l2_multiclass_logreg
    data = X(), jnp.arange(9) % 3
    start = jnp.zeros((4, 3))
    return lambda p: jnp.sum(jnp.sin(solver(fun, **options).run(start, jnp.exp(p), data).params)), jnp.array(0.1)


def lasso(**options):
    """A hyperparameter through proximal steps."""
    solver = jaxopt.ProximalGradient(objective.least_squares, prox.prox_lasso, tol=1e-12, maxiter=2000, **options)
    return lambda p: jnp.sum(solver.run(jnp.zeros(4), p["l1"], (X(), p["y"])).params ** 2), {"l1": jnp.array(0.1), "y": normal(1, 9)}


def projected():
    """A dual problem on the simplex."""
    solver = jaxopt.ProjectedGradient(objective.least_squares, projection.projection_simplex, tol=1e-12, maxiter=2000)
    return lambda y: jnp.sum(jnp.sin(solver.run(jnp.full(4, 0.25), 1.0, (X(), y)).params)), normal(1, 9)


def projections(x):
    """Onto a simplex, a ball, a box, an affine set, a transport polytope's rows."""
    return (
        jnp.sum(projection.projection_simplex(x) ** 2)
        + jnp.sum(projection.projection_l2_ball(x, 0.5) * jnp.arange(4))
        + jnp.sum(projection.projection_l1_ball(x, 1.0) ** 2)
        + jnp.sum(projection.projection_box(x, (-0.5, 0.5)) ** 2)
        + jnp.sum(projection.projection_affine_set(x, (jnp.ones((1, 4)), jnp.ones(1))) ** 2)
    )


def transport():
    """Sinkhorn's: a regularized transport."""
    marginals = jnp.full(3, 1 / 3), jnp.full(4, 1 / 4)
    move = lambda cost: projection.kl_projection_transport(-cost, marginals)
    return lambda cost: jnp.sum(move(cost) * cost), normal(0, 3, 4)


def fixed_point(solver, **options):
    layer = lambda z, w, x: jnp.tanh(w @ z + x)
    loss = lambda p: jnp.sum(solver(layer, tol=1e-12, maxiter=200, **options).run(jnp.zeros(4), p["w"], p["x"]).params ** 2)
    return loss, {"w": 0.3 * normal(0, 4, 4), "x": normal(1, 4)}


def quadratic_program():
    """A layer that is a quadratic program with equalities."""

    def loss(p):
        q = p["Q"] @ p["Q"].T + jnp.eye(4)
        return jnp.sum(jaxopt.EqualityConstrainedQP(tol=1e-12).run(params_obj=(q, p["c"]), params_eq=(p["A"], p["b"])).params.primal ** 2)

    return loss, {"Q": normal(0, 4, 4), "c": normal(1, 4), "A": normal(2, 2, 4), "b": normal(3, 2)}


def root(solver, **options):
    f = lambda x, a: x**3 + x - a
    return lambda a: jnp.sin(solver(f, **options).run(jnp.array(0.5), a).params), jnp.array(2.0)


def curve():
    residual = lambda k, y: y - jnp.exp(-k[0] * jnp.linspace(0, 1, 9)) * k[1]
    seen = 1.2 * jnp.exp(-0.7 * jnp.linspace(0, 1, 9)) + 0.01 * normal(0, 9)
    return lambda y: jnp.sum(jaxopt.LevenbergMarquardt(residual, tol=1e-12).run(jnp.ones(2), y).params), seen


TIGHT = {"tol": 1e-10, "maxiter": 500}
PROGRAMS = {
    "ridge regression": ridge,
    "BFGS": lambda: logistic(jaxopt.BFGS, **TIGHT),
    "L-BFGS": lambda: logistic(jaxopt.LBFGS, **TIGHT),
    "gradient descent": lambda: logistic(jaxopt.GradientDescent, **TIGHT),
    "gradient descent, unrolled": lambda: logistic(
        jaxopt.GradientDescent, maxiter=20, tol=0.0, implicit_diff=False, stepsize=0.05, unroll=True
    ),
    "the lasso": lasso,
    "projected gradients": projected,
    "projections": lambda: (projections, normal(1, 4)),
    "transport": transport,
    "a fixed point": lambda: fixed_point(jaxopt.FixedPointIteration),
    "Anderson's acceleration": lambda: fixed_point(jaxopt.AndersonAcceleration, history_size=3),
    "a quadratic program": quadratic_program,
    "bisection": lambda: root(jaxopt.Bisection, lower=0.0, upper=2.0, tol=1e-13, maxiter=60, check_bracket=False),
    "Levenberg-Marquardt": curve,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_jaxopt(name):
    agree(*PROGRAMS[name]())
