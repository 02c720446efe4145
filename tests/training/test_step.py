import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import bpjax
from bpjax.models.digits import MODELS, classification_loss
from bpjax.training import TrainState, create_state, make_train_step, run_steps

GRADIENTS = {"hand": bpjax.value_and_grad, "auto": jax.value_and_grad}
EXTRA_ARGS = {
    "reduce_on_plateau": optax.chain(optax.sgd(0.1), contrib.reduce_on_plateau(patience=0)),
    "reduce_on_plateau, every second step": optax.MultiSteps(optax.chain(optax.sgd(0.1), contrib.reduce_on_plateau(patience=0)), 2),
    "momo": contrib.momo(),
    "momo_adam": contrib.momo_adam(),
    "polyak_sgd": optax.polyak_sgd(),
    "backtracking_linesearch": optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(5, store_grad=True)),
    "zoom_linesearch": optax.chain(optax.sgd(1.0), optax.scale_by_zoom_linesearch(5)),
    "lbfgs": optax.lbfgs(),
    "lbfgs, inside apply_if_finite": optax.apply_if_finite(optax.lbfgs(), 3),
    "prodigy": contrib.prodigy(),
    "sophia": contrib.sophia(1e-2),
    "sam": contrib.sam(optax.sgd(0.1), optax.sgd(0.05)),
    "sam, opaque": contrib.sam(optax.sgd(0.1), optax.sgd(0.05), opaque_mode=True),
    "sam, in a chain": optax.chain(optax.clip(1.0), contrib.sam(optax.sgd(0.1), optax.sgd(0.05))),
}
WANTED = {  # what each is handed in optax's own examples, where that is not value, grad and value_fn
    **dict.fromkeys(("sam", "sam, in a chain"), ()),
    "sophia": ("obj_fn",),
    "sam, opaque": ("grad_fn",),
}
OPTIMIZERS = {"sgd": optax.sgd(0.1), "momentum": optax.sgd(0.1, momentum=0.9), "adam": optax.adam(1e-3)}


def batches(n=3, size=4):
    images = jax.random.normal(jax.random.key(7), (n, size, 8, 8))
    return images, jax.random.randint(jax.random.key(8), (n, size), 0, 10)


def at(tree, i):
    return jax.tree.map(lambda a: a[i], tree)


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_one_scan_takes_the_steps_of_single_calls(gradient, optimizer):
    model = MODELS["mlp"](8)
    loss, optimizer = classification_loss(model), OPTIMIZERS[optimizer]
    one = create_state(model, jax.random.key(0), optimizer)
    many, metrics = run_steps(loss, optimizer, GRADIENTS[gradient])(create_state(model, jax.random.key(0), optimizer), batches())
    step = make_train_step(loss, optimizer, GRADIENTS[gradient])
    for i in range(3):
        one, m = step(one, at(batches(), i))
        chex.assert_trees_all_close(m, at(metrics, i), rtol=1e-6)
    chex.assert_trees_all_close(one.params, many.params, rtol=1e-5, atol=1e-7)
    assert int(one.step) == int(many.step) == 3


def test_hand_and_automatic_steps_agree(model):
    loss = classification_loss(model)
    ends = []
    for gradient in GRADIENTS.values():
        state = create_state(model, jax.random.key(0), optax.sgd(0.1))
        ends.append(run_steps(loss, optax.sgd(0.1), gradient)(state, batches())[0].params)
    chex.assert_trees_all_close(*ends, rtol=1e-4, atol=1e-6)


def test_step_is_traced_once():
    model = MODELS["mlp"](8)
    chex.clear_trace_counter()
    loss = chex.assert_max_traces(classification_loss(model), n=1)
    step = make_train_step(loss)
    state = create_state(model, jax.random.key(0), optax.sgd(0.1))
    for i in range(3):
        state, _ = step(state, at(batches(), i))


def test_step_gives_its_states_memory_away():
    model = MODELS["mlp"](8)
    state = create_state(model, jax.random.key(0), optax.sgd(0.1))
    make_train_step(classification_loss(model))(state, at(batches(), 0))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))


def test_state_is_frozen():
    state = create_state(MODELS["mlp"](8), jax.random.key(0), optax.sgd(0.1))
    with pytest.raises(AttributeError):
        state.step = 1


def test_each_step_has_its_own_key_and_buffers_are_carried():
    def loss(params, batch, *, buffers, rng, train):
        return params * batch, ({"seen": buffers["seen"] + batch}, {"draw": jax.random.normal(rng), "train": train})

    opt_state, seen = optax.sgd(0.1).init(1.0), {"seen": jnp.zeros(())}
    state = TrainState(params=jnp.ones(()), buffers=seen, opt_state=opt_state, step=jnp.array(0), rng=jax.random.key(0))
    state, metrics = run_steps(loss)(state, jnp.arange(3.0))
    assert len(np.unique(metrics["draw"])) == 3
    assert float(state.buffers["seen"]) == 3.0
    assert metrics["train"].all()


