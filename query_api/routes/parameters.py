"""Parameters that several routes take."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Path, Query

from query_api.job_watch import WATCH_SECONDS_MAX
from query_api.positions import WAIT_SECONDS_MAX

POSITION_MAX: Final = 2**62
PAGE_SIZE_DEFAULT: Final = 50
PAGE_SIZE_MAX: Final = 200

JobId = Annotated[UUID, Path(description="The id that the submission gave.")]
MinPosition = Annotated[
    int,
    Query(
        ge=0,
        le=POSITION_MAX,
        description="Answer at this position of the log or later; "
        f"503 if the read models do not reach it within {WAIT_SECONDS_MAX:.0f} s.",
    ),
]
WaitSeconds = Annotated[
    float,
    Query(
        ge=0,
        le=WATCH_SECONDS_MAX,
        description="Seconds to wait for the job's end or its next change.",
    ),
]
PageSize = Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX, description="Entries of one page.")]
