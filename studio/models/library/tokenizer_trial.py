"""The tokenizer of a model, loaded to see whether it can be. Runs in the child process of `core.limited`, and there
alone.
"""

from pathlib import Path

from studio.core.processes import collector

# Texts on which a rule of a tokenizer that goes back and forth takes for ever: long runs of one kind of character, and
# their ends.
TRIALS = (
    "a" * 3000 + "!",
    " " * 3000 + "x",
    "1" * 3000 + ".",
    "\n" * 3000 + "x",
    "aA" * 1500,
    "'s" * 1500,
    "中" * 1500 + "。",
    "!?" * 1500 + "a",
)


def warm() -> bool:
    """Import what a tokenizer takes, so that the first one need not wait for it."""
    with collector.paused():
        from transformers import AutoTokenizer

    return bool(AutoTokenizer)


def try_tokenizer(folder: str) -> dict:
    """Return {"loaded", "reason"}: whether transformers loads the tokenizer in `folder`, none of the model's code being
    run.

    One that it does not load this way is no fault here: who needs it loads it himself, and hears why.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except MemoryError:
        raise
    except Exception as error:  # each kind of file fails in its own ways
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        tokenizer = _plain(Path(folder) / "tokenizer.json")
        if tokenizer is None:
            return {"loaded": False, "reason": reason}
    for text in TRIALS:
        _encode(tokenizer, text)
    return {"loaded": True, "reason": None}


def _encode(tokenizer, text: str) -> None:
    try:
        tokenizer.encode(text)
    except MemoryError:
        raise
    except BaseException:  # its library panics where a rule goes back and forth too long, by which it has ended
        return


def _plain(file: Path):
    """Return the tokenizer of a tokenizer.json by itself, None where there is none."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(file)) if file.is_file() else None
    except Exception:  # tokenizers raises no kind of its own
        return None
