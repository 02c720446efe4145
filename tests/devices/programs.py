"""Programs for eight devices, each differentiated by hand and by JAX: `python programs.py` prints a line of JSON for each.

A test process has one device, and how many there are is fixed when JAX wakes: so these run in a process of their own.
"""

import json
import pathlib
import sys

import jax

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402
from jax.sharding import AxisType, NamedSharding, PartitionSpec  # noqa: E402

import bpjax  # noqa: E402
import bpjax.functional as F  # noqa: E402

P = PartitionSpec
rng = np.random.default_rng(0)
AUTO = jax.make_mesh((8,), ("i",), axis_types=(AxisType.Auto,))
GRID = jax.make_mesh((4, 2), ("i", "j"), axis_types=(AxisType.Auto,) * 2)
EXPLICIT = jax.make_mesh((8,), ("i",), axis_types=(AxisType.Explicit,))
RING = [(k, (k + 1) % 8) for k in range(8)]


def normal(*shape):
    return rng.normal(size=shape)


x, w, square = normal(8, 4), normal(4, 4), normal(8, 8)


def stepped(w, x):
    return lax.scan(lambda c, row: (jnp.tanh(c @ w + row), None), x[0], jnp.stack([x[0], 2 * x[0]]))[0]


def chosen(w, x):
    return lax.cond(lax.axis_index("i") > 3, lambda: jnp.sin(x @ w), lambda: x @ w)


def a_mean(w, x):
    return F.linear_cross_entropy(x, w, jnp.arange(x.shape[0]) % 4)


# the function on each device; how its arguments and its result lie
ON_EACH = {
    "psum": (lambda w, x: lax.psum(jnp.sum(jnp.tanh(x @ w)), "i"), (P(), P("i")), P(), (w, x)),
    "pmean": (lambda w, x: lax.pmean(jnp.sum(jnp.tanh(x @ w)), "i"), (P(), P("i")), P(), (w, x)),
    "a split result": (lambda w, x: jnp.tanh(x @ w), (P(), P("i")), P("i"), (w, x)),
    "a replicated part": (lambda w, x: lax.psum((jnp.sin(w).sum() * x).sum(), "i"), (P(), P("i")), P(), (w, x)),
    "all_gather": (lambda w, x: jnp.sin(lax.all_gather(x @ w, "i"))[:, 0] * 2, (P(), P("i")), P("i"), (w, x)),
    "all_gather, tiled": (lambda w, x: jnp.sin(lax.all_gather(x @ w, "i", tiled=True)), (P(), P("i")), P("i"), (w, x)),
    "psum_scatter": (lambda x: lax.psum_scatter(jnp.sin(x), "i", scatter_dimension=1, tiled=True), P("i"), P(None, "i"), (square,)),
    "ppermute": (lambda w, x: jnp.tanh(lax.ppermute(x @ w, "i", RING)) * x, (P(), P("i")), P("i"), (w, x)),
    "ppermute, not all": (lambda x: jnp.tanh(lax.ppermute(x, "i", RING[:3])) + x, P("i"), P("i"), (x,)),
    "all_to_all": (lambda x: jnp.sin(lax.all_to_all(x, "i", 1, 0, tiled=True)), P("i"), P("i"), (square,)),
    "all_to_all, not tiled": (lambda x: jnp.sin(lax.all_to_all(x, "i", 1, 0)), P("i"), P("i"), (square,)),
    "a scan": (lambda w, x: lax.psum(stepped(w, x).sum(), "i"), (P(), P("i")), P(), (w, x)),
    "a branch": (lambda w, x: lax.psum(chosen(w, x).sum(), "i"), (P(), P("i")), P(), (w, x)),
    "a checkpoint": (lambda w, x: lax.psum(jax.checkpoint(lambda x: jnp.sin(x @ w) ** 2)(x).sum(), "i"), (P(), P("i")), P(), (w, x)),
    "an op": (lambda w, x: lax.pmean(F.cross_entropy(F.silu(x @ w), jnp.zeros(1, int)), "i"), (P(), P("i")), P(), (w, x)),
    "a loss in blocks": (lambda w, x: lax.pmean(a_mean(w, x), "i"), (P(), P("i")), P(), (w, x)),
    "columns and rows": (
        lambda w, v, x: lax.psum(jnp.tanh(x @ w) @ v, "i"),
        (P(None, "i"), P("i"), P()),
        P(),
        (normal(4, 8), normal(8, 4), x),
    ),
    "two axes": (lambda w, x: lax.psum(jnp.tanh(x @ w), "j"), (P("j"), P("i", "j")), P("i"), (w, x)),
    "one of two axes": (lambda w, x: lax.psum(jnp.tanh(x @ w), "i"), (P(), P("i")), P(), (w, x)),
}


