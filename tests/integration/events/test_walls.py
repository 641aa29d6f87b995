"""Each role of the database is refused each verb that the design forbids it."""

import asyncpg
import pytest

from infrastructure.postgres import Role, connect
from tests.fixtures.events import Store, submitted_job

EVENTS = "event_store.stored_events"
WRITERS = {Role.COMMAND_API, Role.PROCESSORS}
READERS = set(Role)

INSERT = (
    f"INSERT INTO {EVENTS} VALUES "
    "(gen_random_uuid(), 1, 'topic', '', 1000, clock_timestamp(), 'acme')"
)
VERBS = {
    "insert": (INSERT, WRITERS),
    "update": (f"UPDATE {EVENTS} SET topic = 'changed'", set()),
    "delete": (f"DELETE FROM {EVENTS}", set()),
    "truncate": (f"TRUNCATE {EVENTS}", set()),
    "select": (f"SELECT count(*) FROM {EVENTS}", READERS),
    "head up": ("UPDATE event_store.event_head SET position = position + 1", WRITERS),
    "head down": ("UPDATE event_store.event_head SET position = position - 1", set()),
    "head delete": ("DELETE FROM event_store.event_head", set()),
    "command change": ("UPDATE event_store.commands SET fingerprint = ''", set()),
    "command delete": ("DELETE FROM event_store.commands", set()),
    "keys read": (
        "SELECT count(*) FROM keys.subject_keys",
        {Role.COMMAND_API, Role.QUERY_API, Role.PROCESSORS},
    ),
    "keys delete": ("DELETE FROM keys.subject_keys", {Role.PROCESSORS}),
    "keys change": ("UPDATE keys.subject_keys SET wrapped = ''", set()),
    "accounts read": ("SELECT count(*) FROM accounts.users", {Role.COMMAND_API}),
    "accounts write": ("UPDATE accounts.users SET role = role", {Role.COMMAND_API}),
    "accounts delete": ("DELETE FROM accounts.users", set()),
    "work read": ("SELECT count(*) FROM work.jobs", {Role.PROCESSORS, Role.QUERY_API}),
    "work write": ("DELETE FROM work.jobs", {Role.PROCESSORS}),
    "limits write": ("DELETE FROM work.limits", {Role.PROCESSORS}),
    "pauses write": ("DELETE FROM work.paused_queues", {Role.PROCESSORS}),
    "read models read": (
        "SELECT count(*) FROM read_models.job_summary",
        {Role.PROJECTORS, Role.QUERY_API},
    ),
    "read models write": ("DELETE FROM read_models.job_summary", {Role.PROJECTORS}),
    "checkpoints write": ("UPDATE read_models.checkpoints SET position = 0", {Role.PROJECTORS}),
    "trigger off": (f"ALTER TABLE {EVENTS} DISABLE TRIGGER append_only", set()),
    "drop": (f"DROP TABLE {EVENTS}", set()),
}
"""Verb → statement, and the roles that may."""

FORBIDDEN = [
    (role, verb) for verb, (_, allowed) in VERBS.items() for role in Role if role not in allowed
]
ALLOWED = [(role, verb) for verb, (_, allowed) in VERBS.items() for role in Role if role in allowed]


@pytest.fixture
async def one_event(postgres_store: Store) -> None:
    await postgres_store.repository.save(submitted_job())


@pytest.mark.usefixtures("one_event")
async def test_forbidden_verbs_are_refused(database_url: str) -> None:
    passed = []
    for role, verb in FORBIDDEN:
        connection = await connect(database_url, role)
        try:
            async with connection.transaction():
                await connection.execute(VERBS[verb][0])
        except asyncpg.InsufficientPrivilegeError:
            continue
        else:
            passed.append((role.value, verb))
        finally:
            await connection.close()

    assert passed == []


@pytest.mark.usefixtures("one_event")
@pytest.mark.parametrize(("role", "verb"), ALLOWED, ids=lambda value: str(value))
async def test_allowed_verbs_pass(database_url: str, role: Role, verb: str) -> None:
    connection = await connect(database_url, role)

    status = await connection.execute(VERBS[verb][0])

    assert status.split()[0] in {"INSERT", "SELECT", "UPDATE", "DELETE"}
    await connection.close()


@pytest.mark.usefixtures("one_event")
@pytest.mark.parametrize("verb", ["update", "delete", "truncate", "head down", "head delete"])
async def test_even_the_owner_is_stopped_by_a_trigger(database_url: str, verb: str) -> None:
    owner = await asyncpg.connect(database_url)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await owner.execute(VERBS[verb][0])

    await owner.close()
