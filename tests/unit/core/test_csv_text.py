"""CSV opens in a table program as it was meant: in its characters, and nothing in it is computed."""

import csv
import io

import pytest

from studio.core.storage.csv_text import csv_text
from studio.deploy.load_test.load_report_files import report_file
from studio.deploy.load_test.load_summary import Spread, StepSummary

NONE = Spread(*[None] * len(Spread.__dataclass_fields__))


def of_load_test(name: str) -> str:
    step = StepSummary(
        name, name, 1, True, 1.0, 1, 0, 1, 1, 1.0, 1.0, NONE, NONE, NONE, NONE, None, True, None, None, ()
    )
    return report_file(None, (step,), "csv")


@pytest.mark.parametrize("form", [lambda name: csv_text([["server"], [name]]), of_load_test])
@pytest.mark.parametrize("name", ["=1+1", "-回答", "@SUM(A1)", "你好", 'a "b",\nc'])
def test_a_table_program_reads_the_text_and_computes_none_of_it(form, name):
    text = form(name)
    assert text.startswith("\ufeff")
    (line,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert line["server"] == (f"'{name}" if name[0] in "=-@" else name)


def test_a_number_below_zero_stays_a_number():
    assert csv_text([["a"], [-1.5]]) == "\ufeffa\r\n-1.5\r\n"
