"""A row in LLaMA-Factory's own form, by its converters: turns, system prompt, tools and media. Needs no tokenizer."""

from collections.abc import Iterable

from PIL.Image import DecompressionBombError

from studio.core import llamafactory
from studio.datasets.encoding.loaded_row import filled, structure_of, widened
from studio.datasets.schema.observed_schema import Shape

# What LLaMA-Factory's converters, templates and processors raise on a row that is not as they expect, and Pillow on an
# image of too many pixels.
ROW_FAULTS = (
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    OSError,
    DecompressionBombError,
)


class RowConverter:
    """The converter of one dataset.

    Args:
        entry: the dataset's entry of `dataset_info.json`.
        arguments: LLaMA-Factory's `DataArguments`, as `tokenization.data_arguments` gives them.
    """

    def __init__(self, entry: dict, arguments):
        llamafactory.load()
        from llamafactory.data.converter import get_dataset_converter
        from llamafactory.data.parser import get_dataset_list

        self.shape = Shape.of(entry)
        self._structure = structure_of(self.shape)
        self._convert = get_dataset_converter(
            self.shape.format, get_dataset_list(["row"], {"row": {"file_name": "row"} | entry})[0], arguments
        )

    def observe_schema(self, rows: Iterable[dict]) -> None:
        """Take in which keys other rows of the same file have: in a row that lacks them they are null, inside a tool
        call too.
        """
        for row in rows:
            self._structure = widened(self._structure, row)

    def align(self, row: dict) -> dict:
        """Return a row as LLaMA-Factory has it: `_prompt`, `_response`, `_system`, `_tools`, `_images`, `_videos`,
        `_audios`.

        Raises:
            Exception: whatever its converters raise on a row that is not as they expect.
        """
        return self._convert(filled(self._structure, row))
