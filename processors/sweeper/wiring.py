"""Puts the sweeper together, as one more service of the clock's process."""

from typing import Final

from infrastructure.blobs.base import BlobStore
from infrastructure.clock import SystemClock
from infrastructure.leadership import Leadership
from infrastructure.periodic import ServiceLoop
from infrastructure.postgres import Role
from infrastructure.settings import PostgresSettings
from processors.settings import SweeperSettings
from processors.sweeper.inspection import Inspection
from processors.sweeper.postgres import PostgresReferences
from processors.sweeper.service import SweeperService

LOOK_SECONDS: Final = 5.0
"""Between two slices of a pass; between two passes a look asks nobody anything."""
RUN_SECONDS_MAX: Final = 300.0
"""A slice of blobs on a slow disk takes its time."""


def inspection(
    postgres: PostgresSettings, settings: SweeperSettings, blobs: BlobStore
) -> Inspection:
    """An inspection of the blobs by the log in PostgreSQL."""
    references = PostgresReferences(postgres.dsn)
    return Inspection(references, blobs, settings.blob_grace_seconds, SystemClock())


def sweeper_loop(
    postgres: PostgresSettings, settings: SweeperSettings, blobs: BlobStore
) -> ServiceLoop:
    """The sweeper on a connection of its own."""
    sweeper = SweeperService(
        Leadership(postgres.dsn, Role.PROCESSORS, SweeperService.name),
        inspection(postgres, settings, blobs),
        settings,
    )
    return ServiceLoop(
        sweeper,
        idle_seconds=LOOK_SECONDS,
        run_seconds_max=RUN_SECONDS_MAX,
        stale_seconds=2 * RUN_SECONDS_MAX,
    )
