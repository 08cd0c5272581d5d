"""What libav's decoders make once a process: made before the workers are forked, they share it."""

import av

from agent.ingest.source import RECORDABLE_CODECS


def load_tables() -> None:
    """Let the decoders of the codecs that cameras send make their tables."""
    for name in RECORDABLE_CODECS:
        av.CodecContext.create(name, "r").open()
