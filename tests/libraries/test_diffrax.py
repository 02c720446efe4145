"""Diffrax: ordinary, stochastic and controlled differential equations, differentiated in their coefficients and initial values."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from agreement import agree, library, normal

dfx, optx = library("diffrax"), library("optimistix")
pytestmark = pytest.mark.usefixtures("x64")
CONTROLLED = {"stepsize_controller": dfx.PIDController(rtol=1e-6, atol=1e-8)}


def predators(t, y, p):
    """Lotka and Volterra."""
    hares, lynxes = y
    return jnp.stack([p["a"] * hares - hares * lynxes, p["b"] * hares * lynxes - lynxes])


def populations(solver, steps=None, **options):
    """What is left of both at the end, and how it was in between; `steps` of one size, or as many as the error asks for."""
    options |= {"dt0": 4.0 / steps} if steps else {"dt0": 0.05, **CONTROLLED}
    options = {"saveat": dfx.SaveAt(ts=jnp.linspace(0.5, 4, 5))} | options
    solve = lambda p: dfx.diffeqsolve(dfx.ODETerm(predators), solver, 0.0, 4.0, y0=p["y0"], args=p, **options)
    return lambda p: jnp.sum(jnp.sin(solve(p).ys)), {"a": jnp.array(1.1), "b": jnp.array(0.9), "y0": jnp.array([1.0, 0.6])}


def stiff(solver):
    """Robertson's three reactions, over a short time."""

    def reactions(t, y, p):
        slow, fast, back = p * y[0], 300.0 * y[1] ** 2, 10.0 * y[1] * y[2]
        return jnp.stack([-slow + back, slow - back - fast, fast])

    def loss(p):
        solved = dfx.diffeqsolve(
            dfx.ODETerm(reactions), solver, 0.0, 2.0, 0.01, jnp.array([1.0, 0.0, 0.0]), p, **CONTROLLED, saveat=dfx.SaveAt(t1=True)
        )
        return jnp.sum(solved.ys[0] ** 2)

    return loss, jnp.array(0.4)


def pendulum():
    """Two halves of a system in turn: positions and velocities."""
    velocity, force = dfx.ODETerm(lambda t, v, p: v), dfx.ODETerm(lambda t, x, p: -p["k"] * jnp.sin(x))

    def loss(p):
        start = (p["x"], jnp.zeros(2))
        solved = dfx.diffeqsolve((velocity, force), dfx.SemiImplicitEuler(), 0.0, 2.0, 0.1, start, p)
        return jnp.sum(solved.ys[0] ** 2)

    return loss, {"k": jnp.array(1.3), "x": jnp.array([0.4, 1.0])}


def neural_ode():
    """An MLP as the vector field, fitted to a spiral."""
    params, static = eqx.partition(eqx.nn.MLP(2, 2, 8, 2, jnp.tanh, key=jax.random.key(0), dtype=float), eqx.is_inexact_array)
    ts = jnp.linspace(0, 2, 6)
    spiral = jnp.exp(-0.2 * ts)[:, None] * jnp.stack([jnp.cos(ts), jnp.sin(ts)], 1)

    def loss(params):
        field = dfx.ODETerm(lambda t, y, net: net(y))
        net = eqx.combine(params, static)
        solved = dfx.diffeqsolve(field, dfx.Tsit5(), 0.0, 2.0, 0.1, spiral[0], net, saveat=dfx.SaveAt(ts=ts), **CONTROLLED)
        return jnp.mean((solved.ys - spiral) ** 2)

    return loss, params


def ensemble():
    """Many initial values under vmap."""

    def loss(p):
        solve = lambda y0: dfx.diffeqsolve(dfx.ODETerm(predators), dfx.Tsit5(), 0.0, 2.0, 0.1, y0, p, **CONTROLLED).ys[0]
        return jnp.sum(jax.vmap(solve)(p["y0"]) ** 2)

    return loss, {"a": jnp.array(1.1), "b": jnp.array(0.9), "y0": jnp.abs(normal(0, 4, 2))}


def until_it_lands():
    """A thrown ball, and when it comes down: an event whose root is found."""

    def loss(p):
        fall = dfx.ODETerm(lambda t, y, p: jnp.stack([y[1], -p["g"] - 0.1 * y[1]]))
        event = dfx.Event(lambda t, y, args, **_: y[0], optx.Newton(1e-9, 1e-9))
        start = jnp.stack([jnp.array(1.0), p["v"]])
        return dfx.diffeqsolve(fall, dfx.Tsit5(), 0.0, jnp.inf, 0.05, start, p, event=event, **CONTROLLED).ts[0]

    return loss, {"g": jnp.array(9.8), "v": jnp.array(3.0)}


def noisy(solver, **options):
    """A double well with noise that depends on the state."""

    def loss(p):
        noise = dfx.VirtualBrownianTree(0.0, 1.0, tol=1e-3, shape=(), key=jax.random.key(1), **options)
        drift = dfx.ODETerm(lambda t, y, p: p["a"] * y - y**3)
        terms = dfx.MultiTerm(drift, dfx.ControlTerm(lambda t, y, p: p["s"] * jnp.cos(y), noise))
        solved = dfx.diffeqsolve(terms, solver, 0.0, 1.0, 0.05, p["y0"], p, saveat=dfx.SaveAt(ts=jnp.linspace(0, 1, 4)))
        return jnp.sum(solved.ys**2)

    return loss, {"a": jnp.array(1.2), "s": jnp.array(0.4), "y0": jnp.array(0.3)}


