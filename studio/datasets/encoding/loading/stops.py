"""What of a verdict ends a run, as a fault that names the row, the field and the person's own file."""

from pathlib import Path

from studio.core.i18n import Problem
from studio.datasets.encoding.loading.judge import Verdict
from studio.datasets.schema.rules import Fault

# In a row at which the converter, the template or the processor raises. Of a tool each template asks for something
# else.
IN_A_ROW = ("row_stops", "tool_lacks", "tool_broken")
OF_A_TEMPLATE = ("tool_lacks", "tool_broken")
# In a file that does not become a table.
IN_A_FILE = ("late_type", "mixed_types", "not_loaded")


def of(verdict: Verdict) -> list[tuple[int, Fault]]:
    """Return the faults that end a run, each with its row (0: the whole set), those that name a row first and in
    order.
    """
    ending = [
        (row, fault)
        for row, fault in verdict.faults
        if fault.kind in IN_A_ROW and row in verdict.stopping or fault.kind in IN_A_FILE and not verdict.kept
    ]
    return sorted(ending, key=lambda pair: (pair[0] == 0, pair[0]))


def problem_of(dataset: str, file: Path, row: int, fault: Fault) -> Problem:
    """Return what a person is told of a fault of `of`: `column` is the place in the row, `row` counts from 1."""
    facts, where = fault.facts, {"dataset": dataset, "file": file.name}
    if fault.kind == "not_loaded":
        return Problem("faults.data_file", **where, message=facts.get("reason", "?"))
    where |= {"row": row, "column": fault.field or "-"}
    if fault.kind in ("late_type", "mixed_types"):
        types = {"found": facts.get("found", "?"), "first": facts.get("first", "?"), "before": facts.get("row", "?")}
        return Problem("faults.found_late" if fault.kind == "late_type" else "faults.found_mixed", **where, **types)
    if fault.kind == "tool_lacks":
        return Problem("faults.found_tool", **where, key=facts.get("key", "?"), template=facts.get("template", "?"))
    return Problem("faults.found_row", **where, message=facts.get("reason", "?"))
