"""What a script, and the page, can ask of data that is to be brought in."""

from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.datasets.files.incoming import source as incoming
from studio.datasets.page.add_data.choices import as_texts, columns_of, options_of, tags_of
from studio.datasets.page.add_data.registering import Registration, register
from studio.datasets.page.schemas import (
    ConversionResult,
    NewDataOptions,
    RecognisedResult,
    RegisteredOnHubResult,
    RegisteredResult,
    RegisterOptions,
)
from studio.datasets.registry.collection import CONVERT, Collection
from studio.datasets.schema import forms

# A conversion that takes no longer is done within the click.
SOON_S = 3.0


def endpoints(collection: Collection, words: Words) -> list[Callable]:
    """Return the endpoints of new data; problems inside their results are told in `words`."""

    def datasets_register(
        path: str,
        name: str = "",
        columns: dict[str, str | None] | None = None,
        tags: dict[str, str] | None = None,
        options: RegisterOptions | None = None,
    ) -> RegisteredResult | RegisteredOnHubResult:
        """Bring in a file, a folder of files, or a hub address; of one on a hub, {name, form} are answered.

        `columns` are {LLaMA-Factory's column: field} where they are not to be recognised, `tags` its tags of messages.
        """
        return register(collection, words, Registration(path, name, columns, tags, options or RegisterOptions()))

    def datasets_recognise(path: str) -> RecognisedResult:
        """Return what a file is taken for."""
        source = collection.source(path)
        rows = collection.first_rows(source)
        mapping = forms.recognise(rows)
        return RecognisedResult(
            form=mapping.form,
            known=mapping.known,
            stage=mapping.stage,
            columns=mapping.columns,
            tags=mapping.tags,
            fields=forms.fields_of(rows),
            missing=mapping.missing(),
            not_taken=forms.not_taken(rows, mapping),
            read_as=[words.tell(one) for one in incoming.read_as(source)],
        )

    def datasets_bring_in(choices: NewDataOptions) -> RegisteredResult | RegisteredOnHubResult | ConversionResult:
        """Bring in what the page has in hand, {path, name, form, c.<column>: field, t.<tag>: text ...}; {job} is
        answered where it is not soon done.
        """
        path, name, texts = choices.path, choices.name, as_texts(choices.model_extra)
        options = RegisterOptions(**options_of(texts))
        registration = Registration(path, name, columns_of(texts), tags_of(texts), options)
        job = collection.jobs.start(
            CONVERT,
            "datasets.converting",
            {"path": path, "name": name.strip()},
            lambda job: register(collection, words, registration, job).model_dump(),
        )
        collection.jobs.wait(job.id, SOON_S)
        if job.error:
            raise Problem(job.error["key"], **job.error["facts"])
        if not isinstance(job.result, dict):
            return ConversionResult(job=job.id)
        return (RegisteredResult if "rows" in job.result else RegisteredOnHubResult)(**job.result)

    return [datasets_register, datasets_recognise, datasets_bring_in]