def on_each(name, check_vma):
    f, in_specs, out_specs, args = ON_EACH[name]
    mesh = GRID if "two axes" in name else AUTO
    return jax.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=check_vma), args


def inside(gradient, check_vma):
    """The gradient taken on each device."""
    total = (lambda g: g) if check_vma else (lambda g: lax.psum(g, "i"))
    of_one = lambda w, x: total(gradient(lambda w: jnp.sum(jnp.tanh(x @ w) ** 2))(w))
    return jax.shard_map(of_one, mesh=AUTO, in_specs=(P(), P("i")), out_specs=P(), check_vma=check_vma)(w, x)


def of_replicated(gradient):
    """REPORTS C3: 28 on each device."""
    f = lambda w, x: gradient(lambda w: (w * x).sum())(w)[None]
    return jax.shard_map(f, mesh=AUTO, in_specs=(P(), P("i")), out_specs=P("i"))(jnp.float64(2), jnp.arange(8.0))


def under_vmap(gradient):
    return jax.vmap(gradient(lambda x: jnp.sum(lax.psum(jnp.sin(x), "b") * x + lax.pmean(x, "b") ** 2)), axis_name="b")(x)


def under_pmap(gradient):
    return jax.pmap(gradient(lambda x: jnp.sum(lax.psum(jnp.sin(x), "b") * x)), axis_name="b")(x)


AROUND = {
    "psum under vmap": lambda x: jax.vmap(lambda x: lax.psum(jnp.sin(x), "b") * x, axis_name="b")(x),
    "all_gather under vmap": lambda x: jax.vmap(lambda x: lax.all_gather(jnp.sin(x), "b") * x, axis_name="b")(x),
    "ppermute under vmap": lambda x: jax.vmap(lambda x: lax.ppermute(jnp.sin(x), "b", RING) * x, axis_name="b")(x),
    "pmap": lambda x: jax.pmap(lambda x: lax.psum(jnp.sin(x), "b") * x, axis_name="b")(x),
}

