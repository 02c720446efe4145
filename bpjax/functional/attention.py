"""Attention: of scaled dot products, and of several heads."""

import math
import numbers

import jax.numpy as jnp
from jax import lax

from ..engine import in_memory, op
from ._shared import attention_blocks as blocks
from ._shared.attention_grid import Grid, block_size, in_band
from ._shared.checks import are_arrays, floating, one_dtype, refuse
from ._shared.sizes import is_whole
from .dropout import dropout
from .linear import linear


@op(static=("dropout_p", "is_causal", "scale", "enable_gqa", "local_window_size"))
def scaled_dot_product_attention(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    *,
    scale=None,
    enable_gqa=False,
    local_window_size=None,
    rng=None,
):
    """o = P v, P = softmax(s q kᵀ + mask) along the keys, s = 1/√E where `scale` is None; after dropout o = (P m / (1 - p)) v.

    Shapes: query (*, L, E), key (*, S, E), value (*, S, Ev), leading axes broadcast -> (*, L, Ev). attn_mask broadcasts to (*, L, S): a
    boolean one is True where a query may attend, a floating one is added. With `is_causal` query i attends to the keys up to i. With
    `enable_gqa` key and value may have fewer heads (axis -3) than the query, each of them for as many of its heads in a row. With
    `local_window_size` (l, r), or one number for both, query i attends to the keys from i - l to i + r (JAX's argument; PyTorch has none).
    A query that may attend to nothing gives 0. `rng` is the dropout's key (PyTorch's is hidden). Lower precisions are summed in float32.
    Backward: from q, k, v, o and L = log Σ exp of each row, the scores S being recomputed, in blocks of about 128 queries and keys, 256
    where there are many, so that memory grows with L + S; blocks that `is_causal` or `local_window_size` empty are passed over:
    P = exp(S - L);  dv = Pᵀ do;  dP = do vᵀ;  dS = P (dP - Σ do o);  dq = s dS k;  dk = s dSᵀ q;  dmask = dS;  with dropout P and dP in the
    first two are times m / (1 - p), m drawn again. Heads that share a key are one longer sequence of queries, so that nothing is repeated.
    Errors: ValueError where shapes, mask or options do not fit, or dropout has no rng; TypeError for several dtypes, or integers.
    Source: https://arxiv.org/abs/1706.03762, https://arxiv.org/abs/2205.14135,
    https://pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> v = jnp.array([[0.0], [1.0]])
    >>> F.scaled_dot_product_attention(jnp.ones((2, 3)), jnp.ones((2, 3)), v, is_causal=True).tolist()
    [[0.0], [0.5]]
    """
    leading = _checked(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa, local_window_size, rng)
    grid = _grid(query, key, leading, is_causal, local_window_size)
    row, column = jnp.arange(grid.L)[:, None], jnp.arange(grid.S)
    S = blocks.scores(query, key, attn_mask, _scale(scale, query), leading, in_band(row, column, grid.low, grid.high))
    m = blocks.whole_dropout_mask(dropout_p, rng, leading, grid) if dropout_p else None
    return blocks.times(blocks.dropped(_softmax(S), dropout_p, m).astype(value.dtype), value).astype(query.dtype)


@scaled_dot_product_attention.def_forward
def _(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa, local_window_size, rng):
    leading = _checked(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa, local_window_size, rng)
    grid = _grid(query, key, leading, is_causal, local_window_size)
    options = {"p": dropout_p, "scale": _scale(scale, query), "leading": leading, "grid": grid}
    o, lse = blocks.forward(query, key, value, attn_mask, rng, **options)
    o = o.astype(query.dtype)
    return o, {"arrays": (query, key, value, attn_mask, rng), "o": o, "lse": lse, "options": options}


