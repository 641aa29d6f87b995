"""What the processors may be told through their environment."""

import os
import tempfile
from pathlib import Path

from pydantic import Field

from infrastructure.settings import Fragment

CORES = os.cpu_count() or 1


class LeaseSettings(Fragment):
    """How a worker shows that it is alive, and how long its silence is borne."""

    beat_seconds: float = Field(
        default=3.0, gt=0, le=60, description="Between two heartbeats of a worker."
    )
    lease_seconds: float = Field(
        default=12.0, gt=0, le=600, description="Silence after which a job is given to another."
    )


class DispatcherSettings(Fragment):
    """How far the dispatcher looks ahead."""

    ready_depth: int = Field(
        default=512, ge=1, le=10_000, description="Jobs of one queue on offer at a time."
    )
    queue_front_max: int = Field(
        default=4_000, ge=1, le=100_000, description="Jobs of one queue held in memory."
    )
    fold_events_max: int = Field(
        default=5_000,
        ge=1,
        le=10_000,
        description="Events in one batch; after a full one nothing is offered, but more is read.",
    )
    persist_seconds: float = Field(
        default=0.2, gt=0, le=5, description="How long a change may wait to be written."
    )
    offer_seconds: float = Field(
        default=2.0, gt=0, le=60, description="After that an unclaimed offer is looked for."
    )


class ClockSettings(LeaseSettings):
    """How often the clock looks, and how much it does at a time."""

    sweep_seconds: float = Field(default=1.0, gt=0, le=60, description="Between two looks.")
    sweep_batch_max: int = Field(
        default=500, ge=1, le=5_000, description="Facts of one kind in one look."
    )


class WorkerSettings(LeaseSettings):
    """How much a worker does at a time, and where."""

    worker_slots: int = Field(
        default=2 * CORES, ge=1, le=1_000, description="Jobs at a time, each in a sandbox."
    )
    inline_slots: int = Field(
        default=128, ge=0, le=10_000, description="Trusted jobs at a time, inside the worker."
    )
    run_trusted_inline: bool = Field(
        default=True, description="Whether trusted tools may run without a sandbox."
    )
    work_folder: Path = Field(
        default=Path(tempfile.gettempdir()) / f"magictoolbox-work-{os.getuid()}",
        description="Where jobs have their private folders; best on the disk of the blobs.",
    )
    drain_seconds: float = Field(
        default=21.0, gt=0, le=3_600, description="What running jobs get at SIGTERM."
    )
