"""The heavy libraries (torch, transformers, peft, trl, datasets, LLaMA-Factory): one door to them, for the whole
process.

Whoever imports one of them asks here first. Two threads that import transformers at the same time see it half made, and
one of them fails; and where `llamafactory.model` comes before the trainers, trl takes mergekit for installed and no DPO
can be trained any more.
"""

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

from studio.core import code_guard, reasons
from studio.core.i18n import Problem
from studio.core.processes import bfloat16_products, collector

_loading = threading.Lock()
_here = threading.local()
_loaded = False
_fault: Problem | None = None


def load() -> None:
    """Import LLaMA-Factory and the libraries under it, which takes seconds the first time, or wait until another thread
    has.

    Raises:
        Problem: the installation is broken, which is told in the same words to all who ask; or this thread does not
            wait (`no_waiting`).
    """
    global _loaded, _fault
    if _loaded:
        return
    if getattr(_here, "hurried", False) and _fault is None:
        begin()
        raise Problem("app.libraries_loading")
    with _loading:
        if _loaded:
            return
        if _fault is None:
            try:
                ignore_warning_of_jieba()
                with collector.paused(), without_chardet():
                    import llamafactory.train.tuner  # noqa: F401

                code_guard.install()
                bfloat16_products.install()
            # what a broken installation raises: import errors, missing system libraries, clashes of versions
            except Exception as error:
                # Where the process is ending, imports fail half way, and nothing is wrong with the installation.
                if threading.main_thread().is_alive():
                    logging.getLogger(__name__).exception("the libraries cannot be loaded")
                _fault = Problem("app.libraries_broken", reason=reasons.of(error))
            else:
                _loaded = True
                return
        raise Problem(_fault.key, **_fault.facts)


def ignore_warning_of_jieba() -> None:
    """Let jieba, by which LLaMA-Factory and the studio cut Chinese words, be imported without telling how old it is.

    It asks pkg_resources for its own files where there is one, and opens them where there is none.
    """
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)


@contextlib.contextmanager
def without_chardet() -> Iterator[None]:
    """Let requests, by which the hubs are asked, take the smaller of the two libraries that it can guess a text's
    encoding with: the tables of the other, chardet, take most of a second to read.
    """
    if "chardet" in sys.modules:
        yield
        return
    sys.modules["chardet"] = None
    try:
        yield
    finally:
        del sys.modules["chardet"]


def ready() -> bool:
    """Tell whether the libraries are there, so that `load` returns at once."""
    return _loaded


def begin() -> None:
    """Begin to load in the background, where nobody has."""
    if _loaded or _fault or _loading.locked():
        return

    def work() -> None:
        with contextlib.suppress(Problem):  # told to whoever needs them
            load()

    with contextlib.suppress(RuntimeError):  # no thread can be started while the studio ends
        threading.Thread(target=work, name="load-libraries", daemon=True).start()


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    """Let this thread not wait for the libraries: a page that is drawn every second says that they are being loaded."""
    before, _here.hurried = getattr(_here, "hurried", False), True
    try:
        yield
    finally:
        _here.hurried = before
