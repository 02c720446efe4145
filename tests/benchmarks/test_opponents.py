"""Each opponent of the benchmark computes what bpjax computes: the same loss and gradients, in float64, at small sizes."""

import functools
import importlib

import jax
import numpy as np
import pytest
from verdict import assert_same, norm

from benchmarks.workloads import WORKLOADS
from bpjax.interop import state_dict

GPT = {"batch": 2, "length": 5, "vocabulary": 11, "width": 8, "heads": 2, "layers": 2}
SIZES = {
    "xor": {},
    "mlp": {"activation": "relu", "layers": 3, "width": 8, "batch": 12},
    "mlp, gelu": {"activation": "gelu", "layers": 3, "width": 8, "batch": 12},
    "cnn": {"width": 2, "batch": 3},
    "resnet18": {"batch": 3},
    "depthwise": {"channels": 3, "factor": 2, "batch": 2},
    "lstm": {"vocabulary": 7, "width": 4, "layers": 2, "batch": 3, "length": 5},
    "gpt": GPT,
    "gpt, repeated": {**GPT, "repeat": "fast"},
}


@functools.cache
def workload_and_problem(case):
    kind = case.split(",")[0]
    workload = next(w for w in WORKLOADS if w.kind == kind)._replace(sizes=SIZES[case])
    problem = workload.make(**workload.sizes)
    if kind == "resnet18":  # fewer pixels: it has the time of all others together
        images, labels = problem.data
        problem = problem._replace(data=(images[..., :8, :8], labels))
    return workload, problem


@functools.cache
def expected(case):
    _, problem = workload_and_problem(case)
    value, grads = jax.jit(jax.value_and_grad(problem.loss))(problem.params, *problem.data)
    return float(value), {name: np.asarray(g) for name, g in state_dict(grads).items()}


def computed(library, case):
    workload, problem = workload_and_problem(case)
    made = importlib.import_module(f"benchmarks.in_{library}").opponent
    if library == "torch":
        call, named = made(workload, problem, steps=0)
        return float(call()), named()
    loss, params, named = made(workload, problem)
    value, grads = jax.jit(jax.value_and_grad(loss))(params, *problem.data)
    return float(value), named(grads)


@pytest.mark.parametrize("case", SIZES)
@pytest.mark.parametrize("library", ["equinox", "flax", "torch"])
def test_loss_and_gradients_are_those_of_bpjax(library, case, x64):
    pytest.importorskip(library)
    value, grads = computed(library, case)
    wanted_value, wanted = expected(case)
    # Flax's attention is jax.nn.dot_product_attention, whose softmax is in float32 whatever the inputs.
    tolerance, absolute = (1e-6, 1e-8) if (library, case.split(",")[0]) == ("flax", "gpt") else (1e-8, 1e-13)
    assert value == pytest.approx(wanted_value, rel=tolerance)
    assert list(grads) == list(wanted)
    assert_same(grads.values(), wanted.values(), dy_size=max(map(norm, wanted.values())), relative=tolerance, absolute=absolute)


def test_torch_descends_as_jax_does(x64):
    torch = pytest.importorskip("benchmarks.in_torch")
    workload, problem = workload_and_problem("xor")
    call, named = torch.opponent(workload, problem, learning_rate=0.5, steps=3)
    value_and_grad, params = jax.jit(jax.value_and_grad(problem.loss)), problem.params
    for _ in range(3):
        value, grads = value_and_grad(params, *problem.data)
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, grads)
    assert float(call()) == pytest.approx(float(value), rel=1e-8)
    wanted = state_dict(grads).values()
    assert_same(named().values(), wanted, dy_size=max(map(norm, wanted)), relative=1e-8)
