"""Modules of attention."""

import numbers

from .. import functional as F
from ..functional._shared.checks import refuse
from . import init
from .linear import Linear
from .module import Module, Parameter


class MultiheadAttention(Module):
    """Attention of several heads, each on its part of the projected features.

    Shapes: query (L, N, embed_dim), key (S, N, kdim), value (S, N, vdim), with `batch_first` (N, L, embed_dim) and so on, or all without N
    -> the output in the shape of query, and the weights (N, L, S), averaged over the heads, or (N, num_heads, L, S) without
    `average_attn_weights`; None without `need_weights`. key_padding_mask (N, S), attn_mask (L, S) or (N num_heads, L, S): boolean ones
    are True where attention is *not* allowed, floating ones are added.
    Parameters: in_proj_weight (3 embed_dim, embed_dim), or q_proj_weight, k_proj_weight, v_proj_weight where kdim or vdim differ;
    in_proj_bias (3 embed_dim,), bias_k and bias_v (1, 1, embed_dim), out_proj. The projections are Xavier uniform at first, biases 0.
    Formula and backward: see `bpjax.functional.multi_head_attention_forward`; without `need_weights`, which is leaner,
    `bpjax.functional.scaled_dot_product_attention`.
    Errors: those of the function; ValueError for sizes that do not fit, and where apply(..., train=True) with dropout has no rng.
    Source: https://arxiv.org/abs/1706.03762, https://pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model, x = nn.MultiheadAttention(4, 2, batch_first=True), jnp.ones((2, 3, 4))
    >>> output, weights = model.apply(model.init(jax.random.key(0)), x, x, x)
    >>> output.shape, weights.shape
    ((2, 3, 4), (2, 3, 3))
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        dropout=0.0,
        bias=True,
        add_bias_kv=False,
        add_zero_attn=False,
        kdim=None,
        vdim=None,
        batch_first=False,
        *,
        dtype=None,
    ):
        sizes = {"embed_dim": embed_dim, "num_heads": num_heads, "kdim": kdim, "vdim": vdim}
        sizes = {n: size for n, size in sizes.items() if size is not None or n in ("embed_dim", "num_heads")}
        wrong = [f"{n} must be a whole number, got {size!r}" for n, size in sizes.items() if not hasattr(size, "__index__")]
        wrong += [] if isinstance(dropout, numbers.Real) else [f"dropout must be a number, got {dropout!r}"]
        refuse("MultiheadAttention", *wrong, kind=TypeError)
        refuse(
            "MultiheadAttention",
            (embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads)
            and f"embed_dim and num_heads must be positive, and embed_dim divisible by num_heads, got {embed_dim} and {num_heads}",
            *(f"{n} must not be negative, got {sizes[n]}" for n in ("kdim", "vdim") if sizes.get(n, 0) < 0),
            not 0 <= dropout <= 1 and f"dropout must lie in [0, 1], got {dropout}",
        )
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = (embed_dim if dim is None else dim for dim in (kdim, vdim))
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        is_packed = self.kdim == self.vdim == embed_dim
        projections = {
            "in_proj_weight": is_packed and (3 * embed_dim, embed_dim),
            "q_proj_weight": not is_packed and (embed_dim, embed_dim),
            "k_proj_weight": not is_packed and (embed_dim, self.kdim),
            "v_proj_weight": not is_packed and (embed_dim, self.vdim),
        }
        for name, shape in projections.items():
            setattr(self, name, Parameter(shape, init.xavier_uniform, dtype) if shape else None)
        self.in_proj_bias = Parameter((3 * embed_dim,), 0.0, dtype) if bias else None
        self.bias_k = Parameter((1, 1, embed_dim), init.xavier_normal, dtype) if add_bias_kv else None
        self.bias_v = Parameter((1, 1, embed_dim), init.xavier_normal, dtype) if add_bias_kv else None
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        if bias:
            self.out_proj.bias = Parameter((embed_dim,), 0.0, dtype)

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True, is_causal=False
    ):
        swap = self.batch_first and all(len(self._shape(a)) == 3 for a in (query, key, value))
        if swap:
            swapped = {id(a): a.swapaxes(0, 1) for a in (query, key, value)}  # one array stays one: it is then projected in one product
            query, key, value = (swapped[id(a)] for a in (query, key, value))
        drops = self.training and self.dropout > 0
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=drops,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=self.in_proj_weight is None,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            rng=self.next_key() if drops else None,
        )
        return output.swapaxes(0, 1) if swap else output, weights
