"""The written backward passes need fewer temporary bytes than `jax.grad` of the formulas: the models of the benchmark, small."""

import jax
import jax.numpy as jnp
import pytest

import bpjax
from benchmarks.workloads import WORKLOADS
from bpjax import nn

OF_KIND = {w.kind: w for w in WORKLOADS}
SMALL = {  # kind, sizes: hand / jax.grad, at most: a little more than JAX 0.10 and 0.12 have, whichever needs more
    "MLP, ReLU": ("mlp", {"activation": "relu", "layers": 8, "width": 128, "batch": 256}, 0.55),
    "MLP, GELU": ("mlp", {"activation": "gelu", "layers": 8, "width": 128, "batch": 256}, 0.70),
    "CNN": ("cnn", {"width": 8, "batch": 8}, 0.55),
    "ResNet-18": ("resnet18", {"batch": 2}, 0.42),
    "depthwise block": ("depthwise", {"channels": 8, "factor": 4, "batch": 4}, 0.80),
    "LSTM": ("lstm", {"vocabulary": 512, "width": 32, "layers": 2, "batch": 4, "length": 64}, 0.60),
    "GPT, many words": ("gpt", {"batch": 1, "length": 512, "vocabulary": 8192, "width": 32, "heads": 2, "layers": 2}, 0.20),
    "GPT, long": ("gpt", {"batch": 1, "length": 1024, "vocabulary": 512, "width": 32, "heads": 2, "layers": 2}, 0.13),
    "GPT, repeated": ("gpt", {"batch": 1, "length": 256, "vocabulary": 512, "width": 32, "heads": 2, "layers": 6, "repeat": "fast"}, 0.27),
}


def temporary_bytes(value_and_grad, kind, **sizes):
    problem = OF_KIND[kind].make(**sizes)
    program = jax.jit(value_and_grad(problem.loss)).lower(problem.params, *problem.data).compile()
    return program.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("name", SMALL)
def test_fewer_bytes_than_jax_grad(name):
    kind, sizes, goal = SMALL[name]
    hand, auto = (temporary_bytes(v, kind, **sizes) for v in (bpjax.value_and_grad, jax.value_and_grad))
    assert hand <= goal * auto, f"{hand:,} bytes, {hand / auto:.3f} of {auto:,}"


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_lean_recurrent_layer_keeps_no_gates(kind):
    x = jnp.ones((64, 8, 16))

    def of(value_and_grad, memory):
        model = getattr(nn, kind)(16, 32, 2, memory=memory)
        program = jax.jit(value_and_grad(lambda params, x: model.apply(params, x)[0].sum()))
        return program.lower(model.init(jax.random.key(0)), x).compile().memory_analysis().temp_size_in_bytes

    lean, fast, auto = of(bpjax.value_and_grad, "lean"), of(bpjax.value_and_grad, "fast"), of(jax.value_and_grad, "fast")
    assert lean <= 0.85 * fast and fast <= auto


@pytest.mark.parametrize(("heads", "length"), [(2, 1024), (4, 2048)])
def test_the_memory_of_attention_grows_with_the_length_alone(heads, length):
    sizes = {"batch": 1, "vocabulary": 256, "width": 32, "heads": heads, "layers": 2}
    short, long = (temporary_bytes(bpjax.value_and_grad, "gpt", length=n, **sizes) for n in (length, 2 * length))
    assert long <= 2.2 * short
