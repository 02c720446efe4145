"""A train step, and many of them in one compiled call."""

import contextlib
import functools
import re
from collections.abc import Callable, Mapping
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
    donate: bool = True,
) -> Callable:
    """A jitted step `(state, batch) -> (state, metrics)` that gives its state's memory away (donates it).

    Args:
        loss: `(params, batch, *, buffers, rng, train) -> (value, (buffers, metrics))`, with `metrics` a dict of arrays.
        optimizer: any of optax's; `optax.sgd(0.1)` if left out. One that takes extra arguments gets `value`, `grad` and `value_fn`, a
            function of the parameters alone whose derivative is `gradient`'s; also `obj_fn`, the same, and `grad_fn`.
        gradient: `bpjax.value_and_grad` for the written backward passes, `jax.value_and_grad` for automatic ones.
        watch: whether the metrics also hold `health`, a `bpjax.inspect.Health` from the same sweep; it costs nothing when off.
        donate: False leaves the old state alive beside the new one, for twice the memory. Where True, every array of the old state is
            deleted, under any name: to keep the first parameters, copy them, `jax.tree.map(jnp.copy, params)`. An array that stands
            twice in the state, or in the batch too, is copied before it is given away.

    The metrics are the loss function's own and `loss`, its value before the update, where no metric has that name.
    Errors: ValueError where `watch` is asked of another gradient than the written one, or meets a metric called `health`; TypeError for a
    loss that returns anything else; RuntimeError for a state or a batch with an array that an earlier step deleted.

    >>> import jax, jax.numpy as jnp, optax
    >>> from bpjax.training import TrainState, make_train_step
    >>> def loss(params, batch, *, buffers, rng, train):
    ...     return jnp.sum((params - batch) ** 2), (buffers, {})
    >>> state = TrainState(params=jnp.zeros(2), buffers={}, opt_state=optax.sgd(0.5).init(0.), step=jnp.array(0), rng=jax.random.key(0))
    >>> state, metrics = make_train_step(loss, optax.sgd(0.5))(state, jnp.array([1.0, 2.0]))
    >>> state.params.tolist(), float(metrics["loss"])
    ([1.0, 2.0], 5.0)
    """
    return _jitted(_step(loss, optax.sgd(0.1) if optimizer is None else optimizer, gradient, watch), donate)


def run_steps(
    loss: Callable,
    optimizer: optax.GradientTransformation | None = None,
    gradient: Callable = engine.value_and_grad,
    watch: bool = False,
    donate: bool = True,
) -> Callable:
    """A jitted runner `(state, batches) -> (state, metrics)`: one scan over the leading axis of every leaf of `batches`.

    Takes what `make_train_step` takes, and takes the same steps; the metrics are stacked over them.
    """
    step = _step(loss, optax.sgd(0.1) if optimizer is None else optimizer, gradient, watch)
    return _jitted(functools.partial(jax.lax.scan, step), donate)


def _jitted(steps: Callable, donate: bool) -> Callable:
    """The steps under `jit`, with a look at their arrays before each call."""
    jitted = jax.jit(steps, donate_argnums=(0,) if donate else ())

    def call(state: TrainState, batch: Any) -> tuple[TrainState, dict]:
        _refuse_deleted(state=state, batch=batch)
        return jitted(_each_its_own(state, batch) if donate else state, batch)

    call.trace, call.lower, call.eval_shape = jitted.trace, jitted.lower, jitted.eval_shape
    return call


def _refuse_deleted(**trees: Any) -> None:
    for name, tree in trees.items():
        if not any(map(engine.is_deleted, jax.tree.leaves(tree))):
            continue
        path = next(path for path, leaf in jax.tree_util.tree_leaves_with_path(tree) if engine.is_deleted(leaf))
        raise RuntimeError(
            f"{name}{jax.tree_util.keystr(path)} is an array that has been deleted: an earlier step took its memory. Go on with the state "
            "that the step returned, keep a copy from before it, jax.tree.map(jnp.copy, params), or make the step with donate=False"
        )


def _each_its_own(state: TrainState, batch: Any) -> TrainState:
    """The state with a copy of each array whose memory stands earlier in it, or in the batch: XLA takes no buffer twice."""
    met = {place for leaf in jax.tree.leaves(batch) if (place := _place_in_memory(leaf)) is not None}

    def own(leaf: Any) -> Any:
        place = _place_in_memory(leaf)
        if place is not None and place in met:
            return jnp.copy(leaf)
        met.add(place)
        return leaf

    return jax.tree.map(own, state)


