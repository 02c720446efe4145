"""The lean rules under `jax.grad`, in Equinox and Flax models as they are: an activation, an attention, a loss are handed over.

Prints the temporary bytes of the compiled gradient with the library's own function and with bpjax's, through `bpjax.as_custom_vjp`.
"""

import sys

import jax
import jax.numpy as jnp
import optax

import bpjax
import bpjax.functional as F

try:
    import equinox as eqx
    from flax import nnx
except ModuleNotFoundError as error:
    sys.exit(f"this example needs {error.name}: {sys.executable} -m pip install equinox flax")

gelu = bpjax.as_custom_vjp(F.gelu)
cross_entropy_of_linear = bpjax.as_custom_vjp(F.linear_cross_entropy)


def causal_attention(query, key, value, **_):
    """What Flax calls an attention_fn: arrays (batch, length, heads, features)."""
    attend = bpjax.as_custom_vjp(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))
    return attend(*(a.swapaxes(1, 2) for a in (query, key, value))).swapaxes(1, 2)


def temporary_bytes(loss, *args):
    """What the compiled gradient needs beside its inputs and outputs."""
    return jax.jit(jax.grad(loss)).lower(*args).compile().memory_analysis().temp_size_in_bytes


def of_equinox(activation):
    """An Equinox MLP of 8 layers: `activation` is an argument of it."""
    model = eqx.nn.MLP(64, 64, 256, depth=8, activation=activation, key=jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)
    return temporary_bytes(lambda params, x: jnp.mean(jax.vmap(eqx.combine(params, static))(x) ** 2), params, jnp.ones((512, 64)))


def of_flax(attention_fn):
    """Flax's attention over 1,024 places: `attention_fn` is an argument of it."""
    model = nnx.MultiHeadAttention(4, 64, attention_fn=attention_fn, decode=False, rngs=nnx.Rngs(0))
    graph, params = nnx.split(model, nnx.Param)
    mask = nnx.make_causal_mask(jnp.ones((1, 1024)))
    return temporary_bytes(lambda params, x: jnp.mean(nnx.merge(graph, params)(x, mask=mask) ** 2), params, jnp.ones((1, 1024, 64)))


def of_jax(loss):
    """Plain JAX: the loss of 512 words among 8,192."""
    words = jnp.arange(512) * 13 % 8192
    return temporary_bytes(lambda W, x: loss(x, W, words), jnp.ones((8192, 64)), jnp.ones((512, 64)))


def plain_loss(x, W, words):
    return optax.softmax_cross_entropy_with_integer_labels(x @ W.T, words).mean()


def main():
    rows = {
        "Equinox, 8 layers of gelu": (of_equinox(lambda x: jax.nn.gelu(x, approximate=False)), of_equinox(gelu)),
        "Flax, causal attention": (of_flax(nnx.dot_product_attention), of_flax(causal_attention)),
        "a loss of 8,192 classes": (of_jax(plain_loss), of_jax(cross_entropy_of_linear)),
    }
    print(f"{'temporary bytes under jax.grad':32}{'as it is':>14}{'with a rule':>14}")
    for name, (before, after) in rows.items():
        print(f"{name:32}{before:14,}{after:14,}   {after / before:.2f}")
    return rows


if __name__ == "__main__":
    main()
