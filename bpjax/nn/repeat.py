"""Repeat: one block scanned over its stacked parameters."""

import copy

import jax
import jax.numpy as jnp
from jax import lax

from .module import Binding, Buffer, Module, Parameter, fold_path


class Repeat(Module):
    """A block applied num_layers times, each time with parameters of its own, as one `lax.scan`.

    The parameters of the layers stand stacked on a first axis, so the program, and the time to compile it, do not grow with depth.
    PyTorch has no such module. `stacked` and `unstacked` turn parameters of separate layers into stacked ones and back.

    Shapes: those of the block, whose output has the shape and dtype of its input; further arguments are given to every layer as they are;
    parameters (num_layers, *shape).
    Formula: x_{i+1} = block_i(x_i).  Backward: that of the block, from the last layer to the first, its parameters' gradients stacked.
    With memory="fast" what the rules of the block need is kept for every layer. With "lean" only each x_i is, and the block is run again on
    the way back: one more forward pass, and memory of one layer beside the x_i.
    Errors: ValueError where the output of the block is not like its input, or for another `memory`.

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.Repeat(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), 12)
    >>> params = model.init(jax.random.key(0))
    >>> params["block"]["0"]["weight"].shape, model.apply(params, jnp.ones((2, 4))).shape
    ((12, 4, 4), (2, 4))
    """

    def __init__(self, block, num_layers, memory="fast"):
        if not isinstance(block, Module):
            raise TypeError(f"Repeat: expected a module to repeat, got {type(block).__name__}")
        if not hasattr(num_layers, "__index__") or num_layers < 1:
            raise ValueError(f"Repeat: num_layers must be a whole number, at least 1, got {num_layers!r}")
        if block._lazy():
            raise ValueError(f"Repeat: the block has no sizes yet ({block._lazy()}): give it its sizes")
        if memory not in ("fast", "lean"):
            raise ValueError(f"Repeat: memory must be 'fast' or 'lean', got {memory!r}")
        self.num_layers, self.memory = num_layers, memory
        self.block = with_stacks(block, num_layers)
        self.__dict__["_template"] = block  # not a child: its own parameters are not those of this module

    def forward(self, input, *args, **kwargs):
        outer, path = self._binding, self.block._path
        params, buffers = ({p: values[p] for p in self._own(values)} for values in (outer.params, outer.new_buffers))
        keys = None if outer.rng is None else jax.random.split(fold_path(outer.rng, path), self.num_layers)

        def layer(x, at):
            params, buffers, key = at
            binding = Binding(params, buffers, outer.train, key)
            binding.active, binding.outputs = list(outer.active), outer.outputs
            y = self._template._copy(binding, path, {}, {})(x, *args, **kwargs)
            if not isinstance(y, jax.Array) or (y.shape, y.dtype) != (x.shape, x.dtype):
                got = f"{y.dtype}{list(y.shape)}" if isinstance(y, jax.Array) else f"a {type(y).__name__}"
                raise ValueError(f"the block must return what it takes, {x.dtype}{list(x.shape)}, and returned {got}")
            return y, binding.new_buffers

        layer = jax.checkpoint(layer) if self.memory == "lean" else layer
        output, new = lax.scan(layer, jnp.asarray(input), (params, buffers, keys), length=self.num_layers)
        outer.new_buffers.update(new)
        return output

    def _own(self, values):
        return [p for p in values if p.startswith(self.block._path + ".")]

    def stacked(self, layers):
        """The parameters (or buffers) of this module from a list of those of the block, one for each layer."""
        return {"block": jax.tree.map(lambda *leaves: jnp.stack(leaves), *layers)}

    def unstacked(self, params):
        """A list of the block's parameters (or buffers), one for each layer."""
        return [jax.tree.map(lambda leaf, i=i: leaf[i], params["block"]) for i in range(self.num_layers)]

    def _children_repr(self):
        return [("block", f"{self.num_layers} x {self._template!r}")]


class _Stack(Parameter):
    """A parameter for each layer."""

    def __init__(self, each: Parameter, n: int):
        super().__init__((n, *each.shape), each.init, each.dtype)
        self.each = each

    def make(self, key):
        return jax.vmap(self.each.make)(jax.random.split(key, self.shape[0]))


class _BufferStack(Buffer):
    """A buffer for each layer."""

    def __init__(self, each: Buffer, n: int):
        super().__init__((n, *each.shape), each.init, each.dtype, constant=each.constant, optional=each.optional)
        self.each = each

    def make(self, key):
        one = self.each.make(None)
        return jnp.broadcast_to(one, self.shape)


def with_stacks(block, n):
    """A copy of a tree of modules that declares stacked parameters; what was tied stays tied."""
    block = copy.deepcopy(block)
    stacks: dict = {}
    for _, module in block.named_modules():
        for registry, kind in ((module._parameters, _Stack), (module._buffers, _BufferStack)):
            for name, declared in registry.items():
                registry[name] = stacks.setdefault(id(declared), kind(declared, n))
    for stack in stacks.values():
        if (source := stack.each.source) is not None:
            stack.source, stack.init = stacks[id(source)], jax.vmap(stack.each.init)
    return block
