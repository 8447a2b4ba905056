"""What the page's first visit does: the starter run with one press, and never again."""

from collections.abc import Callable

from studio.first_visit.page.schemas import VisitResult
from studio.first_visit.visit import FirstVisit


def endpoints(visit: FirstVisit) -> list[Callable]:
    """Return the endpoints of the first visit."""

    def first_visit_start() -> VisitResult:
        """Start the starter run, once, and return {is_over, run}."""
        return VisitResult(is_over=False, run=visit.start().name)

    def first_visit_end() -> VisitResult:
        """Never show the first visit again, and return {is_over, run}."""
        visit.end()
        return VisitResult(is_over=True, run=None)

    return [first_visit_start, first_visit_end]
