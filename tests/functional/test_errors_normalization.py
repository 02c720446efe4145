"""What the norms, distances and reparametrizations refuse, and what they say: the words that stand between dots."""

import re

import jax
import jax.numpy as jnp
import pytest

import bpjax.functional as F
from bpjax import nn
from bpjax.nn.utils import parametrizations

inf = float("inf")


def ones(*shape, dtype=jnp.float32):
    return jnp.ones(shape, dtype)


def half(*shape):
    return ones(*shape, dtype=jnp.bfloat16)


def whole(*shape):
    return ones(*shape, dtype=jnp.int32)


def train(module, *inputs):
    params, buffers = module.init(jax.random.key(0)), module.init_buffers()
    return module.apply(params, *inputs, buffers=buffers, train=True)


VALUES = {
    "batch_norm: ...(N, C, *)...(4,)": lambda: F.batch_norm(ones(4), None, None, training=True),
    "batch_norm: ...(3,)...(2,)": lambda: F.batch_norm(ones(4, 3), ones(2), ones(3)),
    "batch_norm: ...weight of shape (3,)...(1, 3)": lambda: F.batch_norm(ones(4, 3), None, None, ones(1, 3), None, True),
    "batch_norm: ...bias of shape (3,)...(4,)": lambda: F.batch_norm(ones(4, 3), None, None, None, ones(4), True),
    "batch_norm: ...both running_mean and running_var": lambda: F.batch_norm(ones(4, 3), ones(3), None, training=True),
    "batch_norm: ...must be given": lambda: F.batch_norm(ones(4, 3), None, None),
    "batch_norm: ...more than 1 value per...(1, 3, 1)": lambda: F.batch_norm(ones(1, 3, 1), None, None, training=True),
    "batch_norm: ...eps must be positive...got 0.0": lambda: F.batch_norm(ones(4, 3), None, None, training=True, eps=0.0),
    "batch_norm: ...eps...-1.0": lambda: F.batch_norm(ones(4, 3), ones(3), ones(3), eps=-1.0),
    "batch_norm_statistics: ...running_var of shape (3,)...(2,)": lambda: F.batch_norm_statistics(ones(4, 3), ones(3), ones(2)),
    "instance_norm: ...(N, C, *)...(4,)": lambda: F.instance_norm(ones(4)),
    "instance_norm: ...more than 1 value...(2, 3)": lambda: F.instance_norm(ones(2, 3)),
    "instance_norm: ...more than 1 value...(2, 3, 1)": lambda: F.instance_norm(ones(2, 3, 1)),
    "instance_norm: ...must be given": lambda: F.instance_norm(ones(2, 3, 4), use_input_stats=False),
    "instance_norm: ...weight of shape (3,)...(4,)": lambda: F.instance_norm(ones(2, 3, 4), weight=ones(4)),
    "instance_norm_statistics: ...running_mean": lambda: F.instance_norm_statistics(ones(4, 3, 2), ones(1), ones(3)),
    "layer_norm: ...(*, 2, 3)...(3,)": lambda: F.layer_norm(ones(3), (2, 3)),
    "layer_norm: ...at least one axis": lambda: F.layer_norm(ones(3), ()),
    "layer_norm: ...weight of shape (3,)...(2,)...bias of shape (3,)...(1,)": lambda: F.layer_norm(ones(2, 3), (3,), ones(2), ones(1)),
    "rms_norm: ...(*, 2)...(2, 3)...weight of shape (2,)...(3,)": lambda: F.rms_norm(ones(2, 3), (2,), ones(3)),
    "rms_norm: ...(*, 1)...()": lambda: F.rms_norm(ones(), (1,)),
    "group_norm: ...divides C...(4, 5) and 2": lambda: F.group_norm(ones(4, 5), 2),
    "group_norm: ...got (4,)": lambda: F.group_norm(ones(4), 2),
    "group_norm: ...and 0": lambda: F.group_norm(ones(2, 4), 0),
    "group_norm: ...and 2.0": lambda: F.group_norm(ones(2, 4), 2.0),
    "group_norm: ...weight of shape (4,)...(4, 1)": lambda: F.group_norm(ones(2, 4), 2, ones(4, 1)),
    "group_norm: ...more than 1 value...4 groups of (1, 4, 1)": lambda: F.group_norm(ones(1, 4, 1), 4),
    "local_response_norm: ...at least 3 axes...(2, 3)": lambda: F.local_response_norm(ones(2, 3), 2),
    "local_response_norm: ...size must be a positive whole number, got 0": lambda: F.local_response_norm(ones(2, 3, 4), 0),
    "local_response_norm: ...whole number, got 2.5": lambda: F.local_response_norm(ones(2, 3, 4), 2.5),
    "normalize: ...shape (3,)...1": lambda: F.normalize(ones(3)),
    "normalize: ...distinct...(0, -2)": lambda: F.normalize(ones(2, 3), dim=(0, -2)),
    "normalize: ...p=inf...(2, 0)": lambda: F.normalize(ones(2, 0), inf),
    "normalize: ...p must be a number...'x'": lambda: F.normalize(ones(2, 3), "x"),
    "pairwise_distance: ...broadcast...(2, 3) and (2, 4)": lambda: F.pairwise_distance(ones(2, 3), ones(2, 4)),
    "pairwise_distance: ...p=-1...(2, 0)": lambda: F.pairwise_distance(ones(2, 0), ones(2, 0), -1),
    "cosine_similarity: ...broadcast...(2, 3) and (4, 3)": lambda: F.cosine_similarity(ones(2, 3), ones(4, 3)),
    "cosine_similarity: ...shape (3,)...1": lambda: F.cosine_similarity(ones(3), ones(3)),
    "cosine_similarity: ...shape (2, 3), got 1.0": lambda: F.cosine_similarity(ones(2, 3), ones(2, 3), 1.0),
    "pdist: ...(N, D)...(3,)": lambda: F.pdist(ones(3)),
    "pdist: ...p must not be negative...-1": lambda: F.pdist(ones(3, 2), -1),
    "pdist: ...nan": lambda: F.pdist(ones(3, 2), float("nan")),
    "weight_norm: ...g of shape (2, 1)...(2,)": lambda: F.weight_norm(ones(2, 3), ones(2)),
    "weight_norm: ...dim...2": lambda: F.weight_norm(ones(2, 3), ones(2, 1), 2),
    "spectral_norm: ...u of shape (2,)...(3,)...v of shape (3,)...(2,)": lambda: F.spectral_norm(ones(2, 3), ones(3), ones(2)),
    "spectral_norm: ...dim...-3": lambda: F.spectral_norm(ones(2, 3), ones(2), ones(3), -3),
    "power_iteration: ...n_power_iterations must be positive, got 0": lambda: F.power_iteration(ones(2, 3), ones(2), ones(3), 0),
    "spectral_norm: ...n_power_iterations must be positive, got 0": lambda: nn.utils.spectral_norm(nn.Linear(2, 3), n_power_iterations=0),
    "spectral_norm: ...dim must be an axis of a parameter of shape (3,), got 1": lambda: parametrizations.spectral_norm(
        nn.ConvTranspose1d(2, 3, 1), "bias"
    ),
    "BatchNorm1d: ...num_features...-1": lambda: nn.BatchNorm1d(-1),
    "BatchNorm2d: ...num_features...2.0": lambda: nn.BatchNorm2d(2.0),
    "BatchNorm1d: ...(N, C) or (N, C, L)...(3,)": lambda: train(nn.BatchNorm1d(3), ones(3)),
    "BatchNorm2d: ...(N, C, H, W)...(2, 3, 4)": lambda: train(nn.BatchNorm2d(3), ones(2, 3, 4)),
    "BatchNorm1d: ...weight of shape (4,)...(3,)": lambda: train(nn.BatchNorm1d(3, track_running_stats=False), ones(2, 4)),
    "BatchNorm1d: ...running_mean of shape (4,)...(3,)": lambda: train(nn.BatchNorm1d(3, affine=False), ones(2, 4)),
    "InstanceNorm1d: ...(N, C, L) or (C, L)...(2, 3, 4, 4)": lambda: train(nn.InstanceNorm1d(3), ones(2, 3, 4, 4)),
    "InstanceNorm2d: ...weight of shape (2,)...(3,)": lambda: train(nn.InstanceNorm2d(3, affine=True), ones(2, 4, 4)),
    "InstanceNorm1d: ...more than 1 value...(1, 3, 1)": lambda: train(nn.InstanceNorm1d(3), ones(3, 1)),
    "LayerNorm: ...normalized_shape...-1": lambda: nn.LayerNorm(-1),
    "RMSNorm: ...normalized_shape...(2.0,)": lambda: nn.RMSNorm((2.0,)),
    "GroupNorm: ...3 and 4": lambda: nn.GroupNorm(3, 4),
    "GroupNorm: ...weight of shape (6,)...(4,)": lambda: train(nn.GroupNorm(2, 4), ones(2, 6, 3)),
}
TYPES = {
    "batch_norm: ...int32": lambda: F.batch_norm(whole(4, 3), None, None, training=True),
    "batch_norm: ...float32, weight bfloat16": lambda: F.batch_norm(ones(4, 3), None, None, half(3), training=True),
    "batch_norm: ...weight float32, bias bfloat16": lambda: F.batch_norm(half(4, 3), None, None, ones(3), half(3), True),
    "instance_norm: ...int32": lambda: F.instance_norm(whole(2, 3, 4)),
    "layer_norm: ...int32": lambda: F.layer_norm(whole(2, 3), (3,)),
    "layer_norm: ...float32, weight bfloat16": lambda: F.layer_norm(ones(2, 3), (3,), half(3)),
    "rms_norm: ...int32": lambda: F.rms_norm(whole(2, 3), (3,)),
    "group_norm: ...bfloat16, weight float16": lambda: F.group_norm(half(2, 4), 2, ones(4, dtype=jnp.float16)),
    "local_response_norm: ...int32": lambda: F.local_response_norm(whole(2, 3, 4), 2),
    "normalize: ...int32": lambda: F.normalize(whole(2, 3)),
    "pairwise_distance: ...x1...bool": lambda: F.pairwise_distance(ones(2, 3, dtype=bool), ones(2, 3)),
    "pairwise_distance: ...x2...complex64": lambda: F.pairwise_distance(ones(2, 3), ones(2, 3, dtype=jnp.complex64)),
    "cosine_similarity: ...int32 and int32": lambda: F.cosine_similarity(whole(2, 3), whole(2, 3)),
    "pdist: ...int32": lambda: F.pdist(whole(2, 3)),
    "weight_norm: ...v float32, g bfloat16": lambda: F.weight_norm(ones(2, 3), half(2, 1)),
    "spectral_norm: ...u bfloat16": lambda: F.spectral_norm(ones(2, 3), half(2), ones(3)),
}


CASES = [(says, call, ValueError) for says, call in VALUES.items()] + [(says, call, TypeError) for says, call in TYPES.items()]


@pytest.mark.parametrize(("says", "call", "kind"), CASES, ids=[c[0] for c in CASES])
def test_refuses(says, call, kind):
    with pytest.raises(kind, match="^" + ".*".join(map(re.escape, says.split("...")))):
        call()
