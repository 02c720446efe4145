"""The Transformer: encoder, decoder and both."""

import copy

import jax.numpy as jnp

from .. import functional as F
from ..functional._shared.checks import refuse
from . import init
from .attention import MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm


class TransformerEncoderLayer(Module):
    """Self-attention, then a network of two linear maps, each added to its input and normalised.

    x ← norm1(x + attention(x)), x ← norm2(x + network(x)); with `norm_first` x ← x + attention(norm1(x)), x ← x + network(norm2(x)).
    Dropout follows the attention, the activation and the second linear map. `activation` is "relu", "gelu" or a function.

    Shapes: src (S, N, d_model), with `batch_first` (N, S, d_model), or (S, d_model), kept. Masks as in `MultiheadAttention`.
    Backward: that of its parts.
    Errors: those of its parts; ValueError for an activation of another name.
    Source: https://arxiv.org/abs/1706.03762, https://pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.TransformerEncoderLayer(4, 2, dim_feedforward=8)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((3, 2, 4))).shape
    (3, 2, 4)
    """

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        *,
        dtype=None,
    ):
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype)
        self.norm_first = norm_first
        self.norm1, self.norm2 = (LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype) for _ in range(2))
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.activation = _activation(type(self).__name__, activation)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        def attend(x):
            return self.dropout1(_attended(self.self_attn, x, x, src_mask, src_key_padding_mask, is_causal))

        def network(x):
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        return _residual(src, [(self.norm1, attend), (self.norm2, network)], self.norm_first)


class TransformerDecoderLayer(Module):
    """Self-attention, attention to the encoder's output, then a network of two linear maps, each added to its input and normalised.

    As `TransformerEncoderLayer`, with the attention to `memory` in the middle (multihead_attn, norm2, dropout2).

    Shapes: tgt (T, N, d_model) and memory (S, N, d_model), with `batch_first` (N, T, d_model) and (N, S, d_model), or without N -> as tgt.
    Masks as in `MultiheadAttention`.
    Backward: that of its parts.
    Errors: those of its parts; ValueError for an activation of another name.
    Source: https://arxiv.org/abs/1706.03762, https://pytorch.org/docs/stable/generated/torch.nn.TransformerDecoderLayer.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.TransformerDecoderLayer(4, 2, dim_feedforward=8)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((3, 2, 4)), jnp.ones((5, 2, 4))).shape
    (3, 2, 4)
    """

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        *,
        dtype=None,
    ):
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype)
        self.norm_first = norm_first
        self.norm1, self.norm2, self.norm3 = (LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype) for _ in range(3))
        self.dropout1, self.dropout2, self.dropout3 = Dropout(dropout), Dropout(dropout), Dropout(dropout)
        self.activation = _activation(type(self).__name__, activation)

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=False,
        memory_is_causal=False,
    ):
        def attend(x):
            return self.dropout1(_attended(self.self_attn, x, x, tgt_mask, tgt_key_padding_mask, tgt_is_causal))

        def remember(x):
            return self.dropout2(_attended(self.multihead_attn, x, memory, memory_mask, memory_key_padding_mask, memory_is_causal))

        def network(x):
            return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        return _residual(tgt, [(self.norm1, attend), (self.norm2, remember), (self.norm3, network)], self.norm_first)


