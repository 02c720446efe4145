"""A small GPT: token and position embeddings, pre-norm blocks of causal attention and a gelu network, a linear head."""

import jax.numpy as jnp

from .. import nn
from ..functional import cross_entropy, gelu, softmax


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
        """Causal scaled dot-product attention from (N, T, 3 width)."""
        n, t, _ = qkv.shape
        q, k, v = jnp.moveaxis(qkv.reshape(n, t, 3, self.heads, -1), (2, 3), (0, 2))
        scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
        causal = jnp.tril(jnp.ones((t, t), bool))
        y = softmax(jnp.where(causal, scores, -jnp.inf), dim=-1) @ v
        return y.swapaxes(1, 2).reshape(n, t, -1)


class GPT(nn.Module):
    """Tokens (N, T) of whole numbers below `vocabulary` -> logits (N, T, vocabulary) for the token that follows each."""

    def __init__(self, vocabulary: int = 128, length: int = 64, width: int = 64, heads: int = 4, layers: int = 4):
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, tokens):
        x = self.token(tokens) + self.position(jnp.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def language_loss(model):
    """The loss of a GPT as `bpjax.training` takes it: mean cross-entropy of each next token of a batch (N, T + 1)."""

    def loss(params, batch, *, buffers, rng, train):
        logits, buffers = model.apply(params, batch[:, :-1], buffers=buffers, train=train, rng=rng)
        return cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1)), (buffers, {})

    return loss
