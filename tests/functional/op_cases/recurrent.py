"""Cases of recurrent layers."""

from .table import case, normal

case("rnn_tanh", "two biases",
     [normal(5, 2, 4), normal(2, 4), 0.5 * normal(4, 4, seed=2), 0.5 * normal(4, 4), normal(4), normal(4, seed=1)])
case("rnn_tanh", "without bias", [normal(5, 2, 3), normal(2, 4), 0.5 * normal(4, 3), 0.5 * normal(4, 4)])
case("rnn_tanh", "one sequence", [normal(5, 3), normal(4), 0.5 * normal(4, 3), 0.5 * normal(4, 4), normal(4), normal(4, seed=1)])
