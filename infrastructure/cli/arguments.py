"""Options that all client commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="The folder of a platform on this machine; else the environment: "
        "MAGICTOOLBOX_COMMAND_URL, MAGICTOOLBOX_QUERY_URL, and MAGICTOOLBOX_USERNAME with "
        "MAGICTOOLBOX_PASSWORD, or MAGICTOOLBOX_TOKEN.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]
OutputPath = Annotated[
    Path | None,
    typer.Option(
        "--output",
        help="Wait, then write the result there: a folder, or a file if there is one result.",
        show_default=False,
    ),
]
AsZip = Annotated[bool, typer.Option("--zip", help="With --output: write all results as one ZIP.")]
JobId = Annotated[str, typer.Argument(help="The job's id.", show_default=False)]
