"""Structured logs: one JSON object a line on stderr, times in UTC, secrets hidden."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

from agent.core.clock import Clock, SystemClock
from agent.core.redact import redact, redact_text

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(process: str, level: str = "info", clock: Clock | None = None) -> None:
    """Set this process's logs up; `process` is the name every line carries."""
    the_clock = clock or SystemClock()

    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["at"] = the_clock.utc_now()
        event["process"] = process
        return event

    def hide(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {key: redact(value, key) for key, value in event.items()}

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            hide,
            structlog.processors.JSONRenderer(serializer=_serialise),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, force=True, handlers=None, format="%(message)s"
    )
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_RedactingFormatter(process))


def get(component: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of one component: `log.info("segment closed", bytes=…)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=component)
    return logger


class _RedactingFormatter(logging.Formatter):
    """Library logs become one-line JSON too, with the same hiding."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        text = redact_text(super().format(record))
        line = {
            "event": text,
            "level": record.levelname.lower(),
            "component": record.name,
            "process": self._process,
        }
        return msgspec.json.encode(line).decode()


def _serialise(value: Any, **_: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)
