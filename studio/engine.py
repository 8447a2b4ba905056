"""LLaMA-Factory, loaded once."""

import threading

from studio.core import code_guard

_loading = threading.Lock()


def load() -> None:
    """Import LLaMA-Factory and the libraries under it, which takes seconds the first time.

    Whoever needs them asks here first. Two threads that import transformers at the same time see it half made, and one of them fails;
    and where `llamafactory.model` comes before the trainers, trl takes mergekit for installed and no DPO can be trained any more.
    """
    with _loading:
        import llamafactory.train.tuner  # noqa: F401

        code_guard.install()
