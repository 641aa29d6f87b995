"""Frames are what the NATS protocol says, whatever stands in a row."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from events.contracts.subjects import (
    HEADER_AGGREGATE,
    HEADER_POSITION,
    HEADER_RECORDED_AT,
    HEADER_TENANT,
    HEADER_TOPIC,
    HEADER_VERSION,
)
from events.relay.frames import EXPECTED_LAST, HEADERS_BYTES_MAX, Framer

AGGREGATE = UUID("0198c5c0-0000-7000-8000-000000000001")
INBOX = "_INBOX.relay.1"
LINE = re.compile(rb"HPUB (\S+) (?:(\S+) )?(\d+) (\d+)\r\n")


def row(position: int, **changes: Any) -> dict[str, Any]:
    """A row of the log."""
    return {
        "notification_id": position,
        "originator_id": AGGREGATE,
        "originator_version": 3,
        "topic": "magictoolbox.job.submitted",
        "tenant": "acme",
        "state": b'{"a":1}',
        "recorded_at": datetime(2026, 11, 23, 12, 0, 0, 5, tzinfo=UTC),
    } | changes


def parsed(frames: bytes) -> list[tuple[str, str | None, dict[str, str], bytes]]:
    """Read frames as a server does: subject, reply, headers, body."""
    found = []
    while frames:
        line = LINE.match(frames)
        assert line is not None, frames[:100]
        subject, reply, of_headers, of_all = line.groups()
        rest = frames[line.end() :]
        headers, body = rest[: int(of_headers)], rest[int(of_headers) : int(of_all)]
        assert headers.startswith(b"NATS/1.0\r\n")
        assert headers.endswith(b"\r\n\r\n")
        assert rest[int(of_all) : int(of_all) + 2] == b"\r\n"
        fields = Client._parse_header_lines(headers.removeprefix(b"NATS/1.0\r\n"))
        found.append((subject.decode(), reply.decode() if reply else None, fields, body))
        frames = rest[int(of_all) + 2 :]
    return found


def test_a_frame_carries_the_state_verbatim_and_where_it_stands() -> None:
    [(subject, reply, headers, body)] = parsed(Framer(INBOX).frames([row(41)]))

    assert subject == "events.acme.job.submitted"
    assert reply == f"{INBOX}.41"
    assert body == b'{"a":1}'
    assert headers == {
        EXPECTED_LAST: "40",
        HEADER_POSITION: "41",
        HEADER_AGGREGATE: str(AGGREGATE),
        HEADER_VERSION: "3",
        HEADER_RECORDED_AT: "2026-11-23T12:00:00.000005+00:00",
        HEADER_TOPIC: "magictoolbox.job.submitted",
        HEADER_TENANT: "acme",
    }


def test_each_frame_names_the_one_before_and_only_the_last_asks_for_an_answer() -> None:
    found = parsed(Framer(INBOX).frames([row(position) for position in range(7, 12)]))

    assert [headers[EXPECTED_LAST] for _, _, headers, _ in found] == ["6", "7", "8", "9", "10"]
    assert [reply for _, reply, _, _ in found] == [None] * 4 + [f"{INBOX}.11"]


def test_times_of_neighbours_are_their_own() -> None:
    times = [
        datetime(2026, 11, 23, 12, 0, tzinfo=UTC) + timedelta(milliseconds=n // 2) for n in range(6)
    ]
    rows = [row(n + 1, recorded_at=time) for n, time in enumerate(times)]

    found = parsed(Framer(INBOX).frames(rows))

    assert [headers[HEADER_RECORDED_AT] for _, _, headers, _ in found] == [
        time.isoformat() for time in times
    ]


@given(
    tenant=st.text(min_size=1, max_size=40),
    topic=st.text(min_size=1, max_size=40),
    state=st.binary(max_size=200),
    position=st.integers(min_value=1, max_value=2**62),
)
def test_nothing_in_a_row_can_break_the_protocol(
    tenant: str, topic: str, state: bytes, position: int
) -> None:
    hostile = row(position, tenant=tenant, topic=topic, state=state)

    found = parsed(Framer(INBOX).frames([hostile, row(position + 1)]))

    assert len(found) == 2
    subject, _, headers, body = found[0]
    assert body == state
    assert headers[HEADER_POSITION] == str(position)
    assert len(headers) == 7
    assert subject.isascii()
    assert not set(subject) & set(" \r\n\t*>")


def test_headers_stay_below_what_is_reserved_for_them() -> None:
    longest = row(
        2**63 - 1,
        tenant="t" * 64,
        topic="magictoolbox." + "x" * 128,
        originator_version=2**63 - 1,
        recorded_at=datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=-12))),
    )

    frame = Framer(INBOX).frames([longest])

    assert len(frame) - len(longest["state"]) < HEADERS_BYTES_MAX


@pytest.mark.parametrize("count", [1, 2, 50])
def test_frames_do_not_depend_on_how_they_are_grouped(count: int) -> None:
    rows = [row(position) for position in range(1, 51)]
    framer = Framer(INBOX)

    grouped = b"".join(
        framer.frames(rows[start : start + count]) for start in range(0, len(rows), count)
    )

    without_reply = [(subject, headers, body) for subject, _, headers, body in parsed(grouped)]
    assert without_reply == [
        (subject, headers, body) for subject, _, headers, body in parsed(framer.frames(rows))
    ]
