"""Structured logs: one JSON object a line on stderr, times in UTC, secrets hidden."""

import json
import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, BinaryIO, cast

import msgspec
import structlog

from agent.core.clock import Clock, SystemClock
from agent.core.redact import redact, redact_text

# Before a process sets its logs up, too: the standard output is for answers, often JSON.
structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(process: str, level: str = "info", clock: Clock | None = None) -> None:
    """Set this process's logs up; `process` is the name every line carries."""
    the_clock = clock or SystemClock()

    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["at"] = the_clock.utc_now()
        event["process"] = process
        return event

    def hide(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        hidden: MutableMapping[str, Any] = redact(event)
        return hidden

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            hide,
            structlog.processors.JSONRenderer(serializer=_serialise),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        # looked up for each line: whoever replaces stderr meanwhile gets the lines
        logger_factory=lambda *_: structlog.BytesLogger(
            cast("BinaryIO", _Unfailing(sys.stderr.buffer))
        ),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, force=True, handlers=None, format="%(message)s"
    )
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_RedactingFormatter(process, the_clock))


class _Unfailing:
    """Where lines go. One that can't be written is lost: a full disk must not end who logs it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, line: bytes) -> None:
        with suppress(OSError):
            self._file.write(line)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


Logger = structlog.typing.FilteringBoundLogger


def get(component: str) -> Logger:
    """Return the logger of one component: `log.info("segment closed", bytes=…)`."""
    logger: Logger = structlog.get_logger(component=component)
    return logger


class _RedactingFormatter(logging.Formatter):
    """Library logs become one-line JSON too, with the same hiding."""

    def __init__(self, process: str, clock: Clock) -> None:
        super().__init__()
        self._process, self._clock = process, clock

    def format(self, record: logging.LogRecord) -> str:
        text = redact_text(super().format(record))
        line = {
            "event": text,
            "level": record.levelname.lower(),
            "component": record.name,
            "at": self._clock.utc_now(),
            "process": self._process,
        }
        return _serialise(line).decode()


def _serialise(value: Any, **_: Any) -> bytes:
    """Encode one line. A strange value must never make the component that logs it fail."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):  # half a character pair, a number beyond 64 bits
        return json.dumps(value, default=str).encode()
