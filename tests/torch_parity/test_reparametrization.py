"""Weight norm and spectral norm, held against what PyTorch computes the weights of modules by."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bpjax
import bpjax.functional as F

torch = pytest.importorskip("torch")
parametrizations, utils = torch.nn.utils.parametrizations, torch.nn.utils
pytestmark = pytest.mark.usefixtures("x64")

MODULES = {
    "a linear map": (lambda: torch.nn.Linear(4, 3), 0),
    "a convolution": (lambda: torch.nn.Conv2d(2, 3, (1, 2)), 0),
    "a transposed convolution": (lambda: torch.nn.ConvTranspose1d(2, 3, 2), 1),
}
each = pytest.mark.parametrize(("make", "dim"), MODULES.values(), ids=MODULES)


def array(tensor):
    return jnp.asarray(tensor.detach().numpy())


def assert_as_pytorch(ours, weight, originals):
    """Of `ours`, a function of the originals, the value and the gradients under a random cotangent."""
    y, back = bpjax.vjp(ours, *map(array, originals))
    dy = np.random.default_rng(0).standard_normal(y.shape)
    weight.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, array(weight), rtol=1e-9)
    for d, original in zip(back(jnp.asarray(dy)), originals):
        np.testing.assert_allclose(d, original.grad.numpy(), rtol=1e-9, atol=1e-12)


@each
@pytest.mark.parametrize("over_all", [False, True])
def test_weight_norm(make, dim, over_all):
    dim = None if over_all else dim
    layer = parametrizations.weight_norm(make().double(), dim=dim)
    g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    np.testing.assert_allclose(F.norm_except_dim(array(v), dim), array(g), rtol=1e-12)
    with torch.no_grad():
        g.mul_(1.5)
    assert_as_pytorch(lambda v, g: F.weight_norm(v, g, dim), layer.weight, [v, g])


@each
def test_spectral_norm(make, dim):
    layer = parametrizations.spectral_norm(make().double(), n_power_iterations=2).train()
    norm, original = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    u, v = F.power_iteration(array(original), array(norm._u), array(norm._v), 2, dim)
    weight = layer.weight  # brings u and v nearer
    np.testing.assert_allclose(u, array(norm._u), rtol=1e-9)
    np.testing.assert_allclose(v, array(norm._v), rtol=1e-9)
    assert_as_pytorch(lambda w: F.spectral_norm(w, u, v, dim), weight, [original])


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*:FutureWarning")
@each
def test_the_older_spectral_norm(make, dim):
    layer = utils.spectral_norm(make().double()).train()
    u, v = F.power_iteration(array(layer.weight_orig), array(layer.weight_u), array(layer.weight_v), 1, dim, v_first=True)
    next(iter(layer._forward_pre_hooks.values()))(layer, None)
    np.testing.assert_allclose(u, array(layer.weight_u), rtol=1e-9)
    np.testing.assert_allclose(v, array(layer.weight_v), rtol=1e-9)
    assert_as_pytorch(lambda w: F.spectral_norm(w, u, v, dim), layer.weight, [layer.weight_orig])


def test_power_iteration_finds_the_largest_singular_value():
    w = jax.random.normal(jax.random.key(0), (3, 2, 4))
    u, v = F.power_iteration(w, jnp.ones(2), jnp.ones(12), 200, dim=1)
    largest = jnp.linalg.norm(jnp.moveaxis(w, 1, 0).reshape(2, 12), 2)
    np.testing.assert_allclose(F.spectral_norm(w, u, v, 1) * largest, w, rtol=1e-9)