def langevin():
    def loss(p):
        noise = dfx.VirtualBrownianTree(0.0, 1.0, 1e-3, (2,), jax.random.key(0), levy_area=dfx.SpaceTimeTimeLevyArea)
        terms = (
            dfx.UnderdampedLangevinDriftTerm(p["friction"], jnp.ones(2), lambda x, _: p["k"] * x**3),
            dfx.UnderdampedLangevinDiffusionTerm(p["friction"], jnp.ones(2), noise),
        )
        solved = dfx.diffeqsolve(dfx.MultiTerm(*terms), dfx.ALIGN(0.1), 0.0, 1.0, 0.05, (p["x"], jnp.zeros(2)))
        return jnp.sum(solved.ys[0] ** 2)

    return loss, {"friction": jnp.array([0.5, 1.0]), "k": jnp.array(1.0), "x": jnp.array([1.0, -0.5])}


def controlled(interpolation):
    """A neural CDE: the state is driven by a path through what was seen."""
    params, static = eqx.partition(eqx.nn.MLP(3, 6, 8, 1, jnp.tanh, jnp.tanh, key=jax.random.key(0), dtype=float), eqx.is_inexact_array)
    ts, xs = jnp.linspace(0, 1, 5), normal(1, 5, 2)

    def loss(p):
        params, xs = p
        net = eqx.combine(params, static)
        terms = dfx.ControlTerm(lambda t, y, _: net(y).reshape(3, 2), interpolation(ts, xs)).to_ode()
        return jnp.sum(dfx.diffeqsolve(terms, dfx.Heun(), 0.0, 1.0, 0.1, jnp.ones(3)).ys ** 2)

    return loss, (params, xs)


def dense():
    """The solution as a function of time."""

    def loss(p):
        solved = dfx.diffeqsolve(
            dfx.ODETerm(predators), dfx.Dopri5(), 0.0, 2.0, 0.1, p["y0"], p, saveat=dfx.SaveAt(dense=True), max_steps=64
        )
        return jnp.sum(jax.vmap(solved.evaluate)(jnp.array([0.33, 1.2, 1.7])) ** 2)

    return loss, {"a": jnp.array(1.1), "b": jnp.array(0.9), "y0": jnp.array([1.0, 0.6])}


cubic = lambda ts, xs: dfx.CubicInterpolation(ts, dfx.backward_hermite_coefficients(ts, xs))
LINEAR = ["linear_solve"]  # lineax's primitive, in the step to the root
BUFFER = ["maybe_set"]  # Equinox's, which writes a step's result where it is kept
PROGRAMS = {  # and what has no written rule
    "Euler": (lambda: populations(dfx.Euler(), 40), []),
    "Heun": (lambda: populations(dfx.Heun(), 20), []),
    "Tsit5, adaptive": (lambda: populations(dfx.Tsit5()), []),
    "Dopri5, adaptive": (lambda: populations(dfx.Dopri5()), []),
    "Dopri8, adaptive, every step": (lambda: populations(dfx.Dopri8(), saveat=dfx.SaveAt(t0=True, t1=True)), []),
    "Bosh3, backsolved": (lambda: populations(dfx.Bosh3(), adjoint=dfx.BacksolveAdjoint(), saveat=dfx.SaveAt(t1=True)), []),
    "Tsit5, through every step": (lambda: populations(dfx.Tsit5(), 20, adjoint=dfx.DirectAdjoint(), max_steps=32), BUFFER),
    "Tsit5, few checkpoints": (lambda: populations(dfx.Tsit5(), adjoint=dfx.RecursiveCheckpointAdjoint(checkpoints=4)), []),
    "reversible Heun": (lambda: populations(dfx.ReversibleHeun(), 20), []),
    "Kvaerno5, stiff": (lambda: stiff(dfx.Kvaerno5()), []),
    "implicit Euler": (lambda: populations(dfx.ImplicitEuler(optx.Newton(1e-10, 1e-10)), 10), []),
    "symplectic Euler": (pendulum, []),
    "a neural ODE": (neural_ode, []),
    "an ensemble": (ensemble, []),
    "an event": (until_it_lands, LINEAR),
    "dense output": (dense, []),
    "Euler-Maruyama": (lambda: noisy(dfx.Euler()), []),
    "Milstein": (lambda: noisy(dfx.ItoMilstein()), []),
    "Stratonovich's Heun": (lambda: noisy(dfx.Heun()), []),
    "stochastic Runge-Kutta": (lambda: noisy(dfx.SPaRK(), levy_area=dfx.SpaceTimeLevyArea), []),
    "Langevin": (langevin, []),
    "a neural CDE, linear path": (lambda: controlled(dfx.LinearInterpolation), []),
    "a neural CDE, cubic path": (lambda: controlled(cubic), []),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_diffrax(name):
    make, borrowed = PROGRAMS[name]
    agree(*make(), borrowed)
