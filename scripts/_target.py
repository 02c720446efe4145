"""FILE:FUNCTION on a command line: the function, and its arguments from the file's example_args()."""

import argparse
import runpy
import sys
import traceback
from pathlib import Path

from _environment import stop


class Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, with the script's name."""

    def error(self, message):
        stop(f"{self.prog}: {message} (see --help)")


def add_arguments(parser):
    parser.add_argument("--has-aux", action="store_true", help="the function returns (value, aux), and value is differentiated")
    parser.add_argument("--argnums", type=int, nargs="+", default=[0], help="the arguments to differentiate (default: 0)")
    parser.add_argument("--precision", choices=("float64", "float32"), default="float64", help="float64 turns JAX's x64 mode on (default)")


class Target:
    """A function in a file, as the command line names it."""

    def __init__(self, parser, args):
        file, colon, self.function = args.target.rpartition(":")
        self.script, self.file = parser.prog, Path(file)
        self.has_aux, self.argnums = args.has_aux, args.argnums[0] if len(args.argnums) == 1 else tuple(args.argnums)
        self.precision = args.precision
        if not colon or not self.function.isidentifier():
            parser.error(f"{args.target!r} is not of the form FILE:FUNCTION")
        if not self.file.is_file():
            parser.error(f"there is no file {file}")

    def load(self):
        """The function and its example arguments, with JAX in the precision that was asked for."""
        import jax

        jax.config.update("jax_enable_x64", self.precision == "float64")
        sys.path.insert(0, str(self.file.resolve().parent))
        names = self.told("running it", lambda: runpy.run_path(str(self.file)))
        if not callable(names.get(self.function)):
            stop(f"{self.script}: {self.file} has no function {self.function}")
        if not callable(names.get("example_args")):
            advice = f"define one that returns the arguments of {self.function} as a tuple"
            stop(f"{self.script}: {self.file} has no example_args(): {advice}")
        arguments = self.told("example_args()", names["example_args"])
        if not isinstance(arguments, tuple):
            stop(f"{self.script}: example_args() must return a tuple of arguments, it returned {type(arguments).__name__}")
        return names[self.function], arguments

    def told(self, what, call):
        """The call's result; its failure is told in one line, with the last line of the user's file that was reached."""
        try:
            return call()
        except Exception as error:
            lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == self.file.name]
            at = f" at line {lines[-1]}" if lines else ""
            message = (str(error).strip() or "no message").splitlines()[0]
            stop(f"{self.script}: {self.file}: {what} failed{at}: {type(error).__name__}: {message}")
