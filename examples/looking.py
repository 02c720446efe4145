"""What a classifier of digits looks at: its gradient with respect to the image, and two backward passes put in its place.

The same trained network, the same forward pass; only what ReLU does to the delta on the way back differs.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import bpjax
from bpjax.inspect import rules
from bpjax.models.digits import CNN, classification_loss
from bpjax.training import create_state, run_steps

ROOT = Path(__file__).resolve().parent.parent
WAYS = {
    "gradient": {},
    "deconvolution": rules.deconvolution(),
    "guided back-propagation": rules.guided_backpropagation(),
}
model = CNN()


def trained(images, labels, steps=300, batch=64):
    """The parameters after some steps of Adam."""
    order = np.random.default_rng(0).integers(len(images), size=(steps, batch))
    state = create_state(model, jax.random.key(0), optax.adam(2e-3))
    state, _ = run_steps(classification_loss(model), optax.adam(2e-3))(state, (images[order], labels[order]))
    return state.params


def score(image, label, params):
    """How strongly the network says that the image shows `label`."""
    return model.apply(params, image[None])[0, label]


def maps(params, images, labels):
    """For each way: how much each pixel adds to the score of the right class, (N, 8, 8)."""
    return {name: jax.vmap(bpjax.grad(score, rules=way), in_axes=(0, 0, None))(images, labels, params) for name, way in WAYS.items()}


def draw(file, images, found):
    """The digits above, what each way shows of them below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, rows = plt.subplots(1 + len(found), len(images), figsize=(1.25 * len(images), 1.35 * (1 + len(found))), layout="constrained")
    for axis in rows.flat:
        axis.set(xticks=[], yticks=[])
    for row, (name, shown) in zip(rows, {"image": images, **found}.items()):
        row[0].set_ylabel("guided" if name.startswith("guided") else name)
        for axis, picture in zip(row, shown):
            limit = np.abs(picture).max()
            axis.imshow(picture, cmap="gray_r" if name == "image" else "RdBu_r", vmin=0 if name == "image" else -limit, vmax=limit)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main(file=ROOT / "runs" / "looking.png"):
    digits = load_digits()
    images, labels = jnp.array(digits.images / 16, jnp.float32), jnp.array(digits.target)
    found = maps(trained(images, labels), images[:8], labels[:8])
    for name, shown in found.items():
        print(f"{name:24} {float((shown < 0).mean()):4.0%} of the pixels speak against the digit")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    draw(file, images[:8], found)
    print(f"written: {file}")


if __name__ == "__main__":
    main()
