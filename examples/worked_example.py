"""A 2-2-1 network by hand: every quantity of an introductory article's worked example, as printed there and as it is.

Inputs 0.35 and 0.7, sigmoid units 3 and 4, output unit 5, no biases, target 0.5, learning rate 1. The article's
delta = (target - y) y (1 - y) is the negative gradient of L = 1/2 (target - y)^2 at a unit's weighted sum.
"""

import jax
import jax.numpy as jnp

import bpjax
import bpjax.nn.functional as F
from bpjax import nn

ARTICLE = {
    "a1": "0.21", "a2": "0.315", "y3": "0.56, 0.57", "y4": "0.59, 0.56", "a3": "0.702", "y5": "0.67", "error": "-0.17",
    "delta5": "-0.0376", "delta3": "-0.0027", "delta4": "-0.0819", "new w23": "0.877816", "new w13": "0.086615", "new w11": "0.200945",
    "new w12": "0.273225", "new w21": "0.269445", "new w22": "0.18534", "then y3": "0.57", "then y4": "0.56", "then y5": "0.61",
    "then error": "-0.11",
}  # fmt: skip


class Network(nn.Module):
    def __init__(self):
        self.hidden = nn.Linear(2, 2, bias=False)
        self.output = nn.Linear(2, 1, bias=False)

    def forward(self, x):
        a_hidden = self.hidden(x)
        y_hidden = F.sigmoid(a_hidden)
        a_output = self.output(y_hidden)
        return F.sigmoid(a_output), (a_hidden, y_hidden, a_output)


network = Network()
x, target = [0.35, 0.7], 0.5
start = {"hidden": {"weight": [[0.2, 0.2], [0.3, 0.3]]}, "output": {"weight": [[0.3, 0.9]]}}  # weight[to, from]


def loss(params):
    y, inside = network.apply(params, jnp.array(x))
    return jnp.sum((target - y) ** 2) / 2, (y, *inside)


def example_args():
    return (jax.tree.map(jnp.array, start, is_leaf=lambda w: isinstance(w, list)),)


def update(params, gradient):
    """Gradient descent at rate 1."""
    return jax.tree.map(jnp.subtract, params, gradient)


def quantities():
    """Every quantity of the article's table, computed in float64."""
    with jax.enable_x64(True):
        (params,) = example_args()
        result = bpjax.backprop(loss, has_aux=True)(params)
        y, a_hidden, y_hidden, a_output = result.aux
        delta_hidden, delta_output = -result.deltas["hidden"], -result.deltas["output"]
        new = update(params, result.grads)
        then_y, _, then_hidden, _ = loss(new)[1]
        (w11, w21), (w12, w22) = new["hidden"]["weight"]
        ((w13, w23),) = new["output"]["weight"]
        values = {
            "a1": a_hidden[0], "a2": a_hidden[1], "y3": y_hidden[0], "y4": y_hidden[1], "a3": a_output[0], "y5": y[0],
            "error": target - y[0], "delta5": delta_output[0], "delta3": delta_hidden[0], "delta4": delta_hidden[1],
            "new w23": w23, "new w13": w13, "new w11": w11, "new w12": w12, "new w21": w21, "new w22": w22,
            "then y3": then_hidden[0], "then y4": then_hidden[1], "then y5": then_y[0], "then error": target - then_y[0],
        }  # fmt: skip
        return {name: float(value) for name, value in values.items()}


def updates_until(*limits):
    """After how many updates |error| first falls below each limit."""
    with jax.enable_x64(True):
        (params,) = example_args()

        def step(params, _):
            gradient, (y, *_) = bpjax.grad(loss, has_aux=True)(params)
            return update(params, gradient), jnp.abs(target - y[0])

        _, errors = jax.jit(lambda params: jax.lax.scan(step, params, length=200))(params)  # errors[n]: after n updates
        return [int(jnp.argmax(errors < limit)) for limit in limits]


def main():
    print(f"{'quantity':12} {'article':>12} {'computed':>12}")
    for name, value in quantities().items():
        print(f"{name:12} {ARTICLE[name]:>12} {value:12.6f}")
    first, second = updates_until(0.01, 0.001)
    print(f"|error| falls below 0.01 after {first} updates, below 0.001 after {second}")


if __name__ == "__main__":
    main()
