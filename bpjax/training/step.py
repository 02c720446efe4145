"""A train step, and many of them in one compiled call."""

import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax

from .. import engine, inspect


@chex.dataclass(frozen=True)
class TrainState:
    """All that a training run carries from step to step.

    Attributes:
        params: what is trained; buffers: what the forward pass updates (BatchNorm's running statistics).
        opt_state: the optimizer's own; step: how many steps were taken; rng: the key from which each step's is folded.
    """

    params: chex.ArrayTree
    buffers: chex.ArrayTree
    opt_state: chex.ArrayTree
    step: chex.Array
    rng: chex.PRNGKey


def create_state(model: Any, rng: chex.PRNGKey, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step, with the model's own initial parameters and buffers.

    Args:
        model: has `init(rng)` and `init_buffers()`, as every `bpjax.nn.Module` does.
        rng: a key of its own for this run; parameters and steps each fold theirs from it.
    """
    init_rng, step_rng = jax.random.split(rng)
    params = model.init(init_rng)
    step = jnp.zeros((), jnp.int32)
    return TrainState(params=params, buffers=model.init_buffers(), opt_state=optimizer.init(params), step=step, rng=step_rng)


def make_train_step(
    loss: Callable,
    optimizer: optax.GradientTransformation | None = None,
    gradient: Callable = engine.value_and_grad,
    watch: bool = False,
) -> Callable:
    """A jitted step `(state, batch) -> (state, metrics)` that gives its state's memory away (donates it).

    Args:
        loss: `(params, batch, *, buffers, rng, train) -> (value, (buffers, metrics))`, with `metrics` a dict of arrays.
        optimizer: any of optax's; `optax.sgd(0.1)` if left out.
        gradient: `bpjax.value_and_grad` for the written backward passes, `jax.value_and_grad` for automatic ones.
        watch: whether the metrics also hold `health`, a `bpjax.inspect.Health` from the same sweep; it costs nothing when off.

    The metrics are the loss function's own and `loss`, its value before the update.
    Errors: ValueError where `watch` is asked of another gradient than the written one.

    >>> import jax, jax.numpy as jnp, optax
    >>> from bpjax.training import TrainState, make_train_step
    >>> def loss(params, batch, *, buffers, rng, train):
    ...     return jnp.sum((params - batch) ** 2), (buffers, {})
    >>> state = TrainState(params=jnp.zeros(2), buffers={}, opt_state=optax.sgd(0.5).init(0.), step=jnp.array(0), rng=jax.random.key(0))
    >>> state, metrics = make_train_step(loss, optax.sgd(0.5))(state, jnp.array([1.0, 2.0]))
    >>> state.params.tolist(), float(metrics["loss"])
    ([1.0, 2.0], 5.0)
    """
    return jax.jit(_step(loss, optax.sgd(0.1) if optimizer is None else optimizer, gradient, watch), donate_argnums=0)


def run_steps(
    loss: Callable,
    optimizer: optax.GradientTransformation | None = None,
    gradient: Callable = engine.value_and_grad,
    watch: bool = False,
) -> Callable:
    """A jitted runner `(state, batches) -> (state, metrics)`: one scan over the leading axis of every leaf of `batches`.

    Takes what `make_train_step` takes, and takes the same steps; the metrics are stacked over them.
    """
    step = _step(loss, optax.sgd(0.1) if optimizer is None else optimizer, gradient, watch)
    return jax.jit(functools.partial(jax.lax.scan, step), donate_argnums=0)


def _step(loss: Callable, optimizer: optax.GradientTransformation, gradient: Callable, watch: bool) -> Callable:
    if watch and gradient is not engine.value_and_grad:
        raise ValueError("watch=True reads the sweep of the written backward passes: leave gradient= at bpjax.value_and_grad")

    def step(state: TrainState, batch: Any) -> tuple[TrainState, dict]:
        rng = jax.random.fold_in(state.rng, state.step)
        of_step, health = functools.partial(loss, rng=rng, train=True), None
        if watch:
            value, grads, health, (buffers, metrics) = inspect.health(of_step, has_aux=True)(state.params, batch, buffers=state.buffers)
        else:
            (value, (buffers, metrics)), grads = gradient(of_step, has_aux=True)(state.params, batch, buffers=state.buffers)
        chex.assert_shape(value, ())
        chex.assert_trees_all_equal_shapes_and_dtypes(grads, state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        state = state.replace(params=params, buffers=buffers, opt_state=opt_state, step=state.step + 1)
        metrics = {**metrics, "loss": value}
        return state, metrics | {"health": health.with_updates(updates)} if watch else metrics

    return step
