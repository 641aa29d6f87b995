"""The keys of live job status in Redis: what queries may read there, and nothing else.

One hash for each job, at `job_key(job_id)`, with fields in text:

- `status`, `attempt`, `version`, `position`: as in `job_summary`, moved with the checkpoint;
- `percent` (0 to 100), `message`: live progress of the attempt that runs now; absent otherwise.

`CHECKPOINT` holds the last position applied. Everything here is a cache: a hash may be absent
(never written, expired, flushed), and then `job_summary` says it. All keys share one hash slot, so
that a script may write them together on a cluster.
"""

from typing import Final
from uuid import UUID

PREFIX: Final = "magictoolbox:{live}:"

CHECKPOINT: Final = f"{PREFIX}checkpoint"

STATUS: Final = "status"
ATTEMPT: Final = "attempt"
VERSION: Final = "version"
POSITION: Final = "position"
PERCENT: Final = "percent"
MESSAGE: Final = "message"

FINAL_SECONDS: Final = 3_600
"""How long the hash of a job that has ended is kept."""
UNFINISHED_SECONDS: Final = 7 * 24 * 3_600
"""How long the hash of any other job is kept after its last change."""
PROGRESS_SECONDS: Final = 600
"""How long progress of a job without a hash is kept."""


def job_key(job_id: UUID | str) -> str:
    """The hash of one job."""
    return f"{PREFIX}job:{job_id}"
