"""A two-layer classifier, ReLU then softmax, with its back-propagation written out from the ops' own `forward` and `backward`."""

import jax
import jax.numpy as jnp

import bpjax.nn.functional as F


def loss(params, x, labels):
    """The network as one would write it; `jax.grad` and `bpjax.grad` take it as it stands."""
    z1 = F.linear(x, params["W1"], params["b1"])
    h = F.relu(z1)
    z2 = F.linear(h, params["W2"], params["b2"])
    return F.nll_loss(F.log_softmax(z2, dim=-1), labels)


def loss_and_gradient(params, x, labels):
    """The same, forward and back by hand: nothing is differentiated for us."""
    z1, saved1 = F.linear.forward(x, params["W1"], params["b1"])
    h, saved2 = F.relu.forward(z1)
    z2, saved3 = F.linear.forward(h, params["W2"], params["b2"])
    log_p, saved4 = F.log_softmax.forward(z2, dim=-1)
    value, saved5 = F.nll_loss.forward(log_p, labels)

    dlog_p, *_ = F.nll_loss.backward(saved5, jnp.ones_like(value))
    (dz2,) = F.log_softmax.backward(saved4, dlog_p)  # (softmax - one_hot) / N
    dh, dW2, db2 = F.linear.backward(saved3, dz2)
    (dz1,) = F.relu.backward(saved2, dh)
    _, dW1, db1 = F.linear.backward(saved1, dz1)
    return value, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def example_args():
    """Sixteen points around three centres, in as many classes."""
    k1, k2, k3, k4 = jax.random.split(jax.random.key(0), 4)
    params = {
        "W1": jax.random.normal(k1, (8, 2)), "b1": jnp.zeros(8), "W2": jax.random.normal(k2, (3, 8)) / 3, "b2": jnp.zeros(3),
    }  # fmt: skip
    labels = jax.random.randint(k3, (16,), 0, 3)
    centres = jnp.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    return params, centres[labels] + 0.3 * jax.random.normal(k4, (16, 2)), labels


def train(steps=200, rate=0.2):
    params, x, labels = example_args()

    def step(params, _):
        value, gradient = loss_and_gradient(params, x, labels)
        return jax.tree.map(lambda w, dw: w - rate * dw, params, gradient), value

    return jax.jit(lambda params: jax.lax.scan(step, params, length=steps))(params)


def main():
    params, x, labels = example_args()
    value, by_hand = loss_and_gradient(params, x, labels)
    automatic = jax.grad(loss)(params, x, labels)
    for name, gradient in by_hand.items():
        print(f"{name}: largest difference from jax.grad {jnp.abs(gradient - automatic[name]).max():.1e}")
    losses = train()[1]
    print(f"loss {losses[0]:.4f}, after {len(losses)} steps {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
