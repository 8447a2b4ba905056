"""What stands in a prompt for an image: LLaMA-Factory's plugin of the model writes it, and the model's processor then
repeats the image token as often as the image needs.
"""

import copy

PLACEHOLDER = "<image>"  # LLaMA-Factory's, in a message
_FAULTS = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError, NotImplementedError)


class _ImageProcessor:
    merge_size = 2  # of no effect before an image is filled in


class _Processor:
    """Stands for a processor where the plugin needs none of its tokens; it has none, so that none is made up."""

    image_processor = _ImageProcessor()


def written(template, turns: list[dict], processor=None) -> list[dict]:
    """Return turns with what the plugin writes for each image, one image token each.

    Args:
        template: LLaMA-Factory's.
        turns: in LLaMA-Factory's roles, with `PLACEHOLDER` for an image.
        processor: of the model; some plugins read their tokens from it.

    Raises:
        ValueError, AttributeError, TypeError: the template takes no images, or its plugin needs the processor.
    """
    from PIL import Image

    plugin = copy.copy(template.mm_plugin)
    plugin.expand_mm_tokens = False
    count = sum(turn["content"].count(PLACEHOLDER) for turn in turns)
    images = [Image.new("RGB", (56, 56)) for _ in range(count)]
    return plugin.process_messages(copy.deepcopy(turns), images, [], [], processor or _Processor())


def image_text(template, processor=None) -> str | None:
    """Return what stands for one image; None where the template takes none, numbers them, or needs the processor."""
    asked = f"1{PLACEHOLDER}2{PLACEHOLDER}3"
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": ""}]
    try:
        text = written(template, turns, processor)[0]["content"]
    except _FAULTS:
        return None
    first, _, second = text.removeprefix("1").removesuffix("3").partition("2")
    return first if first == second else None
