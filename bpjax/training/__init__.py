"""Training: a state, a jitted step made from a loss, an optimizer and a derivative, and a runner that scans many steps."""

from .step import TrainState, create_state, make_train_step, run_steps

__all__ = ["TrainState", "create_state", "make_train_step", "run_steps"]
