"""Models as the endpoints answer with them."""

from pathlib import Path

from studio.core import trust
from studio.core.i18n import Problem, Words
from studio.models.chat_template_match import template_match
from studio.models.library import inspection, model_config
from studio.models.library.inspection import Layers
from studio.models.library.library import Model
from studio.models.memory import fit
from studio.models.models_context import ModelsContext
from studio.models.page import schemas
from studio.models.page.disk.own_code import read_text


def model(one: Model, template: str | None, words: Words) -> schemas.ModelResult:
    """Return a model of the list; what is wrong with it is told in `words`."""
    return schemas.ModelResult(**_fields(one, template, words))


def _fields(one: Model, template: str | None, words: Words) -> dict:
    return {
        "name": one.name,
        "folder": str(one.path),
        "params": one.params,
        "dtype": one.dtype,
        "template": template,
        "size_bytes": one.size_bytes,
        "architecture": one.architecture,
        "quantization": str(one.quantization or "") or None,
        "context": one.context,
        "licence": one.licence,
        "faults": [words.tell(fault) for fault in one.faults],
        "warnings": [words.tell(warning) for warning in one.warnings],
    }


def inspected(one: Model, context: ModelsContext, words: Words) -> schemas.InspectResult:
    """Return all about a model."""
    inside, choice = inspection.inspect(one), template_match.of(one.path, one.name, one.model_type)
    memory, problem = _memory(one, context)
    return schemas.InspectResult(
        **_fields(one, choice.template, words),
        config=model_config.read(one.path)[0],
        generation=inside.generation,
        special_tokens=inside.special,
        template_reason=words(f"models.template_{choice.reason}", **choice.facts),
        chat=choice.chat,
        template_problem=words.tell(choice.fault) if choice.fault else None,
        template_differences=[schemas.TemplateDifference(**vars(difference)) for difference in choice.differences],
        chat_template=inside.template.source if inside.template else None,
        layers=[_layers(layers) for layers in inside.layers],
        memory=memory,
        memory_problem=words.tell(problem) if problem else None,
    )


def _layers(layers: Layers) -> schemas.LayersResult:
    return schemas.LayersResult(
        name=layers.name,
        numbers=list(layers.numbers),
        params=layers.params,
        bytes=layers.bytes,
        tensors=[schemas.TensorResult(**vars(tensor) | {"shape": list(tensor.shape)}) for tensor in layers.tensors],
    )


def _memory(one: Model, context: ModelsContext) -> tuple[list[schemas.MemoryResult], Problem | None]:
    """Return what each way to use a model takes, or why that cannot be estimated."""
    device, size = context.memory()
    try:
        rows = [] if one.faults else fit.table(one.path, size, fit.Plan(device=device))
    except Problem as problem:
        return [], problem
    return [
        schemas.MemoryResult(**vars(row) | {"advice": schemas.MemoryAdvice(**vars(row.advice)) if row.advice else None})
        for row in rows
    ], None


def code(folder: Path, words: Words) -> schemas.CodeResult:
    """Return the code that a model brings, each file as far as a page can show it."""
    own = trust.code_of(folder)
    return schemas.CodeResult(
        digest=own.digest,
        trusted=trust.allows(folder),
        problem=words.tell(own.fault) if own.fault else None,
        files=[
            schemas.CodeFileResult(file=file, sha256=digest, text=_code_text(folder / file, words))
            for file, digest in own.files.items()
        ],
    )


def _code_text(file: Path, words: Words) -> str:
    content = read_text(file)
    if content.problem:
        return words.tell(content.problem)
    return content.text + "\n" + words("models.code_cut", file=file) if content.is_cut else content.text
