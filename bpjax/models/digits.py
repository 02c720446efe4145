"""Three small classifiers of 8 x 8 digits: fully connected, convolutional, recurrent. Input (N, 8, 8), output (N, 10) logits."""

from .. import nn
from ..functional import cross_entropy, max_pool2d, relu


class MLP(nn.Module):
    """64 -> hidden -> 10, ReLU between."""

    def __init__(self, hidden: int = 128):
        self.fc1 = nn.Linear(64, hidden)
        self.fc2 = nn.Linear(hidden, 10)

    def forward(self, x):
        return self.fc2(relu(self.fc1(x.reshape(x.shape[0], 64))))


class CNN(nn.Module):
    """Two 3 x 3 convolutions with ReLU, 2 x 2 max pooling, then a linear layer."""

    def __init__(self, channels: int = 16):
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.fc = nn.Linear(2 * channels * 16, 10)

    def forward(self, x):
        x = relu(self.conv1(x[:, None]))
        x = max_pool2d(relu(self.conv2(x)), 2)
        return self.fc(x.reshape(x.shape[0], -1))


class RNN(nn.Module):
    """Reads the image row by row, from top to bottom, and classifies the last hidden state."""

    def __init__(self, hidden: int = 64):
        self.rnn = nn.RNN(8, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 10)

    def forward(self, x):
        outputs, _ = self.rnn(x)
        return self.fc(outputs[:, -1])


MODELS = {"mlp": MLP, "cnn": CNN, "rnn": RNN}


def classification_loss(model):
    """The loss of a digits model as `bpjax.training` takes it: mean cross-entropy, with the accuracy as a metric."""

    def loss(params, batch, *, buffers, rng, train):
        images, labels = batch
        logits, buffers = model.apply(params, images, buffers=buffers, train=train, rng=rng)
        accuracy = (logits.argmax(-1) == labels).mean(dtype=logits.dtype)
        return cross_entropy(logits, labels), (buffers, {"accuracy": accuracy})

    return loss
