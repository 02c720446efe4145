"""Jraph: networks on graphs, by sums over the edges that meet."""

import jax
import jax.numpy as jnp
import pytest
from agreement import agree, library, normal

jraph = library("jraph")
pytestmark = pytest.mark.usefixtures("x64")


def graphs(nodes, edges=None, globals_=None):
    """Two graphs of four and three nodes."""
    senders, receivers = jnp.array([0, 1, 2, 3, 0, 4, 5, 6]), jnp.array([1, 2, 3, 0, 2, 5, 6, 4])
    return jraph.GraphsTuple(nodes, edges, receivers, senders, globals_, jnp.array([4, 3]), jnp.array([5, 3]))


def network():
    """Battaglia's: edges, nodes and globals in turn, three times."""

    def loss(p):
        mlp = lambda name: jraph.concatenated_args(lambda x: jnp.tanh(x @ p[name]))
        net = jraph.GraphNetwork(mlp("edge"), mlp("node"), mlp("global"))
        graph = graphs(p["x"], normal(1, 8, 2), jnp.ones((2, 2)))
        for _ in range(3):
            graph = net(graph)
        return jnp.sum(graph.globals**2) + jnp.sum(graph.nodes[0])

    weights = {"edge": normal(2, 10, 2), "node": normal(3, 9, 3), "global": normal(4, 7, 2)}
    return loss, {"x": normal(0, 7, 3), **weights}


def attention():
    def loss(p):
        net = jraph.GAT(
            attention_query_fn=lambda x: x @ p["query"],
            attention_logit_fn=lambda s, r, _: jax.nn.leaky_relu(jnp.concatenate([s, r], -1) @ p["logit"]),
            node_update_fn=jax.nn.elu,
        )
        return jnp.sum(net(graphs(p["x"])).nodes ** 2)

    return loss, {"x": normal(0, 7, 3), "query": normal(1, 3, 4), "logit": normal(2, 8, 1)}


def convolution():
    """Kipf and Welling's, with a loop at each node, and a mean over each graph."""

    def loss(p):
        graph = graphs(p["x"])
        for w in p["layers"]:
            graph = jraph.GraphConvolution(lambda n: jax.nn.relu(n @ w), add_self_edges=True, symmetric_normalization=True)(graph)
        return jnp.sum(jraph.segment_mean(graph.nodes, jnp.array([0, 0, 0, 0, 1, 1, 1]), 2) ** 2)

    return loss, {"x": normal(0, 7, 3), "layers": [normal(1, 3, 4), normal(2, 4, 2)]}


def segments():
    """Sums, means, variances, extrema and softmaxes by segment; one segment is empty."""

    def loss(x):
        of, n = jnp.array([0, 2, 2, 0, 3, 3, 3]), 4
        parts = [f(x, of, n) for f in (jraph.segment_mean, jraph.segment_variance, jraph.segment_normalize, jraph.segment_softmax)]
        parts += [jraph.segment_max_or_constant(x, of, n), jraph.segment_min_or_constant(x, of, n)]
        return sum(jnp.sum(jnp.sin(part)) for part in parts)

    return loss, normal(0, 7, 3)


def padded():
    """An interaction network on a padded batch."""

    def loss(p):
        net = jraph.InteractionNetwork(
            lambda e, s, r: jnp.tanh(jnp.concatenate([e, s, r], -1) @ p["edge"]), lambda n, r: jnp.tanh(r @ p["node"]) + n
        )
        return jnp.sum(net(batch).nodes[:7] ** 2)

    batch = jraph.pad_with_graphs(graphs(normal(0, 7, 3), normal(1, 8, 2)), 10, 12, 3)
    return loss, {"edge": normal(2, 8, 2), "node": normal(3, 2, 3)}


PROGRAMS = {"a graph network": network, "attention": attention, "convolution": convolution, "segments": segments, "interactions": padded}


@pytest.mark.parametrize("name", PROGRAMS)
def test_jraph(name):
    agree(*PROGRAMS[name]())
