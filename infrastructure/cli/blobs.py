"""`magictoolbox blobs`: deletes blobs that nobody needs, or says how many there are."""

import asyncio
import json
import logging
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from infrastructure.settings import BlobSettings, PostgresSettings

if TYPE_CHECKING:
    from processors.sweeper.by_hand import Report

app = typer.Typer(no_args_is_help=True, help="The files that are kept.")


@app.callback()
def group() -> None:
    """The files that are kept."""


@app.command()
def sweep(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Delete nothing, only count what nobody needs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Delete blobs older than BLOB_GRACE_SECONDS that nothing in the log needs, as the clock does.

    It looks twice, two minutes apart.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    report = asyncio.run(_sweep(dry_run=dry_run))
    if as_json:
        print(json.dumps(asdict(report)))
        return
    print(f"{report.blobs} blobs, {report.bytes} bytes")
    print(f"{report.unreferenced} of them, {report.unreferenced_bytes} bytes, nobody needs")
    if not dry_run:
        print(f"{report.deleted} deleted, {report.deleted_bytes} bytes")


async def _sweep(*, dry_run: bool) -> "Report":
    from infrastructure.blobs.location import blob_store_at
    from processors.settings import SweeperSettings
    from processors.sweeper.by_hand import sweep
    from processors.sweeper.wiring import inspection

    blobs = blob_store_at(BlobSettings())
    made = inspection(PostgresSettings(), SweeperSettings(), blobs)
    try:
        return await sweep(made, dry_run=dry_run)
    finally:
        await made.close()
        await blobs.close()
