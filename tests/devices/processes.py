"""Trains a small convolutional network on digits by hand: `python processes.py PROCESS PROCESSES PORT` prints the losses as JSON.

Each process has four devices of its CPU, or eight where it is alone; the examples of a batch are split over all eight.
"""

import json
import sys

import jax

PROCESS, PROCESSES, PORT = map(int, sys.argv[1:])
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8 // PROCESSES)
if PROCESSES > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{PORT}", PROCESSES, PROCESS)

import numpy as np  # noqa: E402
from jax.sharding import AxisType, NamedSharding, PartitionSpec  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

import bpjax  # noqa: E402
import bpjax.functional as F  # noqa: E402
from bpjax.models.digits import CNN  # noqa: E402

STEPS, BATCH = 12, 128
mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
digits = load_digits()
images, labels = (digits.images / 16).astype(np.float32), digits.target.astype(np.int32)
model = CNN(8)


def own(batch):
    """An array of which each process gives its part."""
    part = np.split(batch, PROCESSES)[PROCESS]
    return jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec("data")), part, batch.shape)


def loss(params, images, labels):
    net = model.bind(params)
    x = F.max_pool2d(F.relu(net.conv2(F.relu(net.conv1(images[:, None])))), 2)
    return F.linear_cross_entropy(x.reshape(len(x), -1), net.fc.weight, labels, linear_bias=net.fc.bias)


@jax.jit
def step(params, images, labels):
    value, gradients = bpjax.value_and_grad(loss)(params, images, labels)
    return value, jax.tree.map(lambda p, g: p - 0.5 * g, params, gradients)


params = jax.device_put(jax.tree.map(np.asarray, model.init(jax.random.key(0))), NamedSharding(mesh, PartitionSpec()))
losses = []
for i in range(STEPS):
    batch = slice(i * BATCH, (i + 1) * BATCH)
    value, params = step(params, own(images[batch]), own(labels[batch]))
    losses.append(float(value))
print(json.dumps({"devices": jax.device_count(), "processes": jax.process_count(), "losses": losses}))