@scaled_dot_product_attention.def_backward
def _(saved, do):
    q, k, v, mask, rng = saved["arrays"]
    q, k, rng, do = _apart(saved["options"]["grid"], q, k, rng, do)
    given = q, k, v, mask, rng, saved["o"], saved["lse"], do
    dmask = None if mask is None or mask.dtype == bool else blocks.d_mask(*given, **saved["options"])
    return *blocks.backward(*given, **saved["options"]), dmask, None


@scaled_dot_product_attention.def_recompute
def _(saved):
    return saved["o"]


def _apart(grid, *arrays):
    """The same arrays behind a barrier: or XLA would merge their scores with the forward's, and keep those.

    XLA:CPU keeps them anyhow where the pairs of blocks are too few for a loop: it takes the barrier away, and makes both at once.
    """
    is_flat = len(grid.squares(1)[0]) < 2 * blocks.AT_A_TIME
    return in_memory(*arrays) if is_flat else lax.optimization_barrier(arrays)


def _grid(q, k, leading, is_causal, window):
    """The blocks, and which keys are allowed for a query."""
    left, right = window if isinstance(window, tuple) else (window, window)
    high = 0 if is_causal else right
    L, S = q.shape[-2], k.shape[-2]
    return Grid(L, S, None if left is None else -left, high, block_size(leading, L, S))


def _checked(q, k, v, mask, p, is_causal, scale, enable_gqa, window, rng):
    """The leading axes of the output, once everything fits."""
    name = "scaled_dot_product_attention"
    are_arrays(name, "query", "key", "value", query=q, key=k, value=v, attn_mask=mask)
    flags = {"is_causal": is_causal, "enable_gqa": enable_gqa}
    refuse(
        name,
        not isinstance(p, numbers.Real) and f"dropout_p must be a number, got {p!r}",
        scale is not None and not isinstance(scale, numbers.Real) and f"scale must be a number or None, got {scale!r}",
        *(f"{n} must be True or False, got {v!r}" for n, v in flags.items() if not isinstance(v, bool)),
        kind=TypeError,
    )
    floating(name, query=q)
    one_dtype(name, query=q, key=k, value=v)
    least, least_of_mask = 3 if enable_gqa else 2, 2 if q.ndim == 4 else 0
    shapes = f"query {q.shape}, key {k.shape}, value {v.shape}"
    refuse(name, min(q.ndim, k.ndim, v.ndim) < least and f"expected at least {least} axes, got {shapes}")
    fits = not enable_gqa or all(a.shape[-3] and q.shape[-3] % a.shape[-3] == 0 for a in (k, v))
    served = [a.shape[:-3] + q.shape[-3:-2] if enable_gqa else a.shape[:-2] for a in (k, v)]
    leading = _broadcast(q.shape[:-2], *served)
    scores = None if leading is None else (*leading, q.shape[-2], k.shape[-2])
    refuse(
        name,
        q.shape[-1] != k.shape[-1] and f"query and key must have one last axis, got {shapes}",
        k.shape[-2] != v.shape[-2] and f"key and value must have one length (axis -2), got {shapes}",
        not fits and f"the heads (axis -3) of key and value must divide those of the query, got {shapes}",
        leading is None and f"the leading axes do not broadcast (enable_gqa={enable_gqa}), got {shapes}",
        _wrong_type("attn_mask", mask, q.dtype),
        mask is not None and scores is not None and (mask.ndim < least_of_mask or _broadcast(mask.shape, scores) != scores)
        and f"attn_mask must broadcast to {scores} from at least {least_of_mask} axes, got shape {mask.shape}",
        mask is not None and is_causal and "give either attn_mask or is_causal=True",
        not 0 <= p <= 1 and f"dropout_p must lie in [0, 1], got {p}",
        window is not None and not _is_window(window)
        and f"local_window_size must be a whole number of at least 0, a pair (left, right) of them, or None, got {window!r}",
        p and rng is None and "dropout needs rng=, a key such as jax.random.key(0)",
    )  # fmt: skip
    return leading


