"""Structured logs: one JSON object per line on standard output, for our code and for every library.

No record breaks its line or reaches a terminal as a control sequence, no value under a secret's
name and no password inside an address is written, and writing a record never raises. What is bound
in structlog's contextvars (`request_id`, `job_id`, …) stands in every record of that task. Which
events are worth a line is left to the callers; file names belong on DEBUG.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, BinaryIO

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

REDACTED = "[redacted]"
SECRET_WORDS = frozenset(
    {
        "password",
        "passwd",
        "passphrase",
        "token",
        "secret",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "apikey",
    }
)
SECRET_KEYS = frozenset({"api_key", "secret_key", "sealing_key", "private_key"})
STRING_CHARACTERS_MAX = 8_192
COLLECTION_LENGTH_MAX = 200
DEPTH_MAX = 8
STACK_FRAMES_MAX = 30

# Controls that JSON leaves as they are: DEL, C1 (a lone 0x9b starts a terminal sequence), line
# separators, and the marks that reverse the reading order of a line.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_ADDRESS_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_WORD_BREAK = re.compile(r"[^a-zA-Z]+|(?<=[a-z])(?=[A-Z])")

_QUIET_LIBRARIES = ("uvicorn", "asyncio", "httpx", "httpcore")


def configure_logging(
    process: str, level: str = "INFO", *, out: BinaryIO | None = None, cached: bool = True
) -> None:
    """Send structlog's and the standard library's records to `out` (standard output).

    `cached` freezes a logger at its first use: right for a process, wrong between tests.
    """
    numeric = logging.getLevelNamesMapping()[level]
    lines = LineWriter(out if out is not None else sys.stdout.buffer)
    structlog.configure(
        processors=_processors(process),
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=lambda *names: _NamedLines(lines, *names),
        cache_logger_on_first_use=cached,
    )
    root = logging.getLogger()
    root.handlers = [_IntoStructlog()]
    root.setLevel(numeric)
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(numeric, logging.WARNING))
    # It warns of each malformed byte that a client sends; the refusal says as much.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logging.captureWarnings(True)


def _processors(process: str) -> list[Processor]:
    def add_process(_: WrappedLogger, __: str, record: EventDict) -> EventDict:
        record["process"] = process
        return record

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _add_logger_name,
        add_process,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.ExceptionRenderer(
            # Without locals: they hold whatever the failing function was given.
            ExceptionDictTransformer(show_locals=False, max_frames=STACK_FRAMES_MAX)
        ),
        redact,
        render_line,
    ]


def redact(_: WrappedLogger, __: str, record: EventDict) -> EventDict:
    """Take secrets out of a record, at any depth, by the name they stand under or by their form."""
    return {key: _clean(value, str(key), DEPTH_MAX) for key, value in record.items()}


def _clean(value: object, name: str, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if is_secret_name(name):
        return REDACTED
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return _clean_text(value)
    if depth == 0:
        return "[too deep]"
    if isinstance(value, Mapping):
        pairs = list(value.items())[:COLLECTION_LENGTH_MAX]
        return {str(k): _clean(v, str(k), depth - 1) for k, v in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(member, "", depth - 1) for member in list(value)[:COLLECTION_LENGTH_MAX]]
    return _clean_text(_text_of(value))


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # a broken __str__ must not break the caller that logs
        return f"[{type(value).__name__}: {type(error).__name__}]"


def _clean_text(text: str) -> str:
    if len(text) > STRING_CHARACTERS_MAX:
        text = f"{text[:STRING_CHARACTERS_MAX]}… ({len(text)} characters)"
    if "://" in text:
        text = _ADDRESS_PASSWORD.sub(rf"\1{REDACTED}@", text)
    if " " in text:
        text = _BEARER.sub(rf"\1 {REDACTED}", text)
    return text


@lru_cache(maxsize=2_000)
def is_secret_name(name: str) -> bool:
    """Whether a value under this name must never be written: `db_password`, `accessToken`."""
    words = {word.lower() for word in _WORD_BREAK.split(name)}
    return not words.isdisjoint(SECRET_WORDS) or name.lower() in SECRET_KEYS


def render_line(_: WrappedLogger, __: str, record: EventDict) -> bytes:
    """One line of JSON without a character that could end it early or steer a terminal."""
    try:
        line = orjson.dumps(record)
    except (TypeError, ValueError):
        # Integers beyond 64 bits and lone surrogates; the standard encoder escapes both.
        line = json.dumps(record, default=_text_of).encode("ascii", "backslashreplace")
    if line.isascii() and b"\x7f" not in line:
        return line
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", line.decode()).encode()


def _add_logger_name(logger: WrappedLogger, _: str, record: EventDict) -> EventDict:
    name = getattr(logger, "name", "")
    if name:
        record.setdefault("logger", name)
    return record


class LineWriter:
    """Writes whole lines to one stream, from any thread; a stream that is gone is ignored."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def write(self, line: bytes) -> None:
        """Write and flush one line."""
        with self._lock:
            try:
                self._out.write(line + b"\n")
                self._out.flush()
            except (OSError, ValueError):
                # Whoever read our output has gone; losing the line is better than losing the work.
                return


class _NamedLines:
    """What structlog calls a logger: one method per level, each taking the finished line."""

    def __init__(self, lines: LineWriter, name: str = "") -> None:
        self.name = name
        self.msg = lines.write

    def __getattr__(self, level: str) -> Any:
        if level.startswith("_"):
            raise AttributeError(level)
        return self.msg


class _IntoStructlog(logging.Handler):
    """Hands the standard library's records to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log: FilteringBoundLogger = structlog.get_logger(record.name)
            level = record.levelno if record.levelno in logging._levelToName else logging.INFO
            extra: dict[str, Any] = {"exc_info": record.exc_info} if record.exc_info else {}
            log.log(level, record.getMessage(), **extra)
        except Exception:
            self.handleError(record)
