"""What the engine costs beside JAX's: plain code, ops marked for the sweep, steps that are watched."""

import jax
import jax.numpy as jnp

import bpjax.nn.functional as F


def plain_losses():
    """Losses in plain jnp, without a layer of bpjax: name, loss, parameters, data."""
    normal = jax.random.normal
    k = jax.random.split(jax.random.key(0), 8)

    def mlp(p, x):
        return jnp.mean(jnp.tanh(jax.nn.relu(x @ p[0]) @ p[1]) ** 2)

    def attention(p, x):
        q, k, v = (x @ w for w in p)
        return jnp.mean((jax.nn.softmax(q @ k.swapaxes(-1, -2) / 8.0) @ v) ** 2)

    def norm(p, x):
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return jnp.mean(jax.nn.gelu((x - mean) / jnp.sqrt(var + 1e-5) * p[0] + p[1]))

    def rnn(p, xs):
        return jnp.mean(jax.lax.scan(lambda h, x: ((h := jnp.tanh(x @ p[0] + h @ p[1].T)), h), jnp.zeros_like(xs[0]), xs)[1] ** 2)

    x = normal(k[0], (256, 128))
    square = [normal(a, (128, 128)) / 12 for a in k[1:4]]
    yield "mlp", mlp, square[:2], x
    yield "attention", attention, square, normal(k[4], (8, 64, 128))
    yield "layer norm, gelu", norm, [jnp.ones(128), jnp.zeros(128)], x
    yield "rnn scan", rnn, square[:2], normal(k[5], (32, 16, 128))


def marked_losses():
    """A loss as a function of how an op is called: name, loss(call), parameters, data."""
    x, *ws = jax.random.normal(jax.random.key(0), (4, 256, 256)) / 16

    def network(act):
        def loss(call):
            def of(ws, x):
                for w in ws:
                    x = act(call, x @ w.T)
                return jnp.mean(x**2)

            return of

        return loss

    for name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"):
        yield name, network(lambda call, x, name=name: call(getattr(F, name))(x)), ws, x
    yield "layer_norm", network(lambda call, x: call(F.layer_norm)(x, (256,))), ws, x
    yield "softmax", network(lambda call, x: call(F.softmax)(x, dim=-1)), ws, x
    yield "cross_entropy", lambda call: lambda ws, x: call(F.cross_entropy)(x @ ws[0], jnp.arange(256)), ws, x


def watched_steps():
    """Train steps whose health is watched, and the same without: name, call with, call without."""
    import optax

    from bpjax.models.digits import CNN, classification_loss
    from bpjax.models.gpt import GPT, language_loss
    from bpjax.training import create_state, make_train_step

    def stepping(model, loss, batch, watch):
        optimizer = optax.sgd(0.01)
        step = make_train_step(loss(model), optimizer, watch=watch)
        state = create_state(model, jax.random.key(0), optimizer)

        def call():
            nonlocal state
            state, metrics = step(state, batch)
            return metrics

        return call

    digits = jax.random.normal(jax.random.key(1), (32, 8, 8)), jnp.arange(32) % 10
    tokens = jax.random.randint(jax.random.key(1), (16, 65), 0, 128)
    for name, model, loss, batch in (("digits CNN", CNN(), classification_loss, digits), ("GPT, 4 layers", GPT(), language_loss, tokens)):
        yield name, stepping(model, loss, batch, True), stepping(model, loss, batch, False)


def report(rounds: int):
    """Prints three tables."""
    from _measure import compiled, hand_against_auto, medians, temporary_bytes

    print("Plain jnp code: hand against jax.grad")
    for name, loss, params, x in plain_losses():
        a, b, s, t, ratio = hand_against_auto(loss, params, x, rounds=rounds)
        print(f"  {name:18} {a:12,} {b:12,} {a / max(b, 1):7.3f} {s * 1e6:9.0f} {t * 1e6:9.0f} {ratio:7.3f}")

    print("\nWhat marking an op costs jax.grad: temporary bytes marked and bare")
    for name, loss, params, x in marked_losses():
        marked, bare = (
            temporary_bytes(compiled(jax.grad(loss(call)), params, x)) for call in (lambda op: op, lambda op: getattr(op, "formula", op))
        )
        print(f"  {name:18} {marked:12,} {bare:12,}")

    print("\nA train step with its health watched, and without")
    for name, watched, bare in watched_steps():
        (on, off), (ratio, _) = medians([watched, bare], rounds, 5)
        print(f"  {name:18} {on * 1e3:9.2f} ms {off * 1e3:9.2f} ms {ratio:7.3f}")