def _is_window(window):
    pair = window if isinstance(window, tuple) else (window,) * 2
    return len(pair) == 2 and all(is_whole(n) and n >= 0 for n in pair)


def _wrong_type(name, mask, dtype):
    """What is wrong with the dtype of a mask for queries of this dtype."""
    fitting = dict.fromkeys(("bool", "float32", str(dtype)))
    return mask is not None and str(mask.dtype) not in fitting and f"{name} must be of {' or '.join(fitting)}, got {mask.dtype}"


def _broadcast(*shapes):
    """What the shapes broadcast to, or None."""
    try:
        return jnp.broadcast_shapes(*shapes)
    except ValueError:
        return None


def _scale(scale, q):
    return 1 / math.sqrt(max(q.shape[-1], 1)) if scale is None else scale


def _softmax(S):
    """The softmax along the last axis, 0 for a row of -∞."""
    m = lax.stop_gradient(S).max(-1, keepdims=True, initial=-jnp.inf)
    e = jnp.exp(S - jnp.where(m == -jnp.inf, 0, m))
    s = e.sum(-1, keepdims=True)
    return e / jnp.where(s == 0, 1, s)


@op
def _attention_weights(scores):
    """P = softmax(S) along the last axis, 0 for a row of -∞.  Backward: dS = P (dP - Σ P dP)."""
    return _softmax(scores)


@_attention_weights.def_forward
def _(scores):
    P = _softmax(scores)
    return P, {"P": P}


@_attention_weights.def_backward
def _(saved, dP):
    P = saved["P"]
    return (P * (dP - (P * dP).sum(-1, keepdims=True)),)


