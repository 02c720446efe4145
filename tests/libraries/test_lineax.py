"""Lineax: linear systems by every kind of solver, differentiated in the right-hand side and in what the operator is made of."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from agreement import agree, library, normal

lx = library("lineax")
pytestmark = pytest.mark.usefixtures("x64")
POSITIVE = lx.positive_semidefinite_tag


def solution(solver, operator, b):
    return jnp.sum(jnp.sin(lx.linear_solve(operator, b, solver).value))


def square(solver, tags=(), made_of=lambda a: a):
    """A system of five unknowns; `made_of` the differentiated matrix."""
    loss = lambda p: solution(solver, lx.MatrixLinearOperator(made_of(p["A"]), tags), p["b"])
    return loss, {"A": normal(0, 5, 5) + 5 * jnp.eye(5), "b": normal(1, 5)}


def oblong(solver, rows, columns):
    """Least squares, or the least of many solutions."""
    loss = lambda p: solution(solver, lx.MatrixLinearOperator(p["A"]), p["b"])
    return loss, {"A": normal(0, rows, columns), "b": normal(1, rows)}


def definite(solver):
    return square(solver, POSITIVE, lambda a: a @ a.T + jnp.eye(5))


def tridiagonal():
    loss = lambda p: solution(lx.Tridiagonal(), lx.TridiagonalLinearOperator(p["d"], p["l"], p["u"]), p["b"])
    return loss, {"d": 4 + normal(0, 6), "l": normal(1, 5), "u": normal(2, 5), "b": normal(3, 6)}


def diagonal():
    loss = lambda p: solution(lx.AutoLinearSolver(well_posed=True), lx.DiagonalLinearOperator(jnp.exp(p["d"])), p["b"])
    return loss, {"d": normal(0, 6), "b": normal(1, 6)}


def of_a_function(solver):
    """The operator is known by what it does to a vector: a stiffness matrix and its mass."""

    def loss(p):
        stiff = lambda x: jnp.exp(p["k"]) * x - jnp.convolve(x, jnp.array([1.0, 0.0, 1.0]), "same") + 3 * x
        return solution(solver, lx.FunctionLinearOperator(stiff, jax.eval_shape(lambda: p["b"]), POSITIVE), p["b"])

    return loss, {"k": normal(0, 6), "b": normal(1, 6)}


def of_a_jacobian():
    """One step of Newton's method, on a pytree."""

    def loss(p):
        residual = lambda y, _: {"x": y["x"] ** 3 + y["y"] - p["a"], "y": y["y"] + jnp.sin(y["x"]) * p["c"]}
        at = {"x": p["a"] + 1, "y": p["c"]}
        step = lx.linear_solve(lx.JacobianLinearOperator(residual, at), residual(at, None), lx.AutoLinearSolver(well_posed=None)).value
        return jnp.sum(step["x"] ** 2) + jnp.sum(jnp.cos(step["y"]))

    return loss, {"a": 1 + normal(0, 3) ** 2, "c": normal(1, 3)}


def composed():
    """(A B + c I) x = b, never multiplied out."""

    def loss(p):
        product = lx.MatrixLinearOperator(p["A"]) @ lx.MatrixLinearOperator(p["B"])
        return solution(lx.GMRES(1e-12, 1e-12), product + p["c"] * lx.IdentityLinearOperator(jax.eval_shape(lambda: p["b"])), p["b"])

    return loss, {"A": 0.2 * normal(0, 5, 5), "B": 0.2 * normal(1, 5, 5), "b": normal(2, 5), "c": jnp.array(2.0)}


def many_right_sides():
    """The matrix is factored once, and used under vmap."""

    def loss(p):
        operator, solver = lx.MatrixLinearOperator(p["A"]), lx.LU()
        state = solver.init(operator, {})
        solve = lambda b: lx.linear_solve(operator, b, solver, state=state).value
        return jnp.sum(jnp.sin(jax.vmap(solve)(p["b"])))

    return loss, {"A": normal(0, 4, 4) + 4 * jnp.eye(4), "b": normal(1, 3, 4)}


def many_systems():
    def loss(p):
        solve = lambda a, b: lx.linear_solve(lx.MatrixLinearOperator(a), b, lx.QR()).value
        return jnp.sum(jnp.sin(eqx.filter_vmap(solve)(p["A"], p["b"])))

    return loss, {"A": normal(0, 3, 5, 4), "b": normal(1, 3, 5)}


def gaussian():
    """The log-density of a Gaussian, by conjugate gradients and a factored determinant."""

    def loss(p):
        covariance = jnp.exp(-((p["x"][:, None] - p["x"]) ** 2) / jnp.exp(p["length"])) + 0.1 * jnp.eye(8)
        weighted = lx.linear_solve(lx.MatrixLinearOperator(covariance, POSITIVE), p["y"], lx.CG(1e-12, 1e-12)).value
        return p["y"] @ weighted + jnp.linalg.slogdet(covariance)[1]

    return loss, {"x": jnp.linspace(0, 3, 8), "y": normal(0, 8), "length": jnp.array(-0.5)}


PROGRAMS = {
    "LU": lambda: square(lx.LU()),
    "QR": lambda: square(lx.QR()),
    "SVD": lambda: square(lx.SVD()),
    "the solver that lineax picks": lambda: square(lx.AutoLinearSolver(well_posed=True)),
    "lower triangular": lambda: square(lx.Triangular(), lx.lower_triangular_tag, jnp.tril),
    "upper triangular, with a unit diagonal": lambda: square(
        lx.Triangular(), (lx.upper_triangular_tag, lx.unit_diagonal_tag), lambda a: jnp.triu(a, 1) + jnp.eye(5)
    ),
    "Cholesky": lambda: definite(lx.Cholesky()),
    "conjugate gradients": lambda: definite(lx.CG(1e-12, 1e-12)),
    "GMRES": lambda: square(lx.GMRES(1e-12, 1e-12)),
    "BiCGStab": lambda: square(lx.BiCGStab(1e-12, 1e-12)),
    "QR, more equations than unknowns": lambda: oblong(lx.QR(), 7, 4),
    "QR, fewer equations": lambda: oblong(lx.QR(), 4, 7),
    "SVD, more equations": lambda: oblong(lx.SVD(), 7, 4),
    "normal equations": lambda: oblong(lx.Normal(lx.Cholesky()), 7, 4),
    "tridiagonal": tridiagonal,
    "diagonal": diagonal,
    "conjugate gradients of a function": lambda: of_a_function(lx.CG(1e-12, 1e-12)),
    "Cholesky of a function's matrix": lambda: of_a_function(lx.Cholesky()),
    "a Jacobian, of a pytree": of_a_jacobian,
    "a sum of a product and the identity": composed,
    "one matrix, many right-hand sides": many_right_sides,
    "many systems under vmap": many_systems,
    "log-density of a Gaussian": gaussian,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_lineax(name):
    agree(*PROGRAMS[name](), ["vprim" if "many" in name else "linear_solve"])  # lineax's own primitive, and what it is under vmap
