"""Containers: what lists and dicts of modules and parameters can do, bound and not, and what they refuse."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bpjax import nn

key, x = jax.random.key(0), jnp.ones((5, 4))


def modules(n=3):
    """Modules that can be told apart."""
    return [nn.Linear(4, 4 + i) for i in range(n)]


def is_list(container, expected):
    """The very same entries, named 0, 1, 2, ..."""
    names = [name for name, _ in (*container._modules.items(), *container._parameters.items())]
    return names == [str(i) for i in range(len(expected))] and all(a is b for a, b in zip(container, expected, strict=True))


def held(make, forward):
    """A model that holds a container."""

    class Model(nn.Module):
        def __init__(self):
            self.held = make()

    Model.forward = forward
    return Model()


LISTS = {
    "Sequential": lambda entries: nn.Sequential(*entries),
    "ModuleList": nn.ModuleList,
    "ParameterList": nn.ParameterList,
}
each_list = pytest.mark.parametrize("kind", LISTS)


def entries(kind, n=4):
    return [nn.Parameter((i,), 0.0) for i in range(n)] if kind == "ParameterList" else modules(n)


@each_list
def test_methods_of_lists(kind):
    make, (a, b, c, d) = LISTS[kind], entries(kind)
    held = make([a, b])
    assert len(held) == 2 and held[0] is a and held[-1] is b and a in held and c not in held and list(held) == [a, b]
    assert held.append(c) is held and is_list(held, [a, b, c])
    assert held.extend([d, a]) is held and is_list(held, [a, b, c, d, a])
    assert held.pop() is a and held.pop(0) is a and is_list(held, [b, c, d])
    assert held.insert(1, a) is held and is_list(held, [b, a, c, d])
    assert held.insert(-1, b) is held and is_list(held, [b, a, c, b, d])
    del held[0]
    assert is_list(held, [a, c, b, d])
    del held[1:3]
    assert is_list(held, [a, d])
    held[-1] = c
    assert is_list(held, [a, c])
    held += make([d])
    assert is_list(held, [a, c, d]) and type(held) is type(make([]))
    assert is_list(held + make([b]), [a, c, d, b]) and is_list(held, [a, c, d])
    assert list(held.pop(slice(1, None))) == [c, d] and is_list(held, [a])
    assert is_list(held.extend(held), [a, a])
    assert is_list(make([a, b, c, d])[:2], [a, b]) and is_list(make([]), [])
    assert [len(make([a, b, c])[s]) for s in (slice(None), slice(1, None), slice(None, None, 2), slice(5, 9))] == [3, 2, 2, 0]


@each_list
def test_refused_by_lists(kind):
    held = LISTS[kind](entries(kind, 2))
    for call in (
        lambda: held[2], lambda: held[-3], lambda: held.__setitem__(2, held[0]), lambda: held.__delitem__(2), lambda: held.pop(-3),
        lambda: held.insert(3, held[0]), lambda: held.insert(-3, held[0]),
    ):  # fmt: skip
        with pytest.raises(IndexError, match=f"{kind}: no entry -?[23] among 2"):
            call()
    with pytest.raises(TypeError, match=f"{kind}: expected a whole number as index, got str"):
        held["0"]
    expected = "parameters or arrays" if kind == "ParameterList" else "modules"
    for call in (held.append, lambda v: held.insert(0, v), lambda v: held.extend([v]), lambda v: held.__setitem__(0, v)):
        with pytest.raises(TypeError, match=f"{kind}: expected {expected}, got int"):
            call(3)
    assert len(held) == 2


def test_a_slice_of_a_sequential_keeps_names():
    a, b, c = modules()
    model = nn.Sequential(a, b, c)
    assert list(model[1:]._modules) == ["1", "2"] and is_list(model[::2] + model[1:2], [a, c, b])


def test_sequential_by_name():
    model = nn.Sequential({"first": nn.Linear(4, 3), "then": nn.Tanh()})
    params = model.init(key)
    assert list(params) == ["first"] and model[0] is model.first
    np.testing.assert_allclose(model.apply(params, x), jnp.tanh(nn.Linear(4, 3).apply(params["first"], x)), rtol=1e-6)


def test_sequential_times():
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.Tanh()) * 2
    assert len(model) == 4 and model[0] is model[2] and list(model.init(key)) == ["0"]
    assert len(2 * model) == 8 and len(model) == 4
    kept = model
    model *= 2
    assert kept is model and len(model) == 8


def test_a_sum_of_lists_of_a_kind_of_ones_own_is_a_plain_list():
    class Blocks(nn.ModuleList):
        def __init__(self, n):
            super().__init__(modules(n))

    class Chain(nn.Sequential):
        def __init__(self, n):
            super().__init__(*modules(n))

    assert type(Blocks(2) + [nn.ReLU()]) is nn.ModuleList and type(Chain(1) + Chain(1)) is type(Chain(1) * 2) is nn.Sequential


def test_a_sum_of_bound_sequentials_is_bound():
    model = held(lambda: nn.Sequential(nn.Linear(4, 4)), lambda self, x: (self.held + self.held)(x))
    params = model.init(key)
    layer = lambda x: nn.Linear(4, 4).apply(params["held"]["0"], x)
    np.testing.assert_allclose(model.apply(params, x), layer(layer(x)), rtol=1e-6)


@pytest.mark.parametrize(
    "change",
    [lambda h: h.pop("a"), lambda h: h.clear(), lambda h: h.__delattr__("a"), lambda h: h.update({"c": jnp.ones(2)})],
    ids=["pop", "clear", "del", "update"],
)
def test_nothing_is_taken_out_in_forward(change):
    model = held(lambda: nn.ParameterDict({"a": jnp.ones(4)}), lambda self, x: change(self.held))
    params = model.init(key)
    with pytest.raises(AttributeError, match='"held" .ParameterDict.'):
        model.apply(params, x)
    assert list(model.held) == ["a"]


def test_an_empty_sequential_is_the_identity():
    assert nn.Sequential().apply({}, x) is x


BOUND = {
    "ModuleList": (lambda: nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]), lambda self, x: self.held[1:][0](x)),
    "Sequential": (lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), lambda self, x: self.held[1:](x)),
}


@pytest.mark.parametrize("kind", BOUND)
def test_slices_of_bound_lists_are_bound(kind):
    model = held(*BOUND[kind])
    params = model.init(key)
    np.testing.assert_array_equal(model.apply(params, x), nn.Linear(4, 4).apply(params["held"]["1"], x))


def test_a_slice_of_a_bound_parameter_list_has_values():
    model = held(lambda: nn.ParameterList([jnp.ones(4), 2 * jnp.ones(4), 3 * jnp.ones(4)]), lambda self, x: x * sum(self.held[1:]))
    assert (model.apply(model.init(key), x) == 5).all()


def test_methods_of_a_module_dict():
    a, b, c = modules()
    held = nn.ModuleDict({"a": a})
    held["b"] = b
    assert held["b"] is b and "b" in held and "c" not in held and len(held) == 2
    assert list(held) == list(held.keys()) == ["a", "b"] and list(held.values()) == [a, b] and list(held.items()) == [("a", a), ("b", b)]
    held.update({"b": c})
    held.update([("d", b)])
    assert list(held.items()) == [("a", a), ("b", c), ("d", b)]
    assert held.pop("b") is c and list(held) == ["a", "d"]
    del held["a"]
    assert list(held) == ["d"]
    held.clear()
    assert len(held) == 0 and len(nn.ModuleDict()) == 0 and list(nn.ModuleDict([("a", a)])) == ["a"]


def test_methods_of_a_parameter_dict():
    a, b = nn.Parameter((2,), 1.0), nn.Parameter((3,), 2.0)
    held = nn.ParameterDict({"a": a})
    assert held["a"] is held.get("a") is a and held.get("b") is None and held.get("b", 7) == 7
    assert held.setdefault("a", b) is a and held.setdefault("b", b) is b and list(held.items()) == [("a", a), ("b", b)]
    held["c"] = jnp.ones(2)
    assert isinstance(held["c"], nn.Parameter) and list(held.init(key)) == ["a", "b", "c"]
    assert held.pop("c").shape == (2,) and list(held.keys()) == ["a", "b"] == [*reversed(held)][::-1]
    copy = held.copy()
    copy |= {"d": a}
    assert isinstance(copy, nn.ParameterDict) and list(copy) == ["a", "b", "d"] and copy["a"] is a and list(held) == ["a", "b"]
    assert list(held | {"e": b}) == ["a", "b", "e"] and list({"e": b} | held) == ["e", "a", "b"] and list(held | copy) == list(copy)
    assert list(held.fromkeys(["x", "y"], a).items()) == [("x", a), ("y", a)]
    held.clear()
    assert held.init(key) == {}


def test_dicts_in_a_forward():
    def forward(self, x):
        assert list(self.held) == ["left", "right"] and "left" in self.held
        return sum(m(x) for m in self.held.values()) + self.held["left"](x)

    model = held(lambda: nn.ModuleDict({"left": nn.Linear(4, 2), "right": nn.Linear(4, 2)}), forward)
    params = model.init(key)
    left, right = (nn.Linear(4, 2).apply(params["held"][name], x) for name in ("left", "right"))
    np.testing.assert_allclose(model.apply(params, x), left + right + left, rtol=1e-6)


def test_arrays_among_parameters_start_as_they_are():
    params = nn.ParameterList([jnp.arange(3.0), nn.Parameter((2,), 5.0)]).init(key)
    assert params["0"].tolist() == [0.0, 1.0, 2.0] and params["1"].tolist() == [5.0, 5.0]
    assert nn.ParameterDict({"w": jnp.ones(2, jnp.bfloat16)}).init(key)["w"].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: nn.Sequential(3), TypeError, "Sequential: expected modules, got int"),
        (lambda: nn.Sequential([nn.ReLU()]), TypeError, "Sequential: expected modules, got list"),
        (lambda: nn.Sequential() + [nn.ReLU()], ValueError, "Sequential: expected another Sequential to add, got list"),
        (lambda: nn.Sequential().__iadd__(nn.ModuleList()), ValueError, "Sequential: expected another Sequential to add, got ModuleList"),
        (lambda: nn.Sequential() * 0, ValueError, "Sequential: expected a positive number to multiply by, got 0"),
        (lambda: nn.Sequential() * 1.5, TypeError, "Sequential: expected a whole number to multiply by, got float"),
        (lambda: nn.ModuleList([nn.Parameter((2,), 0.0)]), TypeError, "ModuleList: expected modules, got Parameter"),
        (lambda: nn.ModuleDict({"a": 3}), TypeError, "ModuleDict: expected modules, got int"),
        (lambda: nn.ModuleDict({"a": nn.ReLU()})["b"], KeyError, "ModuleDict: no 'b' among 'a'"),
        (lambda: nn.ModuleDict()["b"], KeyError, "ModuleDict: no 'b' among its 0 entries"),
        (lambda: nn.ModuleDict({"a": nn.ReLU()}).pop("b"), KeyError, "ModuleDict: no 'b' among 'a'"),
        (lambda: nn.ModuleDict({"a": nn.ReLU()}).__delitem__("b"), KeyError, "ModuleDict: no 'b' among 'a'"),
        (lambda: nn.ModuleDict({"a.b": nn.ReLU()}), KeyError, "'a.b' must not be empty or contain a dot"),
        (lambda: nn.ModuleDict({"keys": nn.ReLU()}), KeyError, "'keys' is taken"),
        (lambda: nn.ParameterDict({"a": "b"}), TypeError, "ParameterDict: expected parameters or arrays, got str"),
        (lambda: nn.ModuleList([nn.ReLU()])(x), NotImplementedError, "ModuleList has no forward"),
    ],
)  # fmt: skip
def test_refused(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call()


def test_printing():
    same, other = "Linear(in_features=4, out_features=4, bias=True)", "Linear(in_features=4, out_features=5, bias=True)"
    runs = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 5), nn.Linear(4, 4)])
    assert repr(runs) == f"ModuleList(\n  (0-1): 2 x {same}\n  (2): {other}\n  (3): {same}\n)"
    assert repr(nn.Sequential({"a": nn.Linear(4, 4)})) == f"Sequential(\n  (a): {same}\n)"
    assert repr(nn.ModuleDict({"a": nn.ModuleList()})) == "ModuleDict(\n  (a): ModuleList()\n)"
    assert repr(nn.ParameterDict({"w": jnp.ones((2, 3))})) == "ParameterDict(\n  (w): Parameter((2, 3))\n)"
    assert repr(nn.ParameterList([jnp.ones(2)])) == "ParameterList(\n  (0): Parameter((2,))\n)"
    assert [repr(kind()) for kind in (nn.Sequential, nn.ParameterDict)] == ["Sequential()", "ParameterDict()"]
