"""Train a digits model to the end, by hand on five splits and automatically on the first; print what test_scripts.py asserts.

A program of its own: the tests' XLA flags would make training slow.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np

import bpjax
from bpjax.models.digits import MODELS

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
from test_scripts import train  # noqa: E402


def main(name):
    net, (lr, epochs) = MODELS[name](), train.RECIPES[name]

    def predicted(gradient, seed):
        data = train.digits(seed)
        _, state, _ = train.fit(net, gradient, train.make_optimizer("sgd", lr), data, epochs=epochs, batch=32, seed=seed)
        return train.predictions(net, state, data[1][0]), data[1][1]

    runs = [predicted(bpjax.value_and_grad, seed) for seed in range(5)]
    automatic, _ = predicted(jax.value_and_grad, 0)
    accuracies = [float(np.mean(said == labels)) for said, labels in runs]
    print(json.dumps({"accuracies": accuracies, "differing": int((runs[0][0] != automatic).sum())}))


if __name__ == "__main__":
    main(sys.argv[1])
