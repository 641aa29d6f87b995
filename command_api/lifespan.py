"""Opens everything the command API works with, and closes it again in the other order.

Nothing has to answer for the process to start: what is away is used as soon as it is back.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from command_api.accounts.administration import Administration
from command_api.accounts.housekeeping import SWEEP_SECONDS, Housekeeping
from command_api.accounts.logins import Logins
from command_api.accounts.refresh_tokens import RefreshTokens
from command_api.accounts.tenants import Tenants
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
from command_api.input_files import InputFiles
from command_api.job_endings import JobEndings
from command_api.keys import KeyRing
from command_api.links import Links
from command_api.options import OptionsValidators
from command_api.resources import Handlers, Resources
from command_api.result_cache import ResultCache
from command_api.results import Results
from command_api.schedule_templates import ScheduleTemplates
from command_api.settings import CommandApiSettings
from command_api.tool_cache import OfferCache
from command_api.tool_catalogue import ToolCatalogue
from command_api.tool_check import ToolCheck
from command_api.uniqueness import Uniqueness
from command_api.workflow_plans import WorkflowPlans
from events.contracts.subjects import LOG_APPENDED
from events.store.introductions import introduced_tools
from events.store.log import PostgresLog
from events.store.repository import Repository, open_repository
from events.store.scheduled_jobs import ScheduledJobs
from events.store.sealing import Sealer
from infrastructure.blobs.base import BlobStore
from infrastructure.blobs.location import blob_store_at
from infrastructure.broker import Broker
from infrastructure.clock import Clock
from infrastructure.health import Check
from infrastructure.http.rate_limit import LoginLimiter, RequestLimiter
from infrastructure.http.uploads import UploadReceiver
from infrastructure.media_types import MediaTypes
from infrastructure.passwords import Passwords
from infrastructure.periodic import ServiceLoop
from infrastructure.postgres import Pool, Role, create_engine, create_pool
from infrastructure.scanner import scanner_at
from infrastructure.sessions import Sessions
from infrastructure.tokens import TokenIssuer, TokenVerifier

PROCESS: Final = "command-api"
REDIS_SECONDS_MAX: Final = 0.25
CLOSE_SECONDS_MAX: Final = 5.0


@dataclass(frozen=True)
class _Servers:
    """The connections; none of them is made before it is needed."""

    pool: Pool
    engine: AsyncEngine
    redis: Redis
    broker: Broker
    blobs: BlobStore
    repository: Repository


@dataclass(frozen=True)
class _Accounts:
    users: Users
    administration: Administration
    logins: Logins
    check: Check


@asynccontextmanager
async def opened(settings: CommandApiSettings, clock: Clock) -> AsyncIterator[Resources]:
    """Everything, open."""
    async with AsyncExitStack() as stack:
        servers = await _servers(settings, stack)
        accounts = await _accounts(settings, servers, clock, stack)
        log, sealer, links = PostgresLog(servers.pool), Sealer(settings), Links(settings)
        catalogue = ToolCatalogue(
            servers.repository, OfferCache(servers.redis), lambda: introduced_tools(servers.pool)
        )
        await catalogue.listen(servers.broker)
        endings = JobEndings(servers.broker, log, servers.repository)
        stack.push_async_callback(endings.close)
        sessions = Sessions(servers.pool)
        stack.push_async_callback(sessions.close)
        scanner = scanner_at(settings.clamd_url)
        yield Resources(
            handlers=_handlers(servers, accounts, catalogue, sealer, clock),
            log=log,
            blobs=servers.blobs,
            broker=servers.broker,
            redis=servers.redis,
            scanner=scanner,
            links=links,
            tokens=TokenVerifier(settings),
            sessions=sessions,
            limiter=RequestLimiter(servers.redis, settings.requests_per_minute),
            receiver=UploadReceiver(settings, servers.blobs, scanner, MediaTypes()),
            catalogue=catalogue,
            endings=endings,
            results=Results(KeyRing(log, sealer), links),
            logins=accounts.logins,
            users=accounts.users,
            accounts=accounts.check,
        )


async def _servers(settings: CommandApiSettings, stack: AsyncExitStack) -> _Servers:
    pool = await create_pool(settings, Role.COMMAND_API)
    stack.push_async_callback(_close_pool, pool)
    engine = create_engine(settings, Role.COMMAND_API)
    stack.push_async_callback(engine.dispose)
    redis = Redis.from_url(
        settings.redis_url,
        socket_timeout=REDIS_SECONDS_MAX,
        socket_connect_timeout=REDIS_SECONDS_MAX,
    )
    stack.push_async_callback(redis.aclose)
    blobs = blob_store_at(settings)
    stack.push_async_callback(blobs.close)
    broker = Broker(settings, PROCESS)
    await broker.start()
    stack.push_async_callback(broker.stop)
    repository = open_repository(
        settings, Role.COMMAND_API, pool, lambda position: broker.ring(LOG_APPENDED)
    )
    stack.push_async_callback(repository.close)
    return _Servers(pool, engine, redis, broker, blobs, repository)


async def _accounts(
    settings: CommandApiSettings, servers: _Servers, clock: Clock, stack: AsyncExitStack
) -> _Accounts:
    users, tenants = Users(servers.engine, clock), Tenants(servers.engine, clock)
    tokens = RefreshTokens(servers.engine, clock, settings.refresh_token_expire_days)
    passwords = Passwords()
    stack.callback(passwords.close)
    limiter = LoginLimiter(servers.redis)
    logins = Logins(users, tokens, passwords, TokenIssuer(settings), limiter)
    administration = Administration(users, passwords)
    loop = ServiceLoop(
        Housekeeping(settings, tenants, users, tokens, administration),
        idle_seconds=SWEEP_SECONDS,
        stale_seconds=3 * SWEEP_SECONDS,
    )
    stack.push_async_callback(_end, loop, asyncio.create_task(loop.run(), name=loop.name))
    return _Accounts(users, administration, logins, loop.check)


def _handlers(
    servers: _Servers,
    accounts: _Accounts,
    catalogue: ToolCatalogue,
    sealer: Sealer,
    clock: Clock,
) -> Handlers:
    repository, log = servers.repository, PostgresLog(servers.pool)
    tools = ToolCheck(catalogue, OptionsValidators())
    files = InputFiles(repository, KeyRing(log, sealer), clock)
    unique = Uniqueness(repository, sealer)
    cache = ResultCache(repository, KeyRing(log, sealer), sealer)
    return Handlers(
        submit_job=SubmitJobHandler(repository, log, tools, files, unique, cache, sealer, clock),
        steer_job=SteerJobHandler(repository, unique, servers.broker, clock),
        submit_workflow=SubmitWorkflowHandler(
            repository, WorkflowPlans(tools, files), sealer, clock
        ),
        steer_workflow=SteerWorkflowHandler(repository, clock),
        bulk_jobs=BulkJobsHandler(repository, sealer, clock),
        steer_queue=SteerQueueHandler(repository, clock),
        set_limit=SetLimitHandler(repository, sealer, clock),
        receive_upload=ReceiveUploadHandler(repository, sealer, clock),
        manage_schedules=ManageSchedulesHandler(
            repository,
            ScheduledJobs(repository, log, sealer),
            KeyRing(log, sealer),
            ScheduleTemplates(tools, files, sealer),
            sealer,
            clock,
        ),
        manage_users=ManageUsersHandler(accounts.administration),
    )


async def _close_pool(pool: Pool) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _end(loop: ServiceLoop, task: asyncio.Task[None]) -> None:
    loop.drain()
    try:
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            await task
    except TimeoutError:
        return