# of arrays split by rows over an explicit mesh
LAID_OUT = {
    "a layer": lambda w, x: jnp.tanh(x @ w),
    "a sum over devices": lambda w, x: jnp.sum(jnp.tanh(x @ w) ** 2, 0),
    "softmax": lambda w, x: jax.nn.log_softmax(x @ w).mean(),
    "standardised": lambda w, x: (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * w[0],
    "largest": lambda w, x: jnp.max(x @ w, -1),
    "a checkpoint": lambda w, x: jax.checkpoint(lambda x: jnp.sin(x @ w))(x),
    "a scan": lambda w, x: lax.scan(lambda c, _: (jnp.tanh(c @ w), None), x, None, 3)[0],
    "F.linear and F.relu": lambda w, x: F.relu(F.linear(x, w)),
    "F.gelu": lambda w, x: F.gelu(F.linear(x, w)),
    "F.layer_norm": lambda w, x: F.layer_norm(x, (4,), w[0], w[1]),
    "F.batch_norm": lambda w, x: F.batch_norm(x @ w, None, None, training=True),
    "F.cross_entropy": lambda w, x: F.cross_entropy(F.linear(x, w), jnp.arange(8) % 4),
    "F.linear_cross_entropy": a_mean,
    "ops in a scan": lambda w, x: lax.scan(lambda c, _: (F.gelu(F.linear(c, w)), None), x, None, 3)[0],
    "ops in a branch": lambda w, x: lax.cond(w[0, 0] < 9, lambda: F.gelu(F.linear(x, w)), lambda: x),
    "ops in a checkpoint": lambda w, x: jax.checkpoint(lambda x: F.gelu(F.linear(x, w)))(x),
    "ops under vmap": lambda w, x: jax.vmap(lambda x: F.gelu(F.linear(x, w)))(x),
    "F.embedding": lambda w, x: F.embedding(jnp.abs(x).astype(int) % 4, w),
    "F.max_pool1d": lambda w, x: F.max_pool1d((x @ w)[:, None], 2),
    "F.conv1d": lambda w, x: F.conv1d(x[:, None], w[:, None, :3]),
    "F.scaled_dot_product_attention": lambda w, x: F.scaled_dot_product_attention(*[(x @ w)[:, None, :, None]] * 2, x[:, None, :, None]),
}


TIME_FIRST = {"RNN", "LSTM", "GRU", "rnn_tanh", "rnn_relu", "lstm", "gru", "MultiheadAttention", "multi_head_attention_forward"}
TIME_FIRST |= {"TransformerEncoderLayer", "TransformerDecoderLayer", "TransformerEncoder", "TransformerDecoder", "Transformer"}
NOT_LAID_OUT = {  # cases of another batch cannot be made
    "affine_grid": "the batch is in the size that it is given",
    **dict.fromkeys(["CTCLoss", "ctc_loss"], "its lengths are a list"),
    "pad": "the case adds rows to the batch",
    **dict.fromkeys(["FractionalMaxPool2d", "FractionalMaxPool3d"], "its draws are of that batch"),
    **dict.fromkeys(["fractional_max_pool2d_with_indices", "fractional_max_pool3d_with_indices"], "its draws are of that batch"),
}


def layers():
    """Each layer of `nn` and each function of `F`, its batch split over an explicit mesh: a loss, and its arguments."""
    here = pathlib.Path(__file__).parents[1]
    sys.path[:0] = [str(here), str(here / "nn"), str(here / "functional")]
    from module_cases import CASES
    from module_cases.table import BPJAX, differentiated, random_like

    first = {case.name: case for case in reversed(CASES) if case.name not in NOT_LAID_OUT}
    for name, case in first.items():
        axis = 1 if name in TIME_FIRST else 0
        if np.ndim(case.inputs[0]) <= axis:  # no batch
            continue
        batch = np.shape(case.inputs[0])[axis]

        def placed(a):
            """Eightfold along the batch, and split along it."""
            if not isinstance(a, np.ndarray):
                return a
            along = next((i for i in (axis, 0) if a.shape[i : i + 1] == (batch,)), None)
            if along is None:
                return jax.device_put(a, NamedSharding(EXPLICIT, P()))
            return jax.device_put(np.concatenate([a] * 8, along), NamedSharding(EXPLICIT, P(*[None] * along, "i")))

        inputs, more = list(map(placed, case.inputs)), {key: placed(value) for key, value in case.kwargs.items()}
        built, where = case.make(BPJAX), differentiated(case)
        params, buffers, options = {}, {}, {}
        if isinstance(built, bpjax.nn.Module):
            types = [a if a is None else jax.ShapeDtypeStruct(a.shape, a.dtype) for a in inputs]
            start = lambda: (built.init(jax.random.key(0), *types), built.init_buffers())
            params, buffers = start() if case.keep else random_like(jax.eval_shape(start))
            options = {"buffers": buffers, "train": case.modes[-1] == "train"}
            options |= {"rng": jax.random.key(7)} if options["train"] else {}

        def loss(params, floating):
            given = list(inputs)
            for i, a in zip(where, floating):
                given[i] = a
            out = built.apply(params, *given, **more, **options)[0] if options else built(*given, **more)
            return sum(jnp.sum(jnp.sin(y)) for y in jax.tree.leaves(out) if jnp.issubdtype(y.dtype, jnp.floating))

        yield case.id, loss, (params, [inputs[i] for i in where])


def looked_at(f, w, x):
    """The check passes it, and the tools take it."""
    loss = lambda w, x: jnp.sum(f(w, x) ** 2)
    report = bpjax.check_gradients(loss, w, x, argnums=(0, 1))
    incoming = jax.jit(lambda w: bpjax.inspect.health(loss)(w, x).health.incoming)(w)
    is_well = (
        report.ok
        and np.all(np.isfinite(incoming))
        and "linear" in str(bpjax.explain(loss, w, x))
        and "no NaN" in str(bpjax.find_nan(loss, w, x))
    )
    print(json.dumps({"name": f"looked at: {report}", "error": 0.0, "same_type": bool(is_well)}), flush=True)


def compared(name, hand, auto):
    pairs = list(zip(jax.tree.leaves(hand), jax.tree.leaves(auto), strict=True))
    scale = max(float(jnp.max(jnp.abs(a))) for _, a in pairs)
    error = max(float(np.max(np.abs(np.asarray(h) - np.asarray(a)))) for h, a in pairs) / (scale or 1.0)
    same_type = all(h.sharding.is_equivalent_to(a.sharding, a.ndim) and str(jax.typeof(h)) == str(jax.typeof(a)) for h, a in pairs)
    print(json.dumps({"name": name, "error": error, "same_type": same_type}), flush=True)


def pulled(vjp, f, args, dy):
    return vjp(f, *args)[1](dy)


def vjps(name, f, args):
    y = f(*args)
    dy = jax.device_put(normal(*y.shape), y.sharding)
    compared(name, pulled(bpjax.vjp, f, args, dy), pulled(jax.vjp, f, args, dy))
    in_jit = lambda vjp: jax.jit(lambda args: pulled(vjp, f, args, dy))(args)
    compared(f"{name}, under jit", in_jit(bpjax.vjp), in_jit(jax.vjp))


def main(kind):
    if kind in ("checked", "unchecked"):
        is_checked = kind == "checked"
        for name in ON_EACH:
            vjps(name, *on_each(name, is_checked))
        compared("grad on each device", inside(bpjax.grad, is_checked), inside(jax.grad, is_checked))
        f, args = on_each("psum", is_checked)
        second = lambda gradient: gradient(lambda w: jnp.sum(gradient(f)(w, args[1]) ** 2))(args[0])
        compared("second derivatives", second(bpjax.grad), second(jax.grad))
    elif kind == "around":
        compared("of a replicated value", of_replicated(bpjax.grad), of_replicated(jax.grad))
        compared("grad under vmap", under_vmap(bpjax.grad), under_vmap(jax.grad))
        compared("grad under pmap", under_pmap(bpjax.grad), under_pmap(jax.grad))
        for name, f in AROUND.items():
            vjps(name, f, (jnp.asarray(x),))
    elif kind == "layers":
        with jax.set_mesh(EXPLICIT):
            for name, loss, args in layers():
                gradients = lambda grad: jax.jit(grad(loss, (0, 1)))(*args)
                compared(name, gradients(bpjax.grad), gradients(jax.grad))
    else:
        with jax.set_mesh(EXPLICIT):
            args = (jax.device_put(w, NamedSharding(EXPLICIT, P())), jax.device_put(x, NamedSharding(EXPLICIT, P("i"))))
            for name, f in LAID_OUT.items():
                vjps(name, f, args)
            looked_at(LAID_OUT["ops in a scan"], *args)


if __name__ == "__main__":
    main(sys.argv[1])
