"""The end of what an engine printed, a line at a time."""

from studio.core.storage import files
from studio.deploy.deploy_service import DeployService
from studio.train.page.runs import run_log
from studio.train.page.runs.run_log import LogLine, RunLog

TEMPLATE = "deploy/page/deployment_log.html"


def deployment_log(service: DeployService, name: str) -> RunLog | None:
    """Return the end of an engine's log without its key, None where none is named. Raises Problem where it cannot be
    read.
    """
    if not name:
        return None
    deployment = service.deployments.find(name)
    if not files.exists(deployment.log_file):
        return RunLog(None)
    try:
        start, data = files.tail(deployment.log_file, run_log.SHOWN_BYTES)
    except OSError as error:
        raise files.unreadable(deployment.log_file, error) from error
    key = deployment.key()
    shown = (
        LogLine(one.at, deployment.without_key(one.text) if key else one.text) for one in run_log.lines(data, start)
    )
    return RunLog(tuple(shown))
