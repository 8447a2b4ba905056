"""The fields in which a person chooses how a dataset is encoded: model, template, cutoff, and what is trained."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from studio.core.i18n import Problem
from studio.core.processes.imported import imported
from studio.datasets.analysis import DatasetAnalysis, EncodingSettings, library_ready
from studio.datasets.page.analysis_schemas import EncodingOptions, TrainedOptions
from studio.models.library import library

FLAGS = tuple(TrainedOptions.model_fields)


@dataclass(frozen=True)
class EncodingForm:
    """What can be chosen, and what is.

    `cutoff` is in tokens, "" where the settings cannot be had; `flags` is empty for a stage without them. `base` and
    `base_of_model` are the query strings that a changed field is added to: another model brings its own template.
    `fault` says why the settings cannot be had; `is_loading` that LLaMA-Factory is being loaded.
    """

    models: list[str]
    model: str
    templates: list[str]
    template: str
    cutoff: str
    flags: dict[str, bool]
    base: str
    base_of_model: str
    fault: Problem | None = None
    is_loading: bool = False


def parsed(arg: str) -> tuple[str, dict[str, str]]:
    """Return the dataset's name and what was chosen: the two lines of a region's argument."""
    name, _, query = arg.partition("\n")
    return name, dict(parse_qsl(query))


def pick(choices: dict[str, str], **changed: object) -> str:
    """Return what a button takes in hand so that some of the choices change."""
    return "sight:" + urlencode({**choices, **changed})


def encoding_options(choices: dict[str, str]) -> dict[str, str]:
    """Return those of the choices that are options of the encoding, for an endpoint."""
    return {name: value for name, value in choices.items() if name in EncodingOptions.model_fields}


def encoding(
    analysis: DatasetAnalysis, name: str, choices: dict[str, str]
) -> tuple[EncodingSettings | None, EncodingForm | None]:
    """Return the settings that were chosen for a dataset, and the form in which they are.

    Without settings nothing can be encoded: the form has the reason. Without a form either, the dataset has no file.

    Raises:
        Problem: there is no dataset of this name.
    """
    dataset = analysis.collection.find(name)
    if dataset.file is None:
        return None, None
    try:
        settings = analysis.encoding_settings(choices)
    except Problem as problem:
        return None, _form(analysis, choices, dataset.stage, None, fault=problem)
    is_loading = not library_ready()
    form = _form(analysis, choices, dataset.stage, settings, is_loading=is_loading)
    return None if is_loading else settings, form


def _form(
    analysis: DatasetAnalysis,
    choices: dict[str, str],
    stage: str,
    settings: EncodingSettings | None,
    fault: Problem | None = None,
    is_loading: bool = False,
) -> EncodingForm:
    template = settings.template if settings else ""
    return EncodingForm(
        models=[one.name for one in library.usable(analysis.collection.workspace)],
        model=settings.model if settings else "",
        templates=known_templates() or [template],
        template=template,
        cutoff=str(settings.cutoff) if settings else "",
        flags={flag: bool(choices.get(flag)) for flag in FLAGS} if stage == "sft" else {},
        base=urlencode(choices),
        base_of_model=urlencode({key: value for key, value in choices.items() if key != "template"}),
        fault=fault,
        is_loading=is_loading,
    )


def known_templates() -> list[str]:
    """Return the names of LLaMA-Factory's templates, none before it is loaded."""
    module = imported("llamafactory.data.template")
    return sorted(getattr(module, "TEMPLATES", {}))
