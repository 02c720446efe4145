"""Whole models of PyTorch, through a `.safetensors` file: the same outputs, gradients and buffers from the same lines of code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bpjax
from bpjax import interop

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.usefixtures("x64"), pytest.mark.filterwarnings("ignore::UserWarning")]  # PyTorch's warnings


def resnet18(nn):
    """ResNet-18 (https://arxiv.org/abs/1512.03385) with the names of torchvision's."""

    class BasicBlock(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

        def forward(self, x):
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + (x if self.downsample is None else self.downsample(x)))

    class ResNet18(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1, self.relu = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
            self.maxpool = nn.MaxPool2d(3, 2, padding=1)
            widths = [64, 64, 128, 256, 512]
            for i, (inputs, outputs) in enumerate(zip(widths, widths[1:]), 1):
                stride = 1 if i == 1 else 2
                setattr(self, f"layer{i}", nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)))
            self.avgpool, self.flatten, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(512, 10)

        def forward(self, x):
            x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(self.flatten(self.avgpool(x)))

    return ResNet18()


def lstm(nn):
    return nn.LSTM(5, 6, num_layers=2, bidirectional=True, batch_first=True)


def encoder(nn):
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, dropout=0.0, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(8), enable_nested_tensor=False)


MODELS = {
    "ResNet-18": (resnet18, (3, 3, 33, 35)),
    "two-layer bidirectional LSTM": (lstm, (3, 4, 5)),
    "TransformerEncoder": (encoder, (2, 5, 8)),
}


def outputs_of(y):
    return [y] if not isinstance(y, tuple) else [leaf for part in y for leaf in outputs_of(part)]


@pytest.mark.parametrize("name", MODELS)
def test_through_a_file(name, tmp_path):
    from safetensors.torch import save_file

    make, shape = MODELS[name]
    torch.manual_seed(0)
    theirs = make(torch.nn).double().train()
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    ours = make(bpjax.nn)
    params, buffers = interop.load_state_dict(ours, interop.load_safetensors(tmp_path / "model.safetensors"))
    x = np.random.default_rng(0).standard_normal(shape)

    def loss(params, x):
        y, new = ours.apply(params, x, buffers=buffers, train=True)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in outputs_of(y)), (outputs_of(y), new)

    (_, (outputs, new)), (dparams, dx) = jax.jit(bpjax.value_and_grad(loss, (0, 1), has_aux=True))(params, jnp.asarray(x))
    leaf = torch.tensor(x, requires_grad=True)
    expected = outputs_of(theirs(leaf))
    sum(torch.sin(y).sum() for y in expected).backward()

    close = lambda ours, theirs: np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-9, atol=1e-9)
    for y, t in zip(outputs, expected, strict=True):
        close(y, t)
    close(dx, leaf.grad)
    gradients = interop.state_dict(dparams)
    assert gradients.keys() == dict(theirs.named_parameters()).keys()
    for path, parameter in theirs.named_parameters():
        close(gradients[path], parameter.grad)
    after = theirs.state_dict()
    for path, value in interop.state_dict(new).items():
        close(value, after[path])


def test_a_file_of_torch_save_is_refused_with_advice(tmp_path):
    torch.save(lstm(torch.nn).state_dict(), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="file of torch.save.*convert it"):
        interop.load_safetensors(tmp_path / "model.pt")


def test_tensors_of_pytorch_are_taken_as_they_are():
    theirs = lstm(torch.nn)
    params, _ = interop.load_state_dict(lstm(bpjax.nn), {n: p.to(torch.bfloat16) for n, p in theirs.named_parameters()})
    assert params["weight_ih_l0"].dtype == jnp.bfloat16
    np.testing.assert_allclose(params["weight_ih_l0"].astype(float), theirs.weight_ih_l0.detach().numpy(), rtol=1e-2)
