"""What the routes work with: opened once by the lifespan, reached through the request."""

from dataclasses import dataclass

from redis.asyncio import Redis

from command_api.accounts.logins import Logins
from command_api.accounts.users import Users
from command_api.handlers.bulk_jobs import BulkJobsHandler
from command_api.handlers.manage_schedules import ManageSchedulesHandler
from command_api.handlers.manage_users import ManageUsersHandler
from command_api.handlers.receive_upload import ReceiveUploadHandler
from command_api.handlers.set_limit import SetLimitHandler
from command_api.handlers.steer_job import SteerJobHandler
from command_api.handlers.steer_queue import SteerQueueHandler
from command_api.handlers.steer_workflow import SteerWorkflowHandler
from command_api.handlers.submit_job import SubmitJobHandler
from command_api.handlers.submit_workflow import SubmitWorkflowHandler
from command_api.job_endings import JobEndings
from command_api.links import Links
from command_api.results import Results
from command_api.tool_catalogue import ToolCatalogue
from events.store.log import Log
from infrastructure.blobs.base import BlobStore
from infrastructure.broker import Broker
from infrastructure.health import Check
from infrastructure.http.rate_limit import RequestLimiter
from infrastructure.http.uploads import UploadReceiver
from infrastructure.scanner import Scanner
from infrastructure.sessions import Sessions
from infrastructure.tokens import TokenVerifier


@dataclass(frozen=True)
class Handlers:
    """One for each command."""

    submit_job: SubmitJobHandler
    steer_job: SteerJobHandler
    submit_workflow: SubmitWorkflowHandler
    steer_workflow: SteerWorkflowHandler
    bulk_jobs: BulkJobsHandler
    steer_queue: SteerQueueHandler
    set_limit: SetLimitHandler
    receive_upload: ReceiveUploadHandler
    manage_schedules: ManageSchedulesHandler
    manage_users: ManageUsersHandler


@dataclass(frozen=True)
class Resources:
    """Everything open in this process."""

    handlers: Handlers
    log: Log
    blobs: BlobStore
    broker: Broker
    redis: Redis
    scanner: Scanner
    links: Links
    tokens: TokenVerifier
    sessions: Sessions
    limiter: RequestLimiter
    receiver: UploadReceiver
    catalogue: ToolCatalogue
    endings: JobEndings
    results: Results
    logins: Logins
    users: Users
    accounts: Check
    """The first administrator is there, and accounts are kept tidy."""
