"""Asks a process on this machine a short question over HTTP, past any proxy."""

import http.client

from infrastructure.embedded.ports import LOOPBACK

ANSWER_SECONDS_MAX = 3.0
ANSWER_BYTES_MAX = 65_536


def get(port: int, path: str) -> tuple[int, bytes] | None:
    """Status and body; None when nobody answers properly in time."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def says_ok(port: int, path: str) -> bool:
    """Whether the answer is 200."""
    answer = get(port, path)
    return answer is not None and answer[0] == http.client.OK