def test_a_loss_that_is_no_scalar_is_refused():
    def loss(params, batch, *, buffers, rng, train):
        return params * batch, (buffers, {})

    state = TrainState(params=jnp.ones(2), buffers={}, opt_state=(), step=jnp.array(0), rng=jax.random.key(0))
    with pytest.raises(TypeError, match="scalar"):
        make_train_step(loss)(state, jnp.ones(2))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_train_step_lowers_from_a_cpu(model, platform):
    step = make_train_step(classification_loss(model))
    state = create_state(model, jax.random.key(0), optax.sgd(0.1))
    text = step.trace(state, at(batches(), 0)).lower(lowering_platforms=(platform,)).as_text()
    assert "func.func public @main" in text


def by_optax(loss, optimizer, params, batches, names):
    """The parameters after plain steps of optax."""
    opt_state = optimizer.init(params)
    for i in range(len(batches[0])):
        value_fn = lambda p, batch=at(batches, i): loss(p, batch, buffers={}, rng=None, train=True)[0]
        value, grads = jax.value_and_grad(value_fn)(params)
        offered = {"value": value, "grad": grads, "value_fn": value_fn, "obj_fn": value_fn}
        offered["grad_fn"] = lambda p, _, value_fn=value_fn: jax.grad(value_fn)(p)
        updates, opt_state = optimizer.update(grads, opt_state, params, **{name: offered[name] for name in names})
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.parametrize("optimizer", EXTRA_ARGS)
def test_an_optimizer_gets_the_extra_arguments_that_it_takes(optimizer):
    wanted = WANTED.get(optimizer, ("value", "grad", "value_fn"))
    model, optimizer = MODELS["mlp"](8), EXTRA_ARGS[optimizer]
    loss, init = classification_loss(model), lambda: create_state(model, jax.random.key(0), optimizer)
    expected = by_optax(loss, optimizer, init().params, batches(), wanted)
    state, step = init(), make_train_step(loss, optimizer)
    for i in range(3):
        state, _ = step(state, at(batches(), i))
    chex.assert_trees_all_close(state.params, expected, rtol=1e-3, atol=1e-5)
    chex.assert_trees_all_close(run_steps(loss, optimizer)(init(), batches())[0].params, expected, rtol=1e-3, atol=1e-5)


def test_a_line_search_follows_the_gradient_that_trains():
    """The slope that zoom asks of value_fn is the written one, here of an op whose backward is wrong on purpose."""

    @bpjax.op
    def square(x):
        return x**2

    square.def_forward(lambda x: (x**2, {"x": x}))
    square.def_backward(lambda saved, dy: (-2 * saved["x"] * dy,))
    slopes = []

    def update(updates, state, params=None, *, value_fn, **_):
        slopes.append(jax.grad(value_fn)(params))
        return updates, (slopes[-1],)

    optimizer = optax.GradientTransformationExtraArgs(lambda params: (jnp.zeros(()),), update)

    def loss(params, batch, *, buffers, rng, train):
        return square(params) * batch, (buffers, {})

    for gradient, slope in ((bpjax.value_and_grad, -12.0), (jax.value_and_grad, 12.0)):
        state, _ = make_train_step(loss, optimizer, gradient)(plain_state(jnp.array(3.0), optimizer), jnp.array(2.0))
        assert float(state.opt_state[0]) == slope


def plain_state(params, optimizer=optax.sgd(0.1), buffers=None):
    buffers = {} if buffers is None else buffers
    return TrainState(params=params, buffers=buffers, opt_state=optimizer.init(params), step=jnp.array(0), rng=jax.random.key(0))


def difference(params, batch, *, buffers, rng, train):
    return sum(jnp.sum((p - batch) ** 2) for p in jax.tree.leaves(params)), (buffers, {})


@pytest.mark.parametrize(
    "twice",
    [lambda a: a, lambda a: jax.device_put(a, jax.devices()[0]), lambda a: a.addressable_shards[0].data],
    ids=["the array itself", "put where it is", "its only shard"],
)
@pytest.mark.parametrize("many", [False, True], ids=["make_train_step", "run_steps"])
def test_an_array_may_stand_at_two_places(twice, many):
    a, optimizer = jnp.array([1.0, 2.0]), optax.sgd(0.25)
    state = plain_state({"a": a, "b": twice(a)}, optimizer, buffers={"seen": twice(a)})
    step, batch = (run_steps, jnp.zeros(2)) if many else (make_train_step, jnp.array(0.0))
    for _ in range(2):
        state, _ = step(difference, optimizer)(state, batch)
    expected = [0.0625, 0.125] if many else [0.25, 0.5]
    assert state.params["a"].tolist() == state.params["b"].tolist() == expected and state.buffers["seen"].tolist() == [1.0, 2.0]


