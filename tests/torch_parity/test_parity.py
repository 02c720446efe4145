"""Every module and function that PyTorch has too, held against it: outputs, gradients, updated buffers, in float64 to 1e-9.

Optional: skipped where PyTorch is not installed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from module_cases import CASES
from module_cases.table import BPJAX, Case, Library, cotangents, differentiated, program, pull, random_like

import bpjax
from bpjax import interop, nn

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.usefixtures("x64"), pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")]  # PyTorch warns
PARITY = [c for c in CASES if c.parity]
TORCH = Library(
    torch.nn, torch.nn.functional, lambda a: torch.tensor(np.asarray(a)), lambda a: torch.nn.Parameter(torch.tensor(np.asarray(a)))
)


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def leaves(outputs):
    """The tensors of nested tuples, in order; None is none."""
    if outputs is None:
        return []
    return [outputs] if isinstance(outputs, torch.Tensor) else [leaf for part in outputs for leaf in leaves(part)]


def made(case: Case):
    """PyTorch's module; a lazy one has met the inputs."""
    theirs = case.make(TORCH)
    if case.name.startswith("Lazy"):
        theirs(*(torch.tensor(np.asarray(a)) for a in case.inputs))
    return theirs


def of_pytorch(case: Case, mode: str, state):
    """Outputs, gradients of the inputs and of the parameters, and the state_dict after, by PyTorch."""
    theirs = made(case)
    is_module = isinstance(theirs, torch.nn.Module)
    where = differentiated(case)
    inputs = [None if a is None else torch.tensor(np.asarray(a)).requires_grad_(i in where) for i, a in enumerate(case.inputs)]
    kwargs = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in case.kwargs.items()}
    if is_module:
        theirs.train(mode == "train")
        theirs.load_state_dict({name: torch.tensor(np.asarray(value)) for name, value in state.items()})
    outputs = leaves(theirs(*inputs, **kwargs))
    floating = [y for y in outputs if y.is_floating_point()]
    if any(y.requires_grad for y in floating):
        sum((y * torch.tensor(u)).sum() for y, u in zip(floating, cotangents([y.detach() for y in floating]))).backward()
    of_inputs = [torch.zeros_like(inputs[i]) if inputs[i].grad is None else inputs[i].grad for i in where]
    of_parameters = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in theirs.named_parameters()} if is_module else {}
    after = theirs.state_dict() if is_module else {}
    return outputs, of_inputs, of_parameters, after


def initial_state(case: Case):
    """PyTorch's own state_dict, with random numbers in it."""
    theirs = made(case)
    if not isinstance(theirs, torch.nn.Module):
        return {}
    state = {n: jnp.asarray(v.detach().numpy()) for n, v in theirs.state_dict().items()}
    return state if case.keep else random_like(state)


def close(ours, theirs, what):
    theirs = np.asarray(theirs.detach())
    assert np.shape(ours) == theirs.shape, f"{what}: shape {np.shape(ours)}, PyTorch has {theirs.shape}"
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-9, atol=1e-9, err_msg=what)


@pytest.mark.parametrize("case", PARITY, ids=[c.id for c in PARITY])
def test_as_pytorch(case, record_property):
    state = initial_state(case)
    built = case.make(BPJAX)
    is_module = isinstance(built, nn.Module)
    if case.name.startswith("Lazy"):
        built.init(jax.random.key(0), *map(jnp.asarray, case.inputs))
    params, buffers = interop.load_state_dict(built, state) if is_module else ({}, {})
    for mode in case.modes:
        f, args = program(case, built, params, buffers, mode)
        outputs, (dparams, dinputs), new = jax.jit(lambda *a, f=f: pull(bpjax.vjp, f, a))(*args)
        expected, of_inputs, of_parameters, after = of_pytorch(case, mode, state)
        assert len(outputs) == len(expected)
        for i, (y, t) in enumerate(zip(outputs, expected)):
            close(y, t, f"{mode}: output {i}")
        for i, (d, t) in enumerate(zip(dinputs, of_inputs, strict=True)):
            close(d, t, f"{mode}: gradient of input {i}")
        for name, d in interop.state_dict(dparams).items():
            close(d, of_parameters[name], f"{mode}: gradient of {name}")
        for name, value in interop.state_dict(new).items():
            close(value, after[name], f"{mode}: buffer {name}")
    record_property("parity", case.name)
