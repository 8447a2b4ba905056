"""What an evaluation comes to: scores with intervals, differences, the sentence, what is counted."""

import evaluation_files as written
import numpy
import pytest
from evaluation_files import BASE, TUNED

from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.evaluate.evaluation import EvaluatedRow, Judged, Prediction, RowScores, RowSums
from studio.evaluate.page.report import charts
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.columns import corpus
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.side_by_side import side_by_side
from studio.evaluate.reports.summary import histogram, scatter, shown_p, summary
from studio.evaluate.scores.metric import AnsweredRow, row_statistics, score_row


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path).prepare()


def table_of(evaluation) -> RowTable:
    return RowTable(evaluation, evaluation.request().targets)


def test_the_better_model_is_said_to_be_better(workspace):
    found = summary(table_of(written.predicted(workspace, 40)))
    assert found.headline == "lf_rougel"
    difference = found.differences[TUNED]["f1"]
    assert difference.is_better and not difference.is_noise and difference.low < difference.value < difference.high
    assert found.differences[TUNED]["loss"].is_better and found.differences[TUNED]["loss"].value == -1
    assert found.differences[BASE] == {}
    score = found.scores[TUNED]["f1"]
    assert score.low < score.value < score.high and score.count == 40
    for language in ("en", "zh"):
        told = [one.tell(Words(language)) for one in found.sentences]
        assert len(told) == 1 and TUNED in told[0] and "ROUGE-L" in told[0], told
    assert [one.key for one in found.sentences] == ["results.headline_better"]


def test_what_is_counted(workspace):
    evaluation = written.predicted(workspace)
    evaluation.add(Prediction(row=0, target=BASE, finished="failed", tokens=3, seconds=1.0))
    evaluation.add(Prediction(row=1, target=BASE, finished="length"))
    found = summary(table_of(evaluation))
    assert (found.rows, found.trained, found.unusable) == (6, 1, 0)
    base, tuned = found.counts[BASE], found.counts[TUNED]
    assert (base.answered, base.failed, base.at_limit, base.trained, base.cut) == (6, 1, 1, 0, 1)
    assert (tuned.answered, tuned.failed, tuned.trained, tuned.tokens) == (6, 0, 1, 42)
    assert [one.name for one in found.datasets] == ["alpaca", "identity"] and found.datasets[0].rows == 3


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([(0.5, 0.5)] * 20, "headline_too_few"),
        ([(0.2, 0.8), (0.9, 0.1)] * 10, "headline_noise"),
        ([(0.8, 0.2), (0.9, 0.1)] * 10, "headline_worse"),
    ],
)
def test_noise_is_said_to_be_noise(workspace, values, key):
    evaluation = written.predicted(workspace, len(values))
    for row, pair in enumerate(values):
        for target, value in zip((BASE, TUNED), pair, strict=True):
            evaluation.add(RowScores(row=row, target=target, scores={"number": value}))
    found = summary(table_of(evaluation))
    assert found.headline == "number" and [one.key for one in found.sentences] == [f"results.{key}"]
    assert found.sentences[0].tell(Words("zh")) and (found.differences[TUNED]["number"].is_better is None) == (
        key != "headline_worse"
    )


def test_one_model_has_no_difference(workspace):
    found = summary(table_of(written.predicted(workspace, targets=(BASE,))))
    assert [one.key for one in found.sentences] == ["results.headline_one"] and BASE in found.sentences[0].tell(
        Words("en")
    )


def test_nothing_yet(workspace):
    evaluation = written.predicted(workspace, 0)
    found = summary(table_of(evaluation))
    assert (found.rows, found.headline, found.sentences, found.metrics) == (0, None, (), ())


def test_a_benchmark_says_what_was_won_and_lost(workspace):
    found = summary(table_of(written.asked(workspace, 60)))
    assert found.headline == "choice" and [one.name for one in found.subjects] == ["algebra", "law"]
    algebra, law = found.subjects
    assert algebra.differences[TUNED].is_better is True and law.differences[TUNED].is_better is False
    assert algebra.rows == 30 and [one.name for one in found.categories] == ["Other", "STEM"]
    told = found.sentences[-1].tell(Words("en"))
    assert "algebra +" in told and "law -" in told


def test_an_own_score_and_the_first_that_was_asked_for_is_the_headline(workspace):
    evaluation = written.predicted(workspace, 10)
    for row in range(10):
        for target in (BASE, TUNED):
            evaluation.add(RowScores(row=row, target=target, scores={"own:polite": float(row), "f1": 0.5}))
    table = table_of(evaluation)
    assert summary(table).headline == "lf_rougel"
    assert summary(table, wanted=["judge", "own:polite", "f1"]).headline == "own:polite"
    assert metric_facts.name("own:polite") == "polite" and metric_facts.shown(-2, "own:polite", signed=True) == "-2.000"


