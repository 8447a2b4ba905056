"""The arithmetic and the table of the benchmarks; nothing here measures time."""

from benchmarks import report
from benchmarks.__main__ import BENCHMARKS, arguments


def row(benchmark: str, what: str) -> report.Row:
    return report.compared(benchmark, what, [1.0], [2.0], 0.5)


def test_every_file_that_measures_is_a_benchmark():
    """They are found by themselves, say what they measure and how often, and nothing else of the package is taken for
    one.
    """
    assert {"start", "first_step", "overhead", "live", "compare"} <= BENCHMARKS.keys()
    assert not {"report", "commands", "browser"} & BENCHMARKS.keys()
    for name, module in BENCHMARKS.items():
        assert module.__doc__ and module.RUNS >= 1, name


def test_a_ratio_is_that_of_the_medians_with_the_spread_of_the_pairs():
    ours, theirs = [1.0, 2.0, 9.0], [4.0, 4.0, 3.0]
    assert report.ratio(ours, theirs) == 0.5
    compared = report.compared("start", "x", ours, theirs, 0.5)
    assert (compared.ratio, compared.reached) == ("0.500 (0.250–3.000)", True)
    assert compared.ours == "2 s (1–9)"
    assert not report.compared("start", "x", ours, theirs, 0.49).reached
    assert report.compared("start", "x", ours, theirs, None).reached is None


def test_a_percentile_is_a_measured_value():
    values = [float(value) for value in range(100, 0, -1)]
    assert report.percentile(values, 0.95) == 95
    assert report.percentile(values, 1) == 100
    assert report.percentile([3.0], 0.95) == 3


def test_only_the_rows_that_were_run_are_replaced(tmp_path):
    file, order = tmp_path / "RESULTS.md", ["start", "live"]
    report.write([row("live", "old delay"), row("live", "old tick")], ["- live: `old`"], order, file)
    report.write([row("start", "page")], ["- start: `first`"], order, file)
    report.write([row("live", "new delay")], ["- live: `new`"], order, file)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [line.split(" | ")[1] for line in lines if line.startswith(("| start", "| live"))] == ["page", "new delay"]
    assert [line for line in lines if line.startswith("- ")] == ["- start: `first`", "- live: `new`"]
    assert "| start | page | 1 s | 2 s | 0.500 | at most 0.5 | yes |" in lines


def test_a_benchmark_that_is_no_more_leaves_the_table(tmp_path):
    file = tmp_path / "RESULTS.md"
    report.write([row("gone", "x"), row("start", "y")], [], ["gone", "start"], file)
    report.write([row("start", "z")], [], ["start"], file)
    assert "gone" not in file.read_text(encoding="utf-8")


def test_the_command_runs_all_or_those_named(capsys):
    assert arguments([]).names == []
    assert arguments(["live", "--runs", "2"]).runs == 2
    try:
        arguments(["lives"])
    except SystemExit as end:
        assert end.code == 2
    assert "lives" in capsys.readouterr().err
