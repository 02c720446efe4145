"""XOR with 2 inputs, 4 hidden units and 1 output: back-propagation written out, by bpjax.grad and by jax.grad. All three are equal.

The printed loss is mean((y - output)^2) before the epoch's update; the update follows the gradient of 1/2 sum((y - output)^2).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import bpjax
import bpjax.nn.functional as F

X = [[0, 0], [0, 1], [1, 0], [1, 1]]
Y = [[0], [1], [1], [0]]


def initial(rng, input_size=2, hidden_size=4, output_size=1):
    """Weights from a standard normal, biases 0."""
    first, second = jax.random.split(rng)
    return {
        "weights_input_hidden": jax.random.normal(first, (input_size, hidden_size)),
        "bias_hidden": jnp.zeros((1, hidden_size)),
        "weights_hidden_output": jax.random.normal(second, (hidden_size, output_size)),
        "bias_output": jnp.zeros((1, output_size)),
    }


def sigmoid_derivative(y):
    """In terms of the sigmoid's output."""
    return y * (1 - y)


def layer(x, weights, bias):
    return F.sigmoid(F.linear(x, weights.T, bias[0]))


def layer_in_numpy(x, weights, bias):
    return 1 / (1 + np.exp(-(x @ weights + bias)))


def feedforward(p, X, layer=layer):
    hidden = layer(X, p["weights_input_hidden"], p["bias_hidden"])
    return hidden, layer(hidden, p["weights_hidden_output"], p["bias_output"])


def loss(p, X, y):
    return jnp.sum((y - feedforward(p, X)[1]) ** 2) / 2


def explicit(p, X, y, layer=layer):
    """The gradient of `loss`, written out: a delta for each unit, layer by layer."""
    hidden, output = feedforward(p, X, layer)
    output_delta = (y - output) * sigmoid_derivative(output)
    hidden_delta = output_delta @ p["weights_hidden_output"].T * sigmoid_derivative(hidden)
    return {
        "weights_input_hidden": -X.T @ hidden_delta,
        "bias_hidden": -hidden_delta.sum(0, keepdims=True),
        "weights_hidden_output": -hidden.T @ output_delta,
        "bias_output": -output_delta.sum(0, keepdims=True),
    }


@functools.partial(jax.jit, static_argnames=("epochs", "gradient", "record"))
def train(p, X, y, epochs, learning_rate, gradient, record=lambda p: ()):
    """All epochs in one compiled call. Returns the weights, the loss before each update, and `record` of the weights after each."""

    def epoch(p, _):
        value = jnp.mean((y - feedforward(p, X)[1]) ** 2)
        p = jax.tree.map(lambda w, dw: w - learning_rate * dw, p, gradient(p, X, y))
        return p, (value, record(p))

    p, (losses, recorded) = jax.lax.scan(epoch, p, length=epochs)
    return p, losses, recorded


def train_in_numpy(p, X, y, epochs, learning_rate, on_epoch=lambda p, value: None):
    """The same mathematics in plain NumPy, one epoch after another."""
    p = {name: np.array(w) for name, w in p.items()}
    for _ in range(epochs):
        value = np.mean((y - feedforward(p, X, layer_in_numpy)[1]) ** 2)
        for name, dw in explicit(p, X, y, layer_in_numpy).items():
            p[name] -= learning_rate * dw
        on_epoch(p, value)
    return p


class NeuralNetwork:
    """As the article has it, with the derivative to choose."""

    def __init__(self, input_size, hidden_size, output_size, seed=0, gradient=explicit):
        self.params, self.gradient = initial(jax.random.key(seed), input_size, hidden_size, output_size), gradient

    def feedforward(self, X):
        return feedforward(self.params, X)[1]

    def backward(self, X, y, learning_rate):
        self.params = jax.tree.map(lambda w, dw: w - learning_rate * dw, self.params, self.gradient(self.params, X, y))

    def train(self, X, y, epochs, learning_rate):
        self.params, losses, _ = train(self.params, X, y, epochs, learning_rate, self.gradient)
        for epoch in range(0, epochs, 4000):
            print(f"Epoch {epoch}, Loss:{losses[epoch]}")
        return losses


GRADIENTS = {"written out": explicit, "bpjax.grad": bpjax.grad(loss), "jax.grad": jax.grad(loss)}


def run(epochs=10_000, seed=0):
    """Train three times from the same weights; returns the predictions of each."""
    predictions = {}
    with jax.enable_x64(True):
        X_, y = jnp.array(X, float), jnp.array(Y, float)
        for name, gradient in GRADIENTS.items():
            print(name)
            network = NeuralNetwork(2, 4, 1, seed, gradient)
            network.train(X_, y, epochs, 0.1)
            predictions[name] = np.asarray(network.feedforward(X_))
            print(f"Predictions after training:\n{predictions[name]}")
    return predictions


def main():
    a, b, c = run().values()
    print(f"largest difference between the three: {max(abs(a - b).max(), abs(a - c).max()):.1e}")


if __name__ == "__main__":
    main()
