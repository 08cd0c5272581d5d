"""Telemetry's short form: zstd with a dictionary trained on samples of our own.

A frame names its dictionary; a payload that begins with `{` is plain JSON. Both say the same.
`python -m agent.uplink.train_dictionary` makes a new dictionary under a new number; old ones stay,
so that a center understands boxes of every age.
"""

import functools
from pathlib import Path

import zstandard

from agent import contract

DICTIONARIES = Path(contract.__file__).parent / "files" / "dictionaries"
TELEMETRY_DICTIONARY = 2
CODING = f"telemetry.zstd-{TELEMETRY_DICTIONARY}"
_MAGIC = b"\x28\xb5\x2f\xfd"
_LEVEL = 19


class UnknownDictionaryError(ValueError):
    """A frame needs a dictionary that is not here: the sender is newer."""


def pack(body: bytes) -> bytes:
    """Return `body` as a zstd frame that names its dictionary."""
    return _compressor().compress(body)


def unpack(payload: bytes, max_bytes: int) -> bytes:
    """Return the JSON of a payload, packed or not.

    Raises `UnknownDictionaryError`, or ValueError when it is broken or longer than `max_bytes`.
    """
    if payload[:4] != _MAGIC:
        return payload
    try:
        number = zstandard.get_frame_parameters(payload).dict_id
        return _decompressor(number).decompress(payload, max_output_size=max_bytes)
    except zstandard.ZstdError as error:
        raise ValueError(f"broken zstd frame: {error}") from error


@functools.lru_cache(maxsize=1)
def _compressor() -> zstandard.ZstdCompressor:
    dictionary = _dictionary(TELEMETRY_DICTIONARY)
    return zstandard.ZstdCompressor(
        level=_LEVEL, dict_data=dictionary, write_content_size=False, write_checksum=False
    )


@functools.lru_cache(maxsize=8)
def _decompressor(number: int) -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(dict_data=_dictionary(number))


def _dictionary(number: int) -> zstandard.ZstdCompressionDict:
    try:
        raw = (DICTIONARIES / f"telemetry-{number}.zstd").read_bytes()
    except FileNotFoundError as error:
        raise UnknownDictionaryError(f"no dictionary {number}") from error
    return zstandard.ZstdCompressionDict(raw, dict_type=zstandard.DICT_TYPE_FULLDICT)