def test_an_array_of_the_state_may_stand_in_the_batch():
    """As that of a teacher does which is the student's beginning."""
    params, key = jnp.array([1.0, 2.0]), jax.random.key(3)
    state = plain_state(params, optax.sgd(0.25)).replace(rng=key)

    def loss(p, batch, *, buffers, rng, train):
        return jnp.sum(p * batch["teacher"]) + 0 * jax.random.uniform(batch["key"]), (buffers, {})

    state, _ = make_train_step(loss, optax.sgd(0.25))(state, {"teacher": params, "key": key})
    assert state.params.tolist() == [0.75, 1.5] and params.tolist() == [1.0, 2.0] and not key.is_deleted()


def test_a_step_without_donation_leaves_the_old_state():
    for step, batch in ((make_train_step, jnp.array(0.0)), (run_steps, jnp.zeros(1))):
        state = plain_state({"a": jnp.array([1.0, 2.0])})
        new, _ = step(difference, donate=False)(state, batch)
        assert state.params["a"].tolist() == [1.0, 2.0] and not any(leaf.is_deleted() for leaf in jax.tree.leaves(state))
        np.testing.assert_allclose(new.params["a"], [0.8, 1.6], rtol=1e-6)


@pytest.mark.parametrize("donate", [True, False])
def test_what_an_earlier_step_deleted_is_named(donate):
    old = plain_state({"fc": jnp.array([1.0, 2.0])})
    new, _ = make_train_step(difference)(old, jnp.array(0.0))
    with pytest.raises(RuntimeError, match=r"state\.params\['fc'\] is an array that has been deleted.*donate=False"):
        make_train_step(difference, donate=donate)(new.replace(params=old.params), jnp.array(0.0))
    with pytest.raises(RuntimeError, match=r"batch\['teacher'\] is an array that has been deleted.*keep a copy"):
        make_train_step(difference, donate=donate)(new, {"teacher": old.params["fc"]})


def test_a_step_can_stand_inside_another_program():
    step = make_train_step(difference, optax.sgd(0.25))
    stepped = jax.jit(lambda state: step(step(state, 0.0)[0], 0.0)[0])(plain_state(jnp.array([1.0, 2.0]), optax.sgd(0.25)))
    assert stepped.params.tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda v, b: v, r"\(value, \(buffers, metrics\)\), with metrics a dict of arrays; this one returned an array of shape \(\)"),
        (lambda v, b: (v, {"accuracy": v}), r"returned \(an array of shape \(\), a dict of 'accuracy'\)"),
        (lambda v, b: (v, {"accuracy": v, "norm": v}), r"returned \(an array of shape \(\), a dict of 'accuracy', 'norm'\)"),
        (lambda v, b: (v, b, {}), r"returned \(an array of shape \(\), a dict of 'seen', an empty dict\)"),
        (lambda v, b: (v, (b, v)), r"returned \(an array of shape \(\), \(a dict of 'seen', an array of shape \(\)\)\)"),
        (
            lambda v, b: (v, ({"accuracy": v}, b)),
            "its buffers in the form in which it got them: expected a dict of 'seen', got a dict of 'acc",
        ),
        (lambda v, b: None, "returned NoneType"),
    ],
    ids=["a value alone", "metrics alone", "two metrics alone", "a triple", "a metric that is no dict", "turned round", "nothing"],
)
@pytest.mark.parametrize("kind", ["make_train_step", "run_steps", "watch", "automatic"])
def test_a_loss_that_returns_something_else_is_told_what_it_should(returned, words, kind):
    def loss(params, batch, *, buffers, rng, train):
        return returned(jnp.sum(params * batch), buffers)

    step = run_steps(loss) if kind == "run_steps" else make_train_step(
        loss, watch=kind == "watch", gradient=jax.value_and_grad if kind == "automatic" else bpjax.value_and_grad
    )  # fmt: skip
    with pytest.raises(TypeError, match=words):
        step(plain_state(jnp.ones(2), buffers={"seen": jnp.zeros(())}), jnp.ones((1, 2)))


def test_a_metric_called_loss_is_kept():
    def loss(params, batch, *, buffers, rng, train):
        return jnp.sum(params * batch), (buffers, {"loss": jnp.array(7.0)})

    assert float(make_train_step(loss)(plain_state(jnp.ones(2)), jnp.ones(2))[1]["loss"]) == 7
    assert run_steps(loss)(plain_state(jnp.ones(2)), jnp.ones((3, 2)))[1]["loss"].tolist() == [7, 7, 7]


def test_a_metric_called_health_is_refused_where_that_is_written():
    def loss(params, batch, *, buffers, rng, train):
        return jnp.sum(params * batch), (buffers, {"health": jnp.array(7.0)})

    assert float(make_train_step(loss)(plain_state(jnp.ones(2)), jnp.ones(2))[1]["health"]) == 7
    with pytest.raises(ValueError, match="'health'.*call it otherwise"):
        make_train_step(loss, watch=True)(plain_state(jnp.ones(2)), jnp.ones(2))
