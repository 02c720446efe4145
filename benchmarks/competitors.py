"""Those who compete: each builds one step of a workload, which is called, timed and asked for its gradients."""

import functools
import importlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import bpjax
from bpjax import interop

from .workloads import Problem, Workload

POLICIES = {
    "nothing": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_saveable,
    "dots without batch": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}
LEARNING_RATE = 0.1


class Competitor(NamedTuple):
    """A step that is ready to run. `gradients` takes what `call` returned; `program` is None where XLA did not compile it."""

    call: Callable[[], Any]
    gradients: Callable[[Any], dict]
    program: Any = None
    compile_seconds: float | None = None
    epochs: int | None = None  # how many steps a call really takes, where that is not the workload's number


class Missing(Exception):
    """Why a competitor is not there."""


def hand(workload: Workload, problem: Problem) -> Competitor:
    return _compiled(workload, problem.loss, problem.params, problem.data, bpjax.value_and_grad, interop.state_dict)


def auto(workload: Workload, problem: Problem) -> Competitor:
    return _compiled(workload, problem.loss, problem.params, problem.data, jax.value_and_grad, interop.state_dict)


def checkpoint(policy: str, workload: Workload, problem: Problem) -> Competitor:
    if problem.checkpointed is None:
        raise Missing("the model has no blocks to recompute")
    loss = problem.checkpointed(POLICIES[policy])
    return _compiled(workload, loss, problem.params, problem.data, jax.value_and_grad, interop.state_dict)


def equinox(workload: Workload, problem: Problem) -> Competitor:
    loss, params, named = _library("equinox", "equinox").opponent(workload, problem)
    return _compiled(workload, loss, params, problem.data, jax.value_and_grad, named)


def flax(workload: Workload, problem: Problem) -> Competitor:
    loss, params, named = _library("flax", "flax").opponent(workload, problem)
    return _compiled(workload, loss, params, problem.data, jax.value_and_grad, named)


def torch_eager(workload: Workload, problem: Problem) -> Competitor:
    epochs = min(workload.steps, 200) if workload.kind == "xor" else workload.steps
    call, named = _library("torch", "torch").opponent(workload, problem, LEARNING_RATE, steps=epochs)
    return Competitor(call, lambda _: named(), epochs=epochs or None)


def torch_compiled(workload: Workload, problem: Problem) -> Competitor:
    library = _library("torch", "torch")
    start = time.perf_counter()
    try:
        call, named = library.compiled(workload, problem)
        call()
    except RuntimeError as error:
        raise Missing(f"torch.compile: {str(error).splitlines()[0]}") from None
    return Competitor(call, lambda _: named(), compile_seconds=time.perf_counter() - start)


def numpy(workload: Workload, problem: Problem) -> Competitor:
    if workload.kind != "xor":
        raise Missing("the article's NumPy code is for XOR alone")
    from examples import xor

    start, X, Y = jax.tree.map(lambda a: np.asarray(a, np.float64), (problem.params, *problem.data))
    return Competitor(lambda: xor.train_in_numpy(start, X, Y, workload.steps, LEARNING_RATE), lambda _: {})


COMPETITORS: dict[str, Callable[[Workload, Problem], Competitor]] = {
    "hand": hand,
    "jax.grad": auto,
    **{f"checkpoint: {policy}": functools.partial(checkpoint, policy) for policy in POLICIES},
    "Equinox": equinox,
    "Flax NNX": flax,
    "PyTorch": torch_eager,
    "torch.compile": torch_compiled,
    "NumPy": numpy,
}


def _library(module: str, package: str):
    try:
        importlib.import_module(package)
    except ImportError:
        raise Missing(f"{package} is not installed") from None
    return importlib.import_module(f".in_{module}", __package__)


def _compiled(workload, loss, params, data, value_and_grad, named) -> Competitor:
    step = jax.jit(_training(workload.steps, value_and_grad(loss)) if workload.steps else value_and_grad(loss))
    start = time.perf_counter()
    program = step.lower(params, *data).compile()
    seconds = time.perf_counter() - start
    return Competitor(lambda: program(params, *data), lambda result: {} if workload.steps else _numbers(named(result[1])), program, seconds)


def _training(steps, value_and_grad):
    """Steps of gradient descent, all on the same data, in one scan: the last loss and the parameters."""

    def train(params, *data):
        def step(params, _):
            value, grads = value_and_grad(params, *data)
            return jax.tree.map(lambda p, g: p - LEARNING_RATE * g, params, grads), value

        params, values = jax.lax.scan(step, params, length=steps)
        return values[-1], params

    return train


def _numbers(named) -> dict:
    return {path: np.asarray(g, np.float64) for path, g in named.items()}


def exact_gradients(problem: Problem) -> dict:
    """The gradients in float64, by the written rules, which take the least memory; the tests hold them to `jax.grad`."""
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: a.astype(jnp.float64) if jnp.issubdtype(a.dtype, jnp.floating) else a, (problem.params, problem.data))
        params, data = jax.tree.map(jnp.asarray, wide)
        return _numbers(interop.state_dict(jax.jit(bpjax.grad(problem.loss))(params, *data)))
