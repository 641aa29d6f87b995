"""What `magictoolbox doctor` asks: everything that the platform stands on.

It reads the settings as the processes do, and neither starts nor changes any of them. One line an
answer, which says what would mend it.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from infrastructure.health import Check, CheckFailed

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from infrastructure.postgres import Connection

ANSWER_SECONDS_MAX: Final = 10.0
NATS_SECONDS_MAX: Final = 3.0
MIGRATE: Final = "run `magictoolbox db migrate`"

Settings = TypeVar("Settings", bound=BaseSettings)


def checks() -> Mapping[str, Check]:
    """What is asked, in the order in which it is told."""
    critical = {
        "settings": _settings,
        "libmagic": _libmagic,
        "postgresql": _postgresql,
        "schema": _schema,
        "nats": _nats,
        "redis": _redis,
        "blobs": _blobs,
        "scanner": _scanner,
        "sandbox": _sandbox,
    }
    asked = {name: Check(probe, True, ANSWER_SECONDS_MAX) for name, probe in critical.items()}
    return {**asked, "tools": Check(_tools, False, ANSWER_SECONDS_MAX)}


# -- settings -----------------------------------------------------------------------------------


def _read(kind: type[Settings]) -> Settings:
    try:
        return kind()
    except ValidationError as error:
        # Never the value: it may be a secret.
        raise CheckFailed("; ".join(_complaint(each) for each in error.errors())) from None


def _complaint(found: "ErrorDetails") -> str:
    # What a whole fragment complains of names the setting itself.
    name = ".".join(str(part).upper() for part in found["loc"])
    return f"{name}: {found['msg']}" if name else found["msg"]


async def _settings() -> str | None:
    from infrastructure import settings

    kinds: tuple[type[BaseSettings], ...] = (
        settings.PostgresSettings,
        settings.NatsSettings,
        settings.RedisSettings,
        settings.BlobSettings,
        settings.TokenSettings,
        settings.SealingSettings,
        settings.UploadSettings,
        settings.ScannerSettings,
        settings.HttpSettings,
        settings.AdministratorSettings,
    )
    complaints = []
    for kind in kinds:
        try:
            _read(kind)
        except CheckFailed as wrong:
            complaints.append(str(wrong))
    if complaints:
        raise CheckFailed("; ".join(complaints))
    return None


# -- servers ------------------------------------------------------------------------------------


async def _connected(dsn: str) -> "Connection":
    from infrastructure.postgres import UNAVAILABLE, connect

    try:
        return await connect(dsn, None)
    except UNAVAILABLE as error:
        raise CheckFailed(f"the database does not answer: {type(error).__name__}") from None


async def _postgresql() -> str | None:
    from infrastructure.settings import PostgresSettings

    connection = await _connected(_read(PostgresSettings).dsn)
    try:
        for setting in ("fsync", "full_page_writes"):
            if await connection.fetchval(f"SHOW {setting}") != "on":
                raise CheckFailed(f"{setting} is off: a commit may be lost")
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


async def _schema() -> str | None:
    from deploy import migrations
    from infrastructure.settings import PostgresSettings

    settings = _read(PostgresSettings)
    dsns = (settings.dsn, settings.read_dsn)
    for line, dsn in zip(migrations.LINES, dsns, strict=True):
        connection = await _connected(dsn)
        try:
            found = await _revision(connection, line)
        finally:
            await connection.close()
        if found != (needed := migrations.newest(line)):
            raise CheckFailed(f"{line} is at {found}, this code needs {needed}: {MIGRATE}")
    return None


async def _revision(connection: "Connection", line: str) -> str | None:
    if await connection.fetchval("SELECT to_regclass($1)", f"migrations_{line}") is None:
        return None
    found = await connection.fetchval(f"SELECT version_num FROM migrations_{line}")
    return None if found is None else str(found)


async def _nats() -> str | None:
    from nats.js.errors import NotFoundError

    from events.contracts.subjects import EVENTS_STREAM, READY_STREAM
    from infrastructure.nats_client import connect
    from infrastructure.settings import NatsSettings

    try:
        async with asyncio.timeout(NATS_SECONDS_MAX):
            client = await connect(_read(NatsSettings), "doctor")
    except TimeoutError:
        raise CheckFailed("NATS_URL does not answer") from None
    try:
        for stream in (EVENTS_STREAM, READY_STREAM):
            await client.jetstream().stream_info(stream)
    except NotFoundError:
        raise CheckFailed(f"a stream is missing: {MIGRATE}, or start the relay") from None
    finally:
        await client.close()
    return None


async def _redis() -> str | None:
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    from infrastructure.settings import RedisSettings

    try:
        async with Redis.from_url(_read(RedisSettings).redis_url) as redis:
            await redis.ping()
    except (RedisError, OSError) as error:
        raise CheckFailed(f"REDIS_URL does not answer: {type(error).__name__}") from None
    return None


# -- this machine -------------------------------------------------------------------------------


async def _libmagic() -> str | None:
    from infrastructure.media_types import MediaTypes

    try:
        return MediaTypes().of(b"%PDF-1.7\n")
    except Exception as error:
        raise CheckFailed(str(error)) from None


async def _blobs() -> str | None:
    from infrastructure.blobs.location import UnknownBlobLocation, blob_store_at
    from infrastructure.settings import BlobSettings

    try:
        # Makes the folder where it is missing, as every process does.
        store = blob_store_at(_read(BlobSettings))
    except (UnknownBlobLocation, OSError) as error:
        raise CheckFailed(f"BLOB_URL: {error or UnknownBlobLocation.__doc__}") from None
    try:
        return await store.check()
    finally:
        await store.close()


async def _scanner() -> str | None:
    from infrastructure.scanner import scanner_at
    from infrastructure.settings import ScannerSettings

    return await scanner_at(_read(ScannerSettings).clamd_url).check()


async def _sandbox() -> str | None:
    from processors.sandbox.runner import Sandbox
    from processors.tools.base import ToolProcessingError

    sandbox = Sandbox()
    try:
        await sandbox.start()
    except ToolProcessingError as error:
        raise CheckFailed(str(error)) from None
    try:
        missing = "; ".join(sandbox.isolation.missing)
        return f"{sandbox.isolation.level}, without {missing}" if missing else "all walls stand"
    finally:
        await sandbox.stop()


async def _tools() -> str | None:
    from processors.tools.registry import installed

    offers = installed().offers()
    lacking = [offer for offer in offers if not offer.available]
    if lacking:
        told = "; ".join(f"{offer.name}: {offer.unavailable_reason}" for offer in lacking)
        raise CheckFailed(told)
    return f"{len(offers)} tools"
