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
                with collector.paused(), without("chardet", "sklearn", "scipy.stats"):
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
def without(*names: str) -> Iterator[None]:
    """Let libraries that others only use where they find them be taken for missing: to read them takes two seconds.

    requests guesses a text's encoding with the smaller of two libraries where there is no chardet; nltk, of which
    LLaMA-Factory takes BLEU, leaves its classifiers and tests of significance away without scikit-learn and scipy's
    statistics; and transformers a curve for assisted generation, of which the studio has none.
    """
    from transformers import utils
    from transformers.utils import import_utils

    hidden, is_there = [name for name in names if name not in sys.modules], import_utils.is_sklearn_available
    sys.modules.update(dict.fromkeys(hidden))
    for module in (utils, import_utils):
        module.is_sklearn_available = lambda: "sklearn" not in names and is_there()
    try:
        yield
    finally:
        for module in (utils, import_utils):
            module.is_sklearn_available = is_there
        for name in hidden:
            del sys.modules[name]


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
