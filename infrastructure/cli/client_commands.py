"""The commands of those who use a platform, as against those who run one."""

import typer

from infrastructure.cli import jobs, queues, schedules, submit, tools, workers, workflows

PANEL = "Client"


def register(app: typer.Typer) -> None:
    """Add `submit`, `jobs`, `schedules`, `workflows`, `queues`, `limits`, `tools` and `workers`."""
    app.command("submit", rich_help_panel=PANEL)(submit.submit)
    app.add_typer(jobs.app, name="jobs", rich_help_panel=PANEL)
    app.add_typer(schedules.app, name="schedules", rich_help_panel=PANEL)
    app.add_typer(workflows.app, name="workflows", rich_help_panel=PANEL)
    app.add_typer(queues.queues_app, name="queues", rich_help_panel=PANEL)
    app.add_typer(queues.limits_app, name="limits", rich_help_panel=PANEL)
    app.add_typer(tools.app, name="tools", rich_help_panel=PANEL)
    app.add_typer(workers.app, name="workers", rich_help_panel=PANEL)
