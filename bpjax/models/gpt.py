"""A small GPT: token and position embeddings, pre-norm blocks of causal attention and a gelu network, a linear head."""

import jax.numpy as jnp

from .. import nn
from ..functional import gelu, linear_cross_entropy, scaled_dot_product_attention


class Block(nn.Module):
    """x + attention(norm(x)), then x + network(norm(x)). Input and output (N, T, width)."""

    def __init__(self, width: int, heads: int):
        self.heads = heads
        self.norm1, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.out(self.attend(self.qkv(self.norm1(x))))
        return x + self.down(gelu(self.up(self.norm2(x))))

    def attend(self, qkv):
        """Causal attention from (N, T, 3 width)."""
        n, t, _ = qkv.shape
        q, k, v = jnp.moveaxis(qkv.reshape(n, t, 3, self.heads, -1), (2, 3), (0, 2))
        return scaled_dot_product_attention(q, k, v, is_causal=True).swapaxes(1, 2).reshape(n, t, -1)


class GPT(nn.Module):
    """Tokens (N, T) of whole numbers below `vocabulary` -> logits (N, T, vocabulary) for the token that follows each.

    `block` makes a block of a width and a number of heads. With `repeat`, "fast" or "lean", the blocks are one `nn.Repeat` with that
    memory, whose program does not grow with their number.
    """

    def __init__(self, vocabulary=128, length=64, width=64, heads=4, layers=4, *, block=Block, repeat=None):
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        make = lambda: block(width, heads)
        self.blocks = nn.Repeat(make(), layers, repeat) if repeat else nn.Sequential(*(make() for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def features(self, tokens):
        """What the head turns into logits, (N, T, width)."""
        x = self.token(tokens) + self.position(jnp.arange(tokens.shape[1]))
        return self.norm(self.blocks(x))

    def forward(self, tokens):
        return self.head(self.features(tokens))


def language_loss(model):
    """The loss of a GPT as `bpjax.training` takes it: mean cross-entropy of each next token of a batch (N, T + 1).

    It is `F.linear_cross_entropy` of features and head: the logits of all tokens never exist at once.
    """

    def loss(params, batch, *, buffers, rng, train):
        net = model.bind(params, buffers=buffers, train=train, rng=rng)
        features = net.features(batch[:, :-1])
        value = linear_cross_entropy(
            features.reshape(-1, features.shape[-1]), net.head.weight, batch[:, 1:].reshape(-1), linear_bias=net.head.bias
        )
        return value, (net.new_buffers(), {})

    return loss