def test_bleu_is_that_of_the_corpus_and_not_the_mean_of_its_rows(workspace):
    evaluation = written.predicted(workspace, 12)
    answers = {BASE: "the cat sat on the mat", TUNED: "a dog"}
    for row in range(12):
        for target, text in answers.items():
            # As sacreBLEU has it, the label is the reference: what is in the row is not what the model was measured by.
            text = text if row % 3 else "I am here"
            evaluation.add(Prediction(row=row, target=target, text=text, label="the cat sat on a mat"))
            evaluation.add(RowScores(row=row, target=target, scores={"bleu": 1.0}))
    table = table_of(evaluation)
    found = summary(table)
    sacrebleu = pytest.importorskip("sacrebleu")
    texts = [answers[BASE] if row % 3 else "I am here" for row in range(12)]
    expected = sacrebleu.corpus_bleu(texts, [["the cat sat on a mat"] * 12]).score
    score = found.scores[BASE]["bleu"]
    assert score.value == pytest.approx(expected) and score.low < score.value < score.high
    assert found.differences[TUNED]["bleu"].value == pytest.approx(found.scores[TUNED]["bleu"].value - expected)
    evaluation.add(Prediction(row=0, target=BASE, text="the cat sat on a mat", label="the cat sat on a mat"))
    assert summary(table).scores[BASE]["bleu"].value > expected


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_a_score_of_a_corpus_is_one_in_groups_and_side_by_side_too(workspace, metric):
    """Rows of very different lengths, so that the mean of their scores is far from the score of the corpus."""
    evaluation = written.predicted(workspace, 12)
    reference, sums = "the cat sat on a mat and looked at the dog", {}
    for row in range(12):
        for target, text in ((BASE, ["a dog", reference, "no"][row % 3]), (TUNED, reference[: 4 * row + 3])):
            answered = AnsweredRow(text, reference if row % 4 else "no")
            evaluation.add(Prediction(row=row, target=target, text=answered.text, label=answered.reference))
            evaluation.add(RowScores(row=row, target=target, scores=score_row([metric], answered)))
            sums[row, target] = row_statistics([metric], answered)[metric]

    def expected(target: str, rows) -> float:
        return float(corpus.CORPUS[metric].score(numpy.sum([sums[row, target] for row in rows], axis=0)))

    table = table_of(evaluation)
    found = summary(table, wanted=[metric])
    for group, rows in zip(found.datasets, (range(0, 12, 2), range(1, 12, 2)), strict=True):
        base, tuned = expected(BASE, rows), expected(TUNED, rows)
        assert (group.scores[BASE].value, group.scores[TUNED].value) == pytest.approx((base, tuned))
        assert group.differences[TUNED].value == pytest.approx(tuned - base)
        assert abs(numpy.mean(table.column(metric)[list(rows), 0]) - base) > 1
    (beside,) = [one for one in side_by_side(table, table_of(evaluation), BASE, TUNED).scores if one.metric == metric]
    assert beside.first == found.scores[BASE][metric] and beside.second == found.scores[TUNED][metric]
    whole = found.differences[TUNED][metric]
    assert (beside.difference.value, beside.difference.p) == (whole.value, whole.p)
    assert found.scores[BASE][metric].value == pytest.approx(expected(BASE, range(12)))


def test_sums_that_were_kept_open_a_report_without_a_text_being_read(workspace, monkeypatch):
    kept, counted = written.predicted(workspace, 12), written.predicted(workspace, 12)
    texts = ("the cat sat on the mat", "a dog", "我在这里")
    for evaluation in (kept, counted):
        for row in range(12):
            for number, target in enumerate((BASE, TUNED)):
                answered = AnsweredRow(texts[(row + number) % 3], "the cat sat on a mat")
                evaluation.add(Prediction(row=row, target=target, text=answered.text, label=answered.reference))
                if evaluation is kept and row:  # the sums of one row were lost: it is counted again
                    sums = row_statistics(["bleu", "chrf"], answered)
                    evaluation.add(RowSums(row=row, target=target, sums=sums))
                evaluation.add(RowScores(row=row, target=target, scores={"bleu": 1.0, "chrf": 1.0}))
    again = []

    def count(keys, answered, settings=None):
        again.append(answered.text)
        return row_statistics(keys, answered, settings)

    monkeypatch.setattr(corpus, "row_statistics", count)
    expected = summary(table_of(counted))
    assert len(again) == 24
    again.clear()
    found = summary(table_of(kept))
    assert sorted(again) == sorted(texts[:2])
    for target in (BASE, TUNED):
        for metric in ("bleu", "chrf"):
            assert found.scores[target][metric] == expected.scores[target][metric]
    assert found.differences == expected.differences


