"""Why a run failed, in one sentence with what to do."""

import errno
import re
import traceback
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.train.faults import place, signs

# How the libraries under a trainer tell that nothing more can be written: the system's own words, safetensors', torch's
# and arrow's.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FULL_SIGNS = (
    "No space left on device",
    "os error 28",
    "Disk quota exceeded",
    "os error 122",
    "File too large",
    "os error 27",
    "file write failed",
    "PytorchStreamWriter failed writing",
    "not enough space on the disk",
    "unexpected pos ",
)
ZEROES = (
    "gradient_accumulation_steps",
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "logging_steps",
    "save_steps",
    "eval_steps",
    "cutoff_len",
    "lora_rank",
    "val_size",
    "max_steps",
    "num_train_epochs",
    "dataloader_num_workers",
)
LONGEST = 400  # characters of what a library said


def _ours(error: BaseException) -> Problem | None:
    """Return the Problem that an error is, or that a library put its own words around, None where there is none."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, Problem):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether an error, or one that it came from, says that the disk has no room (or the person's share of it
    none).
    """
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        facts = error.facts.values() if isinstance(error, Problem) else (error,)
        if isinstance(error, OSError) and error.errno in FULL or any(tells_disk_full(str(fact)) for fact in facts):
            return True
        error = error.__cause__ or error.__context__
    return False


def tells_disk_full(text: str) -> bool:
    """Tell whether a message, or the end of a log, says that the disk has no room."""
    return any(sign in text for sign in FULL_SIGNS)


def explain(error: BaseException, recipe: dict[str, object] | None = None) -> Problem:
    """Return what a person should be told of an error that ended a run: what the library said, where, and what to do.

    Args:
        recipe: of the run, which names the data and the settings that the error may be about.
    """
    recipe = recipe or {}
    if (known := _ours(error)) and not is_disk_full(error):
        return known
    if is_disk_full(error):
        return Problem("train.disk_full")
    found = place.of(error)
    found.dataset = found.dataset or str(recipe.get("dataset") or "?")
    return (
        _of_data(error, recipe, found)
        or _of_signs(error)
        or _of_files(error)
        or _of_data_anywhere(error, found)
        or _other(error)
    )


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:LONGEST]


def _of_signs(error: BaseException) -> Problem | None:
    for sign in signs.SIGNS:
        for one in place.chain(error):
            if found := sign.pattern.search(f"{type(one).__name__}: {one}"):
                facts = {"message": _words(one), **_BLANK, **signs.named(found)}
                if sign.key == "train.library_missing" and re.fullmatch(
                    r"[\w.-]+", str(getattr(one, "name", None) or "")
                ):
                    facts["name"] = str(one.name).partition(".")[0]
                return Problem(sign.key, **facts)
    return None


_BLANK = {"name": "?", "targets": "?", "type": "?"}  # what a wording of a sign does not name


def _of_data(error: BaseException, recipe: dict[str, object], found: place.Place) -> Problem | None:
    """Return what is told of errors that only data and numbers make, None for any other."""
    text = _words(error)
    if isinstance(error, StopIteration) or "Cannot find valid samples" in text and recipe.get("streaming"):
        return Problem("faults.stream_ended", dataset=found.dataset, field="dataloader_num_workers")
    if "Cannot find sufficient samples" in text:
        return Problem(
            "faults.too_little", dataset=found.dataset, cutoff=recipe.get("cutoff_len", "?"), field="cutoff_len"
        )
    if "Cannot find valid samples" in text:
        return Problem("faults.no_rows", dataset=found.dataset, stage=recipe.get("stage", "?"))
    if isinstance(error, ZeroDivisionError) and (
        zero := next((name for name in ZEROES if recipe.get(name) == 0), None)
    ):
        return Problem("faults.zero", field=zero)
    if any(
        type(one).__name__
        in (
            "DatasetGenerationError",
            "DatasetGenerationCastError",
            "CastError",
            "ArrowInvalid",
            "ParserError",
            "ArrowTypeError",
        )
        for one in place.chain(error)
    ):
        return _of_reader(error, found)
    if found.in_tools and isinstance(error, (KeyError, TypeError, AttributeError, ValueError, RuntimeError)):
        return _with_row("faults.tools", "faults.tools_row", found, message=_told(error))
    return None


def _of_reader(error: BaseException, found: place.Place) -> Problem:
    """Return what is told of a data file that the reader cannot make a table of: the file by its own name, the column
    and the row.
    """
    errors = place.chain(error)
    cause = next(
        (one for one in reversed(errors) if type(one).__name__ not in ("DatasetGenerationError", "StopIteration")),
        errors[-1],
    )
    text = " ".join(_words(one) for one in errors)
    file = found.file.name if found.file else found.dataset
    changed = re.search(r"Column\(/?(?P<column>.*?)\) changed from \w+ to \w+ in row (?P<row>\d+)", text)
    column = (changed["column"].split("/")[0] if changed else "") or found.column
    if column:
        row = (place.row_of_other_type(found.file, column, "to null" in text) if found.file else None) or (
            int(changed["row"]) + 1 if changed else None
        )
        facts = {"file": file, "column": column, "message": _words(cause)}
        return Problem("faults.type_changes", row=row, **facts) if row else Problem("faults.types", **facts)
    return Problem("faults.data_file", file=file, message=_words(cause) or type(cause).__name__)


def _of_files(error: BaseException) -> Problem | None:
    """Return what is told of a file that cannot be read or written, None where it is no error of a file."""
    for one in place.chain(error):
        if isinstance(one, OSError) and one.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            return Problem("workspace.unwritable", path=one.filename, reason=reasons.of(one))
        if isinstance(one, FileNotFoundError) and one.filename:
            return Problem("faults.file_gone", path=one.filename)
        if isinstance(one, UnicodeDecodeError):
            return Problem("faults.encoding", message=_words(one))
    return None


def _of_data_anywhere(error: BaseException, found: place.Place) -> Problem | None:
    """Return what is told of any other error while LLaMA-Factory read the data, None where it did not."""
    if not found.in_data:
        return None
    if isinstance(error, KeyError) and found.row == 1:
        return Problem("faults.column", dataset=found.dataset, column=_words(error).strip("'\""))
    return _with_row("faults.data", "faults.data_row", found, message=_told(error))


def _with_row(key: str, with_row: str, found: place.Place, **facts: object) -> Problem:
    """Return the sentence that names the row, where it is known, else the one that does not."""
    if found.row:
        return Problem(with_row, dataset=found.dataset, row=found.row, **facts)
    return Problem(key, dataset=found.dataset, **facts)


def _told(error: BaseException) -> str:
    """Return an error's words; those of an error that has only a name or a key in them with its kind."""
    words = _words(error)
    return words if " " in words else f"{type(error).__name__}: {words}" if words else type(error).__name__


def _other(error: BaseException) -> Problem:
    message = _words(error)
    if isinstance(error, (ValueError, AssertionError)) and message:
        return Problem("train.refused", message=message)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "/".join(Path(last[0].filename).parts[-2:]) + f":{last[0].lineno}" if last else "?"
    return Problem("train.failed", kind=type(error).__name__, message=message or "?", where=where)
