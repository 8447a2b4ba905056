"""LLaMA-Factory's templates by number. To ask for their names while tests are collected would import the engine."""

from conftest import one_in

from studio.models.chat_template_match.template_match import shipped

# Each fourth is always tried, all of them with the long tests and by `python -m benchmarks parity`.
NUMBERS = one_in(4, range(121))


def template_name(number: int) -> str:
    """Return the name of one of them."""
    return sorted(shipped())[number]
