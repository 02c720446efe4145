"""The project's own environment: `.venv`, made with the standard library alone, with pinned versions. Imports nothing else."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
ACCELERATORS = ("cuda12", "cuda13", "tpu")


def enter(*extras):
    """Return inside `.venv` with the given extras of pyproject.toml installed; before that, make it and start this script anew there."""
    if sys.version_info < (3, 11):
        stop("bpjax needs Python 3.11 or newer, and this is {}.{}: run the script with a newer python3".format(*sys.version_info[:2]))
    stamps = {extra: VENV / ("installed-" + extra) for extra in extras}
    wanted = {extra: _fingerprint(extra) for extra in extras}
    missing = [e for e in extras if not PYTHON.exists() or not stamps[e].exists() or stamps[e].read_text() != wanted[e]]
    if missing:
        _make()
        _install(missing)
        for extra in missing:
            stamps[extra].write_text(wanted[extra])
    if Path(sys.prefix).resolve() != VENV.resolve():
        command = [str(PYTHON), *sys.argv]
        if os.name == "nt":
            sys.exit(subprocess.call(command))
        sys.stdout.flush()
        os.execv(command[0], command)


def stop(line):
    """One line on stderr, exit status 2."""
    print(line, file=sys.stderr)
    sys.exit(2)


def _fingerprint(extra):
    """What an installed environment depends on: if this changes, it is installed again."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")] + [str(VENV).encode(), extra.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _make():
    if PYTHON.exists() and subprocess.call([str(PYTHON), "-c", "import pip"], stderr=subprocess.DEVNULL) == 0:
        return
    try:
        import ensurepip  # noqa: F401  Debian's python3 has venv without it
        import venv
    except ImportError:
        version = "{}.{}".format(*sys.version_info[:2])
        stop("this Python cannot make a virtual environment; on Debian and Ubuntu: apt install python{}-venv".format(version))
    print("making .venv (once)", flush=True)
    venv.create(VENV, with_pip=True, clear=True)


def _install(extras):
    print("installing pinned versions for: {} (once, takes a minute or more)".format(", ".join(extras)), flush=True)
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    for other in ("cuda12", "cuda13"):  # two CUDA plugins in one environment do not load
        if any(e in ACCELERATORS for e in extras) and other not in extras and (VENV / ("installed-" + other)).exists():
            subprocess.call([*pip, "uninstall", "--yes", "jax-{}-plugin".format(other), "jax-{}-pjrt".format(other)])
            (VENV / ("installed-" + other)).unlink()
    command = [*pip, "install", "-c", str(ROOT / "constraints.txt"), "-e", "{}[{}]".format(ROOT, ",".join(extras))]
    if subprocess.call(command) != 0:
        stop("the installation failed; pip says why above")