def multi_head_attention_forward(
    query,
    key,
    value,
    embed_dim_to_check,
    num_heads,
    in_proj_weight,
    in_proj_bias,
    bias_k,
    bias_v,
    add_zero_attn,
    dropout_p,
    out_proj_weight,
    out_proj_bias,
    training=True,
    key_padding_mask=None,
    need_weights=True,
    attn_mask=None,
    use_separate_proj_weight=False,
    q_proj_weight=None,
    k_proj_weight=None,
    v_proj_weight=None,
    static_k=None,
    static_v=None,
    average_attn_weights=True,
    is_causal=False,
    *,
    rng=None,
):
    """Attention of several heads: y = [head_1, ..., head_H] W_oᵀ + b_o, head_h = attention(q W_qᵀ + b_q, k W_kᵀ + b_k, v W_vᵀ + b_v)_h.

    `in_proj_weight` (3E, E) holds W_q, W_k and W_v, or with `use_separate_proj_weight` they come apart; `in_proj_bias` (3E,) the three
    biases. `bias_k` and `bias_v` (1, 1, E) are appended to keys and values, as are zeros with `add_zero_attn`. `static_k` and `static_v`
    (N H, S, E/H) take the place of projected keys and values.

    Shapes: query (L, N, E), key (S, N, kdim), value (S, N, vdim), or all without N -> output (L, N, E), and the weights (N, L, S), averaged
    over the heads, or (N, H, L, S); None without `need_weights`. key_padding_mask (N, S), attn_mask (L, S) or (N H, L, S): boolean ones are
    True where attention is *not* allowed (the opposite of `scaled_dot_product_attention`), floating ones are added. `is_causal` says that
    attn_mask is the causal mask; without weights and key_padding_mask that mask is then not read.
    A query that may attend to nothing has weights 0, with `need_weights` too (PyTorch: NaN there). `rng` is the key of the dropout.
    Backward: of `linear` and `scaled_dot_product_attention`; with `need_weights` of the softmax and the products in its place.
    Errors: ValueError where shapes, masks or options do not fit; TypeError for several dtypes, or integers.
    Source: https://arxiv.org/abs/1706.03762, https://pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> x, W = jnp.ones((3, 1, 2)), jnp.ones((6, 2))
    >>> y, weights = F.multi_head_attention_forward(x, x, x, 2, 1, W, None, None, None, False, 0.0, jnp.eye(2), None)
    >>> y.shape, weights.shape
    ((3, 1, 2), (1, 3, 3))
    """
    separate = {"q_proj_weight": q_proj_weight, "k_proj_weight": k_proj_weight, "v_proj_weight": v_proj_weight}
    projections = separate if use_separate_proj_weight else {"in_proj_weight": in_proj_weight}
    rows = {"query": query, "key": key, "value": value}
    biases = {"in_proj_bias": in_proj_bias, "bias_k": bias_k, "bias_v": bias_v}
    statics = {"static_k": static_k, "static_v": static_v}
    masks = {"key_padding_mask": key_padding_mask, "attn_mask": attn_mask}
    _check_heads(rows, projections, biases, statics, masks, embed_dim_to_check, num_heads, out_proj_weight, out_proj_bias, is_causal)
    is_batched = query.ndim == 3
    if not is_batched:
        query, key, value = _each_once(lambda a: a[:, None], query, key, value)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask[None]
    N, E = query.shape[1:]
    q, k, v = _in_projection(query, key, value, tuple(projections.values()), in_proj_bias)
    if bias_k is not None:
        k, v = (jnp.concatenate([a, jnp.broadcast_to(b, (1, N, E))]) for a, b in ((k, bias_k), (v, bias_v)))
    q, k, v = (a.reshape(len(a), N, num_heads, E // num_heads).transpose(1, 2, 0, 3) for a in (q, k, v))
    k, v = (a if s is None else s.reshape(N, num_heads, *s.shape[1:]) for a, s in ((k, static_k), (v, static_v)))
    if add_zero_attn:
        k, v = (jnp.pad(a, [(0, 0), (0, 0), (0, 1), (0, 0)]) for a in (k, v))

    p = dropout_p if training else 0.0
    is_causal = bool(is_causal) and key_padding_mask is None and not need_weights
    added = (bias_k is not None) + bool(add_zero_attn)
    mask = None if is_causal else _merged(attn_mask, key_padding_mask, N, num_heads, added, query.dtype)
    if need_weights:
        weights = _attention_weights(blocks.scores(q, k, mask, _scale(None, q), q.shape[:2], None)).astype(q.dtype)
        weights = dropout(weights, p, rng=rng)
        output = blocks.times(weights, v).astype(q.dtype)
        weights = weights.mean(1) if average_attn_weights else weights
    else:
        output, weights = scaled_dot_product_attention(q, k, v, mask, p, is_causal, rng=rng), None
    output = linear(output.transpose(2, 0, 1, 3).reshape(query.shape), out_proj_weight, out_proj_bias)
    if is_batched:
        return output, weights
    return output[:, 0], None if weights is None else weights[0]


def _check_heads(rows, projections, biases, statics, masks, embed_dim, heads, out_proj_weight, out_proj_bias, is_causal):
    """Refuse what `multi_head_attention_forward` cannot take."""
    name = "multi_head_attention_forward"
    query, key, value = rows.values()
    outward = {"out_proj_weight": out_proj_weight}
    are_arrays(name, *rows, *outward, **rows, **outward, **projections, **biases, **statics, **masks, out_proj_bias=out_proj_bias)
    missing = [n for n, w in projections.items() if w is None]
    refuse(
        name,
        {a.ndim for a in rows.values()} not in ({2}, {3}) and "expected query, key and value all (length, batch, features) or all "
        f"(length, features), got {', '.join(f'{n} {a.shape}' for n, a in rows.items())}",
        missing and f"expected {', '.join(missing)}, got None",
        (biases["bias_k"] is None) != (biases["bias_v"] is None) and "give both bias_k and bias_v, or neither",
        heads < 1 and f"num_heads must be positive, got {heads}",
    )  # fmt: skip
    floating(name, query=query)
    one_dtype(name, **rows, **projections, **biases, **statics, **outward, out_proj_bias=out_proj_bias)
    E, L, N = embed_dim, query.shape[0], query.shape[1:-1]
    NH = math.prod(N) * heads
    S, S_of_values = (s.shape[1] if s is not None and s.ndim == 3 else a.shape[0] for a, s in zip((key, value), statics.values()))
    is_packed = "in_proj_weight" in projections
    kdim, vdim = (E, E) if is_packed else (key.shape[-1], value.shape[-1])
    weights = {"in_proj_weight": (3 * E, E), "q_proj_weight": (E, E), "k_proj_weight": (E, kdim), "v_proj_weight": (E, vdim)}
    expected = {
        "query": (query, (L, *N, E)),
        "key": (key, (key.shape[0], *N, kdim)),
        "value": (value, (key.shape[0], *N, vdim)),
        **{n: (w, weights[n]) for n, w in projections.items()},
        "in_proj_bias": (biases["in_proj_bias"], (3 * E,)),
        "bias_k": (biases["bias_k"], (1, 1, E)),
        "bias_v": (biases["bias_v"], (1, 1, E)),
        "static_k": (statics["static_k"], (NH, S, E // heads)),
        "static_v": (statics["static_v"], (NH, S, E // heads)),
        "key_padding_mask": (masks["key_padding_mask"], (*N, S)),
        "attn_mask": (masks["attn_mask"], (L, S), (NH, L, S)),
    }
    refuse(
        name,
        E % heads and f"embed_dim={E} must be divisible by num_heads={heads}",
        *(
            a is not None and a.shape not in fitting and f"expected {n} of shape {' or '.join(map(str, fitting))}, got {a.shape}"
            for n, (a, *fitting) in expected.items()
        ),
        statics["static_v"] is None and S_of_values != S and f"keys and values must have one length, got {S} and {S_of_values}",
        *(_wrong_type(n, m, query.dtype) for n, m in masks.items()),
        biases["bias_k"] is not None and any(s is not None for s in statics.values()) and "bias_k cannot be appended to static_k, static_v",
        is_causal and masks["attn_mask"] is None and "is_causal=True says that attn_mask is causal: give it, for example "
        "nn.Transformer.generate_square_subsequent_mask(L)",
    )  # fmt: skip


def _each_once(f, *arrays):
    """f of each array; arrays that are one stay one."""
    made = {id(a): f(a) for a in arrays}
    return [made[id(a)] for a in arrays]


def _in_projection(query, key, value, weights, bias):
    """Queries, keys and values; what is projected from one array in one product."""
    E = query.shape[-1]
    if len(weights) == 1:
        (W,) = weights
        if query is key and key is value:
            return jnp.split(linear(query, W, bias), 3, -1)
        weights = jnp.split(W, 3)
        if key is value:
            bias_q, bias_kv = (None, None) if bias is None else (bias[:E], bias[E:])
            return linear(query, W[:E], bias_q), *jnp.split(linear(key, W[E:], bias_kv), 2, -1)
    biases = [None] * 3 if bias is None else jnp.split(bias, 3)
    return [linear(*each) for each in zip((query, key, value), weights, biases)]


def _merged(attn_mask, key_padding_mask, N, heads, added, dtype):
    """Both masks in one, broadcasting to (N, H, L, S + added), as `scaled_dot_product_attention` takes it; the added keys are free."""
    masks = []
    if attn_mask is not None:
        masks.append(attn_mask if attn_mask.ndim == 2 else attn_mask.reshape(N, heads, *attn_mask.shape[1:]))
    if key_padding_mask is not None:
        masks.append(key_padding_mask[:, None, None])
    masks = [jnp.pad(m, [(0, 0)] * (m.ndim - 1) + [(0, added)]) for m in masks]
    if not masks:
        return None
    if all(m.dtype == bool for m in masks):
        return ~(masks[0] | masks[-1])
    return sum(jnp.where(m, -jnp.inf, jnp.zeros((), dtype)) if m.dtype == bool else m for m in masks)
