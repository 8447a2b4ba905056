"""`llama-server` on the PATH: the very server, from the Python package that is among the tests' dependencies."""

import sys
from pathlib import Path

from studio.inference.llama_cpp import llama_server


def on_the_path(folder: Path) -> Path:
    """Make the program `llama-server` in a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "llama-server"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P "{llama_server.__file__}" "$@"\n')
    program.chmod(0o755)
    return folder
