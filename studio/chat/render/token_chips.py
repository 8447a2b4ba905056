"""The tokens of a prompt, each in a frame of its own. In Python and not in a template: there are thousands of them."""

from functools import lru_cache

from markupsafe import Markup, escape


@lru_cache(maxsize=32)
def token_chips(
    ids: tuple[int, ...], texts: tuple[str, ...], special: frozenset[int], differs_at: int | None
) -> Markup:
    """Return token ids with their texts as HTML.

    Args:
        special: ids that are no text, as those that end a turn.
        differs_at: the index of the token to be marked as the first that differs, None for none.
    """
    chips = (
        f'<span class="tok{_classes(id in special, index == differs_at)}" title="{index}: {escape(id)}">'
        f"{escape(text) or '·'}</span>"
        for index, (id, text) in enumerate(zip(ids, texts, strict=False))
    )
    return Markup("".join(chips))


def _classes(is_special: bool, differs: bool) -> str:
    return (" special" if is_special else "") + (" differs" if differs else "")
