"""What the processors may be told through their environment."""

import os
import tempfile
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from infrastructure.settings import Fragment
from processors.tools.base import Level

BEATS_IN_LEASE_MIN = 3
"""So that one lost beat, or two, is not yet a silence."""
LOOKS_IN_LEASE_MIN = 4
"""A pause of half a lease between two looks is time not watched."""


class LeaseSettings(Fragment):
    """How a worker shows that it is alive, and how long its silence is borne."""

    beat_seconds: float = Field(
        default=3.0, gt=0, le=60, description="Between two heartbeats of a worker."
    )
    lease_seconds: float = Field(
        default=12.0, gt=0, le=600, description="Silence after which a job is given to another."
    )

    @model_validator(mode="after")
    def _several_beats_in_a_lease(self) -> Self:
        if self.lease_seconds < BEATS_IN_LEASE_MIN * self.beat_seconds:
            raise ValueError(f"LEASE_SECONDS must be {BEATS_IN_LEASE_MIN} times BEAT_SECONDS")
        return self


class DispatcherSettings(Fragment):
    """How far the dispatcher looks ahead."""

    ready_depth: int = Field(
        default=512, ge=1, le=10_000, description="Jobs of one queue on offer at a time, at most."
    )
    ready_floor: int = Field(
        default=8, ge=1, le=10_000, description="Jobs of one queue on offer however slow it is."
    )
    ready_seconds: float = Field(
        default=0.15,
        gt=0,
        le=10,
        description="How long what is on offer should last, at the rate at which it is claimed.",
    )
    queue_front_max: int = Field(
        default=4_000,
        ge=1,
        le=100_000,
        description="Jobs of one queue, priority, tenant, tool and limit key held in memory.",
    )
    aging_seconds: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="So long a wait counts as one step of priority.",
    )
    claim_seconds: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="After that an offer that was taken back cannot be claimed; a new dispatcher"
        " lets no limited job go for so long.",
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

    sweep_seconds: float = Field(default=0.5, gt=0, le=60, description="Between two looks.")
    worker_reconnect_seconds: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="So long after PostgreSQL was away every living worker has been heard again;"
        " until then no lease expires.",
    )
    sweep_batch_max: int = Field(
        default=1_000, ge=1, le=10_000, description="Facts of one kind in one look."
    )

    @model_validator(mode="after")
    def _several_looks_in_a_lease(self) -> Self:
        if self.lease_seconds < LOOKS_IN_LEASE_MIN * self.sweep_seconds:
            raise ValueError(f"LEASE_SECONDS must be {LOOKS_IN_LEASE_MIN} times SWEEP_SECONDS")
        return self


class BulkSettings(Fragment):
    """How fast bulk operations go."""

    bulk_jobs_per_second: float = Field(
        default=500.0, gt=0, le=100_000, description="Jobs that bulk operations change at most."
    )


class SweeperSettings(Fragment):
    """When blobs that nobody needs are deleted."""

    blob_sweep: bool = Field(
        default=True,
        description="Whether blobs that nobody needs are deleted; off while a backup is restored.",
    )
    blob_sweep_seconds: float = Field(
        default=3_600.0, ge=60, le=604_800, description="Between two passes over all blobs."
    )
    blob_grace_seconds: float = Field(
        default=86_400.0,
        ge=3_600,
        le=2_592_000,
        description="What is younger is kept in any case; longer than any upload or attempt takes.",
    )


class WorkerSettings(LeaseSettings):
    """How much a worker does at a time, and where."""

    worker_slots: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        description="Jobs at a time, each in a sandbox; unset: twice the number of cores.",
    )
    inline_slots: int = Field(
        default=128, ge=0, le=10_000, description="Trusted jobs at a time, inside the worker."
    )
    run_trusted_inline: bool = Field(
        default=True, description="Whether trusted tools may run without a sandbox."
    )
    min_isolation: Level = Field(
        default="L2",
        description="What a run in a sandbox has to have; tools that cannot are unavailable."
        " L1: limits, L2: system calls too, L3: files, network and processes as well.",
    )
    work_folder: Path | None = Field(
        default=None,
        description="Where jobs have their private folders; unset: in the temporary folder.",
    )
    drain_seconds: float = Field(
        default=21.0, gt=0, le=3_600, description="What running jobs get at SIGTERM."
    )
    attempt_log_days: int = Field(
        default=30, ge=1, le=3_650, description="How long the log of an attempt is kept."
    )

    @property
    def sandboxes(self) -> int:
        """How many jobs run at a time, each in a sandbox."""
        return self.worker_slots or 2 * (os.cpu_count() or 1)

    @property
    def folder(self) -> Path:
        """Where jobs have their private folders; one for each account, as it is private."""
        if self.work_folder is not None:
            return self.work_folder
        return Path(tempfile.gettempdir()) / f"magictoolbox-work-{os.getuid()}"
