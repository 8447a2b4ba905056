"""How a figure of a card stands in the table."""


def gib(number: float) -> str:
    """Return bytes as a table shows them."""
    return f"{number / 2**30:.2f} GiB"