def _place_in_memory(leaf: Any) -> int | None:
    """Where an array lies; two arrays of JAX may share one place. None for what is no array of JAX."""
    if not isinstance(leaf, jax.Array):
        return None
    with contextlib.suppress(Exception):  # traced, or split over devices: then by its identity
        return leaf.unsafe_buffer_pointer()
    return id(leaf)


def _step(loss: Callable, optimizer: optax.GradientTransformation, gradient: Callable, watch: bool) -> Callable:
    if watch and gradient is not engine.value_and_grad:
        raise ValueError("watch=True reads the sweep of the written backward passes: leave gradient= at bpjax.value_and_grad")

    def step(state: TrainState, batch: Any) -> tuple[TrainState, dict]:
        rng, health = jax.random.fold_in(state.rng, state.step), None

        def of_step(params: Any, batch: Any, *, buffers: Any) -> tuple:
            returned = loss(params, batch, buffers=buffers, rng=rng, train=True)
            _check_returned(returned, buffers, watch)
            return returned

        if watch:
            value, grads, health, (buffers, metrics) = inspect.health(of_step, has_aux=True)(state.params, batch, buffers=state.buffers)
            if health.without_rule:
                raise engine.NoRuleError(f"no backward rule for {', '.join(health.without_rule)}: watch=False says what to write there")
        else:
            (value, (buffers, metrics)), grads = gradient(of_step, has_aux=True)(state.params, batch, buffers=state.buffers)
        chex.assert_shape(value, ())
        chex.assert_trees_all_equal_shapes_and_dtypes(grads, state.params)
        value_of = lambda params: of_step(params, batch, buffers=state.buffers)[0]
        value_fn = engine.as_custom_vjp(value_of) if gradient is engine.value_and_grad else value_of
        extra = {"value": value, "grad": grads, "value_fn": value_fn, "obj_fn": value_fn, "grad_fn": lambda p, _: gradient(value_of)(p)[1]}
        updates, opt_state = _updates(optimizer, grads, state, extra)
        params = optax.apply_updates(state.params, updates)
        state = state.replace(params=params, buffers=buffers, opt_state=opt_state, step=state.step + 1)
        metrics = {"loss": value, **metrics}
        return state, metrics | {"health": health.with_updates(updates, grads)} if watch else metrics

    return step


def _check_returned(returned: Any, buffers: Any, watch: bool) -> None:
    """Refuses what is not `(value, (buffers, metrics))`."""
    match returned:
        case (_, (new, Mapping() as metrics)):
            if jax.tree.structure(new) != jax.tree.structure(buffers):
                raise TypeError(
                    "a loss returns (value, (buffers, metrics)), and its buffers in the form in which it got them: expected "
                    f"{_told(buffers)}, got {_told(new)}"
                )
            if watch and "health" in metrics:
                raise ValueError("watch=True writes a metric called 'health', and the loss has one of that name: call it otherwise")
        case _:
            raise TypeError(
                f"a loss returns (value, (buffers, metrics)), with metrics a dict of arrays; this one returned {_told(returned)}"
            )


def _told(x: Any) -> str:
    """What is there, in a few words."""
    if isinstance(x, tuple | list):
        return f"({', '.join(map(_told, x))})"
    if isinstance(x, Mapping):
        return f"a dict of {', '.join(map(repr, x))}" if x else "an empty dict"
    return f"an array of shape {jnp.shape(x)}" if hasattr(x, "shape") else f"{type(x).__name__}"


def _updates(optimizer: optax.GradientTransformation, grads: Any, state: TrainState, extra: dict) -> tuple:
    """The optimizer's updates and its new state."""
    several = isinstance(optimizer, optax.MultiSteps)
    update = optimizer.update if several else optax.with_extra_args_support(optimizer).update
    while True:
        try:
            return update(grads, state.opt_state, state.params, **extra)
        except TypeError as error:  # optax wants unknown ones ignored, but its sam and its line searches refuse them, also inside a chain
            refused = set(re.findall(r"'(\w+)'", str(error))) if "unexpected keyword argument" in str(error).lower() else set()
            if not refused & extra.keys():
                raise
            extra = {name: value for name, value in extra.items() if name not in refused}