def test_distributions(workspace):
    table = table_of(written.predicted(workspace, 6))
    edges, counts = histogram(table, "f1", 10)
    assert edges[0] == 0 and edges[-1] == 1 and sum(counts[BASE]) == sum(counts[TUNED]) == 6 and counts[TUNED][1] == 1
    points = scatter(table, "f1", TUNED)
    assert [row for _, _, row in points] == list(range(6)) and points[5][1] == pytest.approx(0.1)
    assert len(scatter(table, "f1", TUNED, most=3)) == 3
    assert histogram(table, "nothing")[1] == {BASE: [0] * 20, TUNED: [0] * 20}


@pytest.mark.parametrize(("p", "text"), [(0.0001, "< 0.001"), (0.0123, "0.012"), (0.5, "0.50")])
def test_a_p_as_papers_write_it(p, text):
    assert shown_p(p) == text


def test_a_classification_has_a_table_of_labels(workspace):
    evaluation = written.predicted(workspace, 0, labels=["yes", "no"])
    answers = {BASE: ["yes", "no", "either yes or no", "no"], TUNED: ["Yes.", "It is no", "no", ""]}
    for number, reference in enumerate(["yes", "yes", "no", "no"]):
        row = EvaluatedRow(row=number, dataset="d", source=number, messages=[], reference=reference + "\n")
        evaluation.add(row)
    table = table_of(evaluation)
    assert summary(table).confusions == {}
    for target, texts in answers.items():
        for number, text in enumerate(texts):
            evaluation.add(Prediction(row=number, target=target, text=text, finished="stop"))
            evaluation.add(RowScores(row=number, target=target, scores={"label": 1.0}))
        found = summary(table)  # it grows with the answers
    assert found.confusions[BASE].labels == ("yes", "no")
    assert found.confusions[BASE].counts == ((1, 1, 0), (0, 1, 1))
    assert found.confusions[TUNED].counts == ((1, 1, 0), (0, 1, 1))
    evaluation.add(Prediction(row=3, target=TUNED, text="no", finished="stop"))
    evaluation.add(Prediction(row=2, target=TUNED, finished="failed"))
    assert summary(table).confusions[TUNED].counts == ((1, 1, 0), (0, 1, 0))
    assert summary(table_of(evaluation)).confusions == summary(table).confusions


def test_labels_are_found_in_the_references(workspace):
    evaluation = written.predicted(workspace, 0)
    for number in range(4):
        evaluation.add(EvaluatedRow(row=number, dataset="d", source=number, messages=[], reference="AB"[number % 2]))
        evaluation.add(Prediction(row=number, target=BASE, text="A", finished="stop"))
        evaluation.add(RowScores(row=number, target=BASE, scores={"label": float(not number % 2)}))
    assert summary(table_of(evaluation)).confusions[BASE].counts == ((2, 0, 0), (2, 0, 0))


@pytest.mark.parametrize(
    ("verdicts", "key"),
    [(["second"] * 9 + ["first"], "better"), (["first"] * 9, "worse"), (["second", "first"] * 8, "noise")],
)
def test_a_judge_has_the_first_word(workspace, verdicts, key):
    evaluation = written.predicted(workspace, len(verdicts))
    for row, verdict in enumerate(verdicts):
        evaluation.add(Judged(row=row, target=TUNED, verdict=verdict, orders=[verdict, verdict]))
        evaluation.add(RowScores(row=row, target=TUNED, scores={"judge": float(verdict == "second")}))
    evaluation.add(Judged(row=0, target=TUNED, verdict=verdicts[0], orders=["first", "second"]))  # the last counts
    found = summary(table_of(evaluation))
    assert found.headline == "judge" and [one.key for one in found.sentences] == [f"results.headline_{key}"]
    share = verdicts.count("second") / len(verdicts)
    assert found.differences[TUNED]["judge"].value == pytest.approx(2 * share - 1)
    told = found.sentences[0].tell(Words("en"))
    assert f"{100 * share:.1f} % against {100 - 100 * share:.1f} %" in told
    total = found.judged[TUNED]
    assert (total.second, total.first) == (verdicts.count("second"), verdicts.count("first"))
    assert total.disagreements == 1 and BASE not in found.judged


@pytest.mark.parametrize("metric, expected", [("f1", (5, 1)), ("loss", (6, 0))])
def test_a_row_is_won_where_it_is_better_and_that_may_be_less(workspace, metric, expected):
    found = charts.scattered(table_of(written.predicted(workspace, 6)), metric, TUNED)
    assert (found.won, found.lost) == expected


def test_of_a_score_that_is_neither_good_nor_bad_no_row_is_won(workspace):
    evaluation = written.predicted(workspace, 6)
    evaluation.add_all(
        [
            RowScores(row=0, target=target, scores={"length_ratio": 1.0 + code})
            for code, target in enumerate((BASE, TUNED))
        ]
    )
    found = charts.scattered(table_of(evaluation), "length_ratio", TUNED)
    assert (found.won, found.lost) == (None, None)
