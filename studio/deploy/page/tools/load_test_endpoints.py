"""What a script can do with load tests."""

from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.core.jobs import sentence_text
from studio.deploy.load_test.load_report_files import line_of, report_file
from studio.deploy.load_test.load_settings import LoadSettings
from studio.deploy.load_test.load_summary import summary
from studio.deploy.page.tools.tool_schemas import (
    LoadTestOptions,
    LoadTestResult,
    LoadTestStateResult,
    ReportFileResult,
    ToolStateResult,
    TrashedToolResult,
)
from studio.deploy.page.tools.tools_context import ToolsContext


def endpoints(context: ToolsContext, words: Words) -> list[Callable]:
    """Return the endpoints of load tests."""
    service = context.load_tests

    def deploy_load_test(options: LoadTestOptions) -> LoadTestResult:
        """Measure servers of OpenAI's API, one after the other; returns at once with the test's id."""
        settings = LoadSettings(**options.model_dump(exclude={"targets"}))
        return LoadTestResult(load_test=service.start(options.targets, settings).id)

    def deploy_load_tests() -> list[LoadTestStateResult]:
        """Return every load test, newest first; one that cannot be read has its fault as `error`."""
        return [_state(context, test.id, words) for test in service.tests.all()]

    def deploy_load_test_result(load_test: str) -> LoadTestStateResult:
        """Return how far a load test is, and what each step came to so far."""
        service.tests.find(load_test).request()
        return _state(context, load_test, words)

    def deploy_load_test_stop(load_test: str) -> ToolStateResult:
        """Stop a load test; what was measured stays."""
        return ToolStateResult(state=service.stop(load_test))

    def deploy_load_test_resume(load_test: str) -> ToolStateResult:
        """Measure what is left of a load test that was stopped."""
        return ToolStateResult(state=service.resume(load_test))

    def deploy_load_test_export(load_test: str, form: str = "md") -> ReportFileResult:
        """Return the report of a load test as a file: "md", "csv" or "json"."""
        test = service.tests.find(load_test)
        request = test.request()
        text = report_file(request, summary(test, request.settings), form)
        return ReportFileResult(name=f"load-test-{load_test}.{form}", text=text)

    def deploy_load_test_delete(load_test: str) -> TrashedToolResult:
        """Move a load test into the trash."""
        return TrashedToolResult(item=service.delete(load_test))

    changing = [deploy_load_test, deploy_load_test_stop, deploy_load_test_resume, deploy_load_test_delete]
    return [*changing, deploy_load_tests, deploy_load_test_result, deploy_load_test_export]


def _state(context: ToolsContext, id: str, words: Words) -> LoadTestStateResult:
    test, job = context.load_tests.tests.find(id), context.load_tests.job(id)
    try:
        request = test.request()
        return LoadTestStateResult(
            load_test=id,
            title=str(request.title),
            state=context.load_tests.state(id),
            message=sentence_text(job.message, words) if job else None,
            error=sentence_text(job.error, words) if job else None,
            steps=[line_of(one) for one in summary(test, request.settings)],
        )
    except Problem as problem:
        told = words.tell(problem)
        return LoadTestStateResult(load_test=id, title=id, state="failed", message=None, error=told, steps=[])
