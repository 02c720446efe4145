"""The project's own environment: `.venv`, made with the standard library alone, with pinned versions. Imports nothing else.

A second one, `.venv-newest`, holds the newest JAX that the project runs on, in a newer Python: `newest()` starts a script there. With
`--libraries` the environment is a third one, `.venv-libraries`, so that what they bring is in no other run; with `--hardware` a fourth,
`.venv-hardware`, in which XLA compiles for a GPU that is not there.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IS_NEWEST = os.environ.get("BPJAX_NEWEST") == "1"
HAS_LIBRARIES, HAS_HARDWARE = "--libraries" in sys.argv, "--hardware" in sys.argv
VENV = ROOT / (".venv" + "-newest" * IS_NEWEST + "-libraries" * HAS_LIBRARIES + "-hardware" * HAS_HARDWARE)
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
ACCELERATORS = {  # and what each brings at least
    "cuda12": ("jax-cuda12-plugin", "jax-cuda12-pjrt"),
    "cuda13": ("jax-cuda13-plugin", "jax-cuda13-pjrt"),
    "tpu": ("libtpu",),
}


def enter(*extras):
    """Return inside `.venv` with the given extras of pyproject.toml installed; before that, make it and start this script anew there."""
    if sys.version_info < (3, 11):
        stop("bpjax needs Python 3.11 or newer, and this is {}.{}: run the script with a newer python3".format(*sys.version_info[:2]))
    stamps = {extra: VENV / ("installed-" + extra) for extra in extras}
    wanted = {extra: _fingerprint(extra) for extra in extras}
    missing = [e for e in extras if not PYTHON.exists() or not stamps[e].exists() or stamps[e].read_text() != wanted[e]]
    if missing:
        _make()
        _install([extra for extra in missing if extra not in ACCELERATORS])
        for extra in [extra for extra in missing if extra in ACCELERATORS]:
            before = _distributions()
            _install([extra])
            _note("brought", extra).write_text("\n".join(sorted(_distributions() - before)))
        if HAS_HARDWARE and _pip("install", "--quiet", "--no-deps", "-r", str(ROOT / "constraints-hardware.txt")).returncode != 0:
            print("what compiles for other hardware could not be installed; pip says why above. Nothing was compiled for it.")
            sys.exit(0)
        for extra in missing:
            stamps[extra].write_text(wanted[extra])
    if HAS_HARDWARE:
        os.environ.update(JAX_PLATFORMS="cpu", JAX_SKIP_CUDA_CONSTRAINTS_CHECK="1")  # no such device is here
    if Path(sys.prefix).resolve() != VENV.resolve():
        command = [str(PYTHON), *sys.argv]
        if os.name == "nt":
            sys.exit(subprocess.call(command))
        sys.stdout.flush()
        os.execv(command[0], command)


def found(accelerator):
    """Remember that JAX has found this accelerator here."""
    _note("found", accelerator).touch()


def withdraw(accelerator):
    """Uninstall what an accelerator brought of which JAX finds none here, or its library would have its say in every later run.

    One that was found before stays: it may only be busy.
    """
    installed, brought = VENV / ("installed-" + accelerator), _note("brought", accelerator)
    if not installed.exists() or _note("found", accelerator).exists():
        return
    _uninstall([*ACCELERATORS[accelerator], *(brought.read_text().split() if brought.exists() else ())])
    installed.unlink()
    brought.unlink(missing_ok=True)


def interruptible(main, *arguments):
    """What main returns, for sys.exit; after Ctrl-C one word, and the status that a shell gives for it."""
    try:
        return main(*arguments)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def newest():
    """Start this script anew in the environment of the newest JAX; return where there is no Python for it, or in it already."""
    if IS_NEWEST:
        return
    candidates = [shutil.which("python3.13"), *glob.glob(os.path.expanduser("~/.pyenv/versions/3.13*/bin/python"))]
    for python in filter(None, candidates):
        if subprocess.call([python, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            sys.exit(subprocess.call([python, *sys.argv], env=dict(os.environ, BPJAX_NEWEST="1")))


def stop(line):
    """One line on stderr, exit status 2."""
    print(line, file=sys.stderr)
    sys.exit(2)


def _fingerprint(extra):
    """What an installed environment depends on: if this changes, it is installed again."""
    parts = [(ROOT / "pyproject.toml").read_bytes(), _constraints().encode()] + [str(VENV).encode(), extra.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _constraints():
    """The pinned versions; those of a later file take the place of others."""
    files = ["constraints.txt"] + ["constraints-newest.txt"] * IS_NEWEST + ["constraints-libraries.txt"] * HAS_LIBRARIES
    files += ["constraints-hardware.txt"] * HAS_HARDWARE
    lines = {}
    for name in files:
        lines.update((line.split("==")[0], line) for line in (ROOT / name).read_text().splitlines())
    return "\n".join(lines.values())


def _make():
    if PYTHON.exists() and subprocess.call([str(PYTHON), "-c", "import pip"], stderr=subprocess.DEVNULL) == 0:
        return
    try:
        import ensurepip  # noqa: F401  Debian's python3 has venv without it
        import venv
    except ImportError:
        version = "{}.{}".format(*sys.version_info[:2])
        stop("this Python cannot make a virtual environment; on Debian and Ubuntu: apt install python{}-venv".format(version))
    print("making {} (once)".format(VENV.name), flush=True)
    venv.create(VENV, with_pip=True, clear=True)


def _note(what, extra):
    return VENV / (what + "-" + extra)


def _pip(*arguments, **options):
    return subprocess.run([str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments], **options)


def _distributions():
    """The names of what is installed."""
    listed = _pip("list", "--format=freeze", stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
    return {line.split("==")[0] for line in listed.splitlines()}


def _uninstall(names):
    _pip("uninstall", "--quiet", "--yes", *names)


def _install(extras):
    if not extras:
        return
    print("installing pinned versions for: {} (once, takes a minute or more)".format(", ".join(extras)), flush=True)
    for other in ("cuda12", "cuda13"):  # two CUDA plugins in one environment do not load
        if any(e in ACCELERATORS for e in extras) and other not in extras and (VENV / ("installed-" + other)).exists():
            _uninstall(ACCELERATORS[other])
            (VENV / ("installed-" + other)).unlink()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pinned:
        pinned.write(_constraints())
        pinned.flush()
        if _pip("install", "--quiet", "-c", pinned.name, "-e", "{}[{}]".format(ROOT, ",".join(extras))).returncode != 0:
            stop("the installation failed; pip says why above")
