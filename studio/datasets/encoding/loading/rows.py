"""One row through LLaMA-Factory's converter, template and processor, without a model: whether it is trained, left out,
or stops the run.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem
from studio.datasets.encoding.loading.table import words_of
from studio.datasets.schema.observed_schema import MEDIA, Shape
from studio.datasets.schema.rules import Fault
from studio.models.chat_template_match.template_match import module, shipped

# Data without a template is judged by the one whose tools ask for most: what it takes all take.
STRICTEST = "default"
_MEDIA = tuple(f"_{column}" for column in MEDIA)


@dataclass(frozen=True)
class Judged:
    """What becomes of a row: `aligned` as the converter gives it (None where it fails), whether it is trained, and
    where a run would stop.
    """

    aligned: dict | None
    trained: bool
    fault: Fault | None = None


class RowJudge:
    """The converter, template and processor that a dataset's rows go through.

    Args:
        entry: of `dataset_info.json`.
        home: its data folder.
        settings: LLaMA-Factory's data arguments, of which `template` and `tool_format` count here.

    Raises:
        Problem: there is no such template.
    """

    def __init__(self, entry: dict, home: Path, settings: dict):
        llamafactory.load()
        from llamafactory.data.converter import get_dataset_converter
        from llamafactory.data.loader import _get_dataset_processor
        from llamafactory.data.parser import get_dataset_list
        from llamafactory.hparams import DataArguments

        self.shape = Shape.of(entry)
        self.arguments = DataArguments(dataset_dir=str(home), media_dir=str(home), cutoff_len=2**31)
        self.attributes = get_dataset_list(["row"], {"row": {"file_name": "row"} | entry})[0]
        self.name = settings.get("template") or STRICTEST
        self.template = _template(self.name, settings.get("tool_format"))
        self._convert = get_dataset_converter(self.attributes.formatting, self.attributes, self.arguments)
        stage = "rm" if self.shape.stage == "dpo" else self.shape.stage
        self._processor = _get_dataset_processor(self.arguments, stage, self.template, _Blank(), None)

    def judge(self, row: dict) -> Judged:
        """Return what becomes of a row as the loader has it."""
        try:
            aligned = self._convert(row)
        except Exception as error:  # whatever it is, the run would end with it
            return Judged(None, False, _stop(self._converting(row), error))
        columns = {key: [None] if key in _MEDIA else [copy.deepcopy(value)] for key, value in aligned.items()}
        try:
            made = self._processor.preprocess_dataset(columns)
        except Exception as error:
            return Judged(aligned, False, self._tool(aligned) or _stop(self._blamed(aligned), error))
        return Judged(aligned, any(len(column) for column in made.values()))

    def _converting(self, row: dict) -> str:
        """Return the field at which the converter fails: the last one without which it does not, of those that may be
        empty; else turns.
        """
        for column in ("history", "system", "tools", *MEDIA, "query", "prompt"):
            name = self.shape.columns.get(column)
            if not name or row.get(name) is None:
                continue
            if self._converts(dict(row) | {name: None}):
                return name
        columns = self.shape.columns
        return columns.get("messages" if self.shape.format != "alpaca" else "prompt", "")

    def _converts(self, row: dict) -> bool:
        """Tell whether LLaMA-Factory's converter takes a row. It raises whatever its code happens to raise."""
        try:
            self._convert(row)
        except Exception:
            return False
        return True

    def _tool(self, aligned: dict) -> Fault | None:
        """Return what is wrong with the tools of a converted row: the first one that the template cannot write, where
        one alone can be told.
        """
        place, tools = self.shape.columns.get("tools", ""), aligned["_tools"]
        if not tools or not (error := _failure(lambda: self.template.format_tools.apply(content=tools))):
            return None
        try:
            listed = json.loads(tools)
        except (ValueError, TypeError, RecursionError):
            return _stop(place, error)
        for index, tool in enumerate(listed if isinstance(listed, list) else []):
            alone = json.dumps([tool])
            if error := _failure(lambda alone=alone: self.template.format_tools.apply(content=alone)):
                facts = {"field": f"{place}[{index}]", "template": self.name}
                if isinstance(error, KeyError):
                    return Fault("tool_lacks", facts["field"], facts | {"key": str(error.args[0])})
                return Fault("tool_broken", facts["field"], facts | {"reason": words_of(error, innermost=False)})
        return _stop(place, error)

    def _blamed(self, aligned: dict) -> str:
        """Return the field of a converted row at which the template fails."""
        columns, turns = self.shape.columns, [*aligned["_prompt"], *aligned["_response"]]
        if aligned["_system"] and not isinstance(aligned["_system"], str):
            return columns.get("system", "")
        for place, turn in zip(self._places(len(turns)), turns, strict=True):
            if _failure(lambda turn=turn: self.template.encode_oneturn(_Blank(), [copy.copy(turn)], "", "")):
                return place
        return columns.get("messages" if self.shape.format != "alpaca" else "prompt", "")

    def _places(self, count: int) -> Iterator[str]:
        columns = self.shape.columns
        if self.shape.format == "alpaca":
            answers = [
                columns.get(name, "")
                for name in (("chosen", "rejected") if self.shape.stage == "dpo" else ("response",) * 2)
            ]
            history_column = columns.get("history", "")
            ends = [columns.get("prompt", ""), *answers]
            yield from [history_column] * max(0, count - len(ends))
            yield from ends[:count]
        else:
            yield from [columns.get("messages", "")] * count


def _failure(work) -> Exception | None:
    """Return what a piece of work raises."""
    try:
        work()
    except Exception as error:  # of any kind: the caller tells it
        return error
    return None


def _stop(field: str, error: Exception) -> Fault:
    return Fault("row_stops", field, {"field": field or "-", "reason": words_of(error, innermost=False)})


def _template(name: str, tool_format: str | None):
    """Return a template of LLaMA-Factory's that nobody else holds, and that leaves pictures, films and sounds alone."""
    llamafactory.load()
    from llamafactory.data.mm_plugin import get_mm_plugin

    if name not in shipped():
        raise Problem("train.no_such_template", field="template", template=name)
    template = copy.deepcopy(shipped()[name])
    template.mm_plugin = get_mm_plugin("base")
    if tool_format:
        source = module()
        try:
            template.format_function = source.FunctionFormatter(slots=["{{content}}"], tool_format=tool_format)
            template.format_tools = source.ToolFormatter(tool_format=tool_format)
        except ValueError as error:
            raise Problem("tokens.settings", reason=reasons.of(error)) from error
    return template


class _Blank:
    """A tokenizer for which every text is one token: whether a row can be encoded does not hang on its tokens."""

    eos_token, bos_token, pad_token = "</s>", "<s>", "</s>"
    eos_token_id = bos_token_id = pad_token_id = 0
    add_bos_token = False

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """Return the one token of a text. Raises TypeError for what is no text, as tokenizers do."""
        if not isinstance(text, str):
            raise TypeError(f"Expected a string, got {text!r}")
        return [1]

    def convert_tokens_to_ids(self, token: str) -> int:
        """Return the id of a token."""
        return 1

    def __call__(self, texts: list[str], **settings: object) -> dict[str, list]:
        ids = [self.encode(text) for text in texts]
        return {"input_ids": ids, "attention_mask": [[1]] * len(ids)}