class TransformerEncoder(Module):
    """num_layers copies of a layer one after the other, each with parameters of its own, then `norm`.

    Where PyTorch starts all copies with the same numbers, each starts with its own. `enable_nested_tensor` and `mask_check` are accepted
    and mean nothing here.

    Shapes: those of the layer, kept. With `is_causal` True `mask` must be the causal mask; None and False say nothing.
    Backward: that of the layers, from the last to the first.
    Errors: those of the layer.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, dim_feedforward=8), 2)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((3, 2, 4))).shape
    (3, 2, 4)
    """

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        self.layers, self.num_layers, self.norm = _copies("TransformerEncoder", encoder_layer, num_layers), num_layers, norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        output = src
        for layer in self.layers:
            output = layer(output, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return output if self.norm is None else self.norm(output)


class TransformerDecoder(Module):
    """num_layers copies of a layer one after the other, each with parameters of its own, then `norm`.

    Where PyTorch starts all copies with the same numbers, each starts with its own.

    Shapes: those of the layer, as tgt. With `tgt_is_causal` True `tgt_mask` must be the causal mask; None and False say nothing.
    Backward: that of the layers, from the last to the first.
    Errors: those of the layer.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.TransformerDecoder.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, dim_feedforward=8), 2)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((3, 2, 4)), jnp.ones((5, 2, 4))).shape
    (3, 2, 4)
    """

    def __init__(self, decoder_layer, num_layers, norm=None):
        self.layers, self.num_layers, self.norm = _copies("TransformerDecoder", decoder_layer, num_layers), num_layers, norm

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        output = tgt
        for layer in self.layers:
            output = layer(
                output,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )
        return output if self.norm is None else self.norm(output)


class Transformer(Module):
    """An encoder of the source and a decoder of the target that attends to it; both end in a LayerNorm.

    All matrices are Xavier uniform at first, also those of a custom_encoder or custom_decoder.

    Shapes: src (S, N, d_model) and tgt (T, N, d_model), with `batch_first` (N, S, d_model) and (N, T, d_model), or without N -> as tgt.
    Masks as in `MultiheadAttention`: src_mask (S, S), tgt_mask (T, T), memory_mask (T, S), or (N nhead, ...) of these; the padding masks
    (N, S), (N, T) and (N, S).
    Backward: that of its parts.
    Errors: those of its parts; ValueError where src and tgt do not have d_model features, or one batch.
    Source: https://arxiv.org/abs/1706.03762, https://pytorch.org/docs/stable/generated/torch.nn.Transformer.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.Transformer(4, 2, 1, 1, dim_feedforward=8)
    >>> mask = model.generate_square_subsequent_mask(3)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((5, 2, 4)), jnp.ones((3, 2, 4)), tgt_mask=mask, tgt_is_causal=True).shape
    (3, 2, 4)
    """

    def __init__(
        self,
        d_model=512,
        nhead=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        custom_encoder=None,
        custom_decoder=None,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        *,
        dtype=None,
    ):
        def stack(kind, layer_kind, num_layers):
            layer = layer_kind(
                d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, dtype=dtype
            )
            return kind(layer, num_layers, LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype))

        if custom_encoder is None:
            custom_encoder = stack(TransformerEncoder, TransformerEncoderLayer, num_encoder_layers)
        if custom_decoder is None:
            custom_decoder = stack(TransformerDecoder, TransformerDecoderLayer, num_decoder_layers)
        self.encoder, self.decoder = custom_encoder, custom_decoder
        for _, parameter in self.named_parameters():
            if len(parameter.shape) > 1 and parameter.source is None:
                parameter.init = init.xavier_uniform
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def forward(
        self,
        src,
        tgt,
        src_mask=None,
        tgt_mask=None,
        memory_mask=None,
        src_key_padding_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        src_is_causal=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        source, target = self._shape(src), self._shape(tgt)
        batch = slice(0, 1) if self.batch_first else slice(1, 2)
        is_one_batch = len(source) != 3 or source[batch] == target[batch]
        if not is_one_batch or {source[-1:], target[-1:]} != {(self.d_model,)}:
            raise ValueError(f"expected src and tgt of {self.d_model} features and one batch, got shapes {source} and {target}")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz, *, dtype=None):
        """The causal mask (sz, sz) to add: 0 up to the diagonal, -∞ above."""
        name = "generate_square_subsequent_mask"
        refuse(name, (not hasattr(sz, "__index__") or sz < 0) and f"sz must be a whole number, not negative, got {sz!r}")
        is_floating = dtype is None or jnp.issubdtype(dtype, jnp.floating)
        refuse(name, not is_floating and f"dtype must be floating-point, got {jnp.dtype(dtype)}", kind=TypeError)
        return jnp.triu(jnp.full((sz, sz), -jnp.inf, dtype), 1)


def _attended(attention, x, memory, mask, key_padding_mask, is_causal):
    return attention(x, memory, memory, key_padding_mask=key_padding_mask, need_weights=False, attn_mask=mask, is_causal=is_causal)[0]


def _residual(x, blocks, norm_first):
    """Each block added to its input, which is normalised first, or the sum is."""
    for norm, block in blocks:
        x = x + block(norm(x)) if norm_first else norm(x + block(x))
    return x


def _copies(name, layer, n):
    refuse(name, not hasattr(n, "__index__") and f"num_layers must be a whole number, got {n!r}", kind=TypeError)
    return ModuleList(copy.deepcopy(layer) for _ in range(n))


def _activation(name, activation):
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise ValueError(f"{name}: activation must be 'relu', 'gelu' or a function, got {activation!r}")
    return getattr(F, activation)
