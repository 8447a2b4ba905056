"""What gradio does for each of its classes as it is imported, made short.

It writes type stubs for editors: the source of each of its 60 classes is read twice for that, about as long as the rest
of its import takes. And it works out what arguments a class takes anew for each part of a page, five times; here that
is done once for a class.

Every process of the studio imports this first, the many that need no gradio too: what it needs itself is imported late.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

WRITER = "gradio.component_meta"


def shorten() -> None:
    """Let gradio do so when it is imported; without effect where it is already."""
    if WRITER not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds the module that makes the classes, once, and changes what it does after each."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the changed module, None for every other."""
        if name != WRITER:
            return None
        import importlib.util

        sys.meta_path.remove(self)
        found = importlib.util.find_spec(name)
        load = found.loader.exec_module

        def changed(module: ModuleType) -> None:
            load(module)
            module.create_or_modify_pyi = _keep_signature

        found.loader.exec_module = changed
        return found


def _keep_signature(kind: type, *_: object) -> None:
    import inspect

    made_by = inspect.unwrap(kind.__init__)
    if inspect.isfunction(made_by):
        made_by.__signature__ = inspect.signature(made_by)
