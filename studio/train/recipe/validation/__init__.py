"""What is wrong with a recipe, all of it, before anything trains: its numbers, its data, their mixture, and
LLaMA-Factory's own judgement.
"""

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train.recipe.validation import mixture, named, numbers, parser, precision, sources


def problems(workspace: Workspace, recipe: dict[str, object]) -> list[Problem]:
    """Return everything for which a complete recipe could not be trained here, what a person mends first before the
    rest.
    """
    found = numbers.impossible(recipe)
    bad_numbers = bool(found)
    found += precision.problems(recipe)
    found += named.problems(recipe)
    bad_data = sources.problems(workspace, recipe)
    found += bad_data
    if not bad_numbers:
        if not bad_data:
            found += _of_mixture(workspace, recipe)
        found += [problem for problem in parser.refusals(recipe) if not _is_told(problem, found)]
    return found


def _of_mixture(workspace: Workspace, recipe: dict[str, object]) -> list[Problem]:
    try:
        mixture.measure(workspace, recipe)
    except Problem as problem:
        return [problem]
    return []


def _is_told(problem: Problem, found: list[Problem]) -> bool:
    """Tell whether a refusal of the parser is about a field of which the studio's own sentence has told more."""
    field = problem.facts.get("field")
    return problem.key == "train.refused_at" and any(one.facts.get("field") == field for one in found)
