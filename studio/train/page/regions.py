"""The live regions of this tab, and the job in the sidebar."""

from studio.train.execution.training_service import TrainingService
from studio.train.page.form import batch_result, environment_state, notice_settings
from studio.train.page.runs import (
    checkpoint_list,
    comparison,
    now_running,
    probe_answers,
    recipe_text,
    run_head,
    run_list,
    run_log,
)
from studio.web.live import Live


def add_regions(live: Live, trainer: TrainingService) -> None:
    """Add the live regions of this tab and the job in the sidebar."""
    workspace = trainer.workspace
    regions = {
        "batch": (batch_result, lambda subject: batch_result.batch_result(trainer.jobs, subject)),
        "checkpoints": (checkpoint_list, lambda name: checkpoint_list.checkpoint_list(workspace, name)),
        "compare": (comparison, lambda names: comparison.comparison(workspace, names)),
        "environment": (
            environment_state,
            lambda name: environment_state.environment_state(trainer.environments, name),
        ),
        "log": (run_log, lambda name: run_log.run_log(workspace, name)),
        "notices": (notice_settings, lambda _: notice_settings.notice_settings(workspace)),
        "now": (now_running, lambda _: now_running.now_running(workspace, trainer.held_up())),
        "recipe": (recipe_text, lambda name: recipe_text.recipe_text(workspace, name, trainer.python_of)),
        "run": (run_head, lambda name: run_head.run_head(workspace, name)),
        "runs": (run_list, lambda query: run_list.run_list(workspace, query)),
        "samples": (probe_answers, lambda name: probe_answers.probe_answers(workspace, name)),
    }
    for name, (view, context) in regions.items():
        live.add(name, (view.TEMPLATE, lambda _words, arg, context=context: context(arg)))
