"""The scores of the person's own: their files to read, and the consent to run exactly these."""

from dataclasses import dataclass
from pathlib import Path

from studio.core import trust
from studio.core.i18n import Problem
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.scores import own_metric
from studio.evaluate.scores.metric import OWN
from studio.models.page.disk.own_code import DIGEST_CHARACTERS, CodeText, read_text

TEMPLATE = "evaluate/page/listing/own_metric_list.html"


@dataclass(frozen=True)
class OwnMetricFile:
    """A file in `metrics/`. key: as a score is chosen. digest: what consent is given to, `mark` its beginning. fault:
    why nobody can consent.
    """

    name: str
    key: str
    path: Path
    digest: str
    mark: str
    content: CodeText
    is_allowed: bool
    fault: Problem | None


@dataclass(frozen=True)
class OwnMetricList:
    """All files in the folder `metrics/`, and an example of one."""

    files: tuple[OwnMetricFile, ...]
    folder: Path
    example: str


def own_metric_file(context: EvaluateContext, name: str) -> OwnMetricFile:
    """Return the file of an own score. Raises Problem where there is none."""
    path = own_metric.path_of(context.service.workspace, name)
    code = trust.code_of(path)
    is_allowed = not code.fault and trust.is_granted(path)
    mark = code.digest[:DIGEST_CHARACTERS]
    return OwnMetricFile(name, f"{OWN}{name}", path, code.digest, mark, read_text(path), is_allowed, code.fault)


def own_metric_list(context: EvaluateContext, _: str = "") -> OwnMetricList:
    """Return all own scores of the workspace."""
    workspace = context.service.workspace
    files = tuple(own_metric_file(context, name) for name in own_metric.names(workspace))
    return OwnMetricList(files, workspace.metrics, own_metric.EXAMPLE)
