"""Libraries that this process has imported already, for what has no reason to import them itself."""

import sys
from types import ModuleType


def imported(name: str) -> ModuleType | None:
    """Return a library's module once it is whole, None before.

    Another thread may be importing it, which takes seconds: until then `sys.modules` has a module of which half is
    missing.
    """
    module = sys.modules.get(name)
    # What the import system itself marks a module with while its code runs (importlib._bootstrap).
    return None if getattr(getattr(module, "__spec__", None), "_initializing", False) else module
