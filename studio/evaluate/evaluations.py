"""All evaluations of a workspace, in `saves/.evaluations/`."""

import secrets
import time
from typing import Literal

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, folders
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace, safe_name
from studio.evaluate import part_names
from studio.evaluate.evaluation import Evaluation
from studio.evaluate.settings import BenchmarkSettings, PredictSettings, Request


class Evaluations:
    """The folder of all evaluations."""

    def __init__(self, workspace: Workspace):
        self.workspace, self.folder = workspace, workspace.saves / ".evaluations"

    def create(
        self,
        kind: Literal["predict", "benchmark"],
        targets: list[str],
        parts: list[str],
        settings: PredictSettings | BenchmarkSettings,
    ) -> Evaluation:
        """Make the folder of a new evaluation, with its request. Raises Problem where the disk refuses."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        evaluation = Evaluation(self.workspace, self.folder / name)
        try:
            evaluation.folder.mkdir(parents=True)
        except OSError as error:
            raise Problem("workspace.unwritable", path=evaluation.folder, reason=reasons.of(error)) from error
        request = Request(
            id=evaluation.id,
            kind=kind,
            title=settings.title.strip() or part_names.default_title(parts),
            note=settings.note,
            created=time.time(),
            targets=targets,
            parts=parts,
            **{kind: settings},
        )
        evaluation.write_request(request)
        return evaluation

    def all(self) -> list[Evaluation]:
        """Return every evaluation, newest first; one whose request cannot be read is among them."""
        names = sorted(
            (path.name for path in folders.matching(self.folder, "*") if folders.is_folder(path)), reverse=True
        )
        return [Evaluation(self.workspace, self.folder / name) for name in names]

    def find(self, id: str) -> Evaluation:
        """Return the evaluation of that id. Raises Problem where there is none."""
        folder = self.workspace.inside(self.folder, safe_name(id))
        if not files.is_file(folder / "request.json"):
            raise Problem("evaluate.missing", id=id)
        return Evaluation(self.workspace, folder)

    def rename(self, id: str, title: str | None = None, note: str | None = None) -> None:
        """Give an evaluation another title or note; None leaves it. Raises Problem where there is none."""
        evaluation = self.find(id)
        request = evaluation.request()
        changed = {"title": (title or "").strip()[: part_names.LONGEST] or request.title} if title is not None else {}
        changed |= {"note": note[:10_000]} if note is not None else {}
        evaluation.write_request(request.model_copy(update=changed))

    def delete(self, id: str) -> str:
        """Move an evaluation into the trash, and return the item's id there. Raises Problem."""
        evaluation = self.find(id)
        title = part_names.title(evaluation.request(), evaluation.label)
        return Trash(self.workspace).put(evaluation.folder, "evaluation", str(title))
