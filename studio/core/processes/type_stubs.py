"""Whenever gradio is imported it writes type stubs of its components, for editors.

It reads the source of each of its 60 classes twice for that, about as long as the rest of its import takes.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

WRITER = "gradio.component_meta"


def leave_out() -> None:
    """Let gradio write no stubs when it is imported; without effect where it is already."""
    if WRITER not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds the module that writes them, once, and takes the writing out of it as it is loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != WRITER:
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(name)
        load = found.loader.exec_module

        def without_writing(module: ModuleType) -> None:
            load(module)
            module.create_or_modify_pyi = lambda *_: None

        found.loader.exec_module = without_writing
        return found
