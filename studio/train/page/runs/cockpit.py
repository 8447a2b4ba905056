"""What stands around the live regions of runs: the search, the row of parts, the elements in which curves are drawn."""

from dataclasses import dataclass

from studio.core.i18n import Words

LIST_TEMPLATE = "train/page/runs/run_search.html"
PARTS_TEMPLATE = "train/page/runs/parts.html"
CURVES_TEMPLATE = "train/page/runs/curves.html"
COMPARE_TEMPLATE = "train/page/runs/compared_curves.html"
# The parts of a run that are live regions, beside the curves, which assets/charts.js draws.
REGIONS = ("samples", "checkpoints", "log", "recipe")
PLOT_WORDS = ("loss", "raw", "smoothed", "smooth", "log", "step", "epoch", "time", "csv", "png", "svg", "full_screen")
COMPARE_WORDS = PLOT_WORDS
CURVE_WORDS = (
    *PLOT_WORDS,
    "learning_rate",
    "grad_norm",
    "eval_loss",
    "automatic",
    "reset_zoom",
    "waiting",
    "empty",
    "not_connected",
    "memory",
    "tokens_per_second",
    "utilisation",
    "reward",
    "rewards/margins",
    "rewards/accuracies",
    "rewards",
    "rewards/chosen",
    "rewards/rejected",
    "kl",
    "eval_accuracy",
    "num_input_tokens_seen",
)


@dataclass(frozen=True)
class Parts:
    """The parts of a run, each with its word."""

    parts: tuple[tuple[str, str], ...] = (
        ("curves", "curves"),
        ("samples", "samples"),
        ("checkpoints", "checkpoints"),
        ("log", "log"),
        ("recipe", "recipe_and_command"),
    )


@dataclass(frozen=True)
class ChartWords:
    """The words in a chart, by their names, as its script asks for them."""

    texts: dict[str, str]


def chart_words(words: Words, names: tuple[str, ...]) -> ChartWords:
    """Return words of charts in a language."""
    return ChartWords({name: words(f"charts.{name}") for name in names})
