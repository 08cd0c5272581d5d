"""What our reader leaves to libav's."""


class NotUnderstood(Exception):  # noqa: N818 - no error: the other reader takes over
    """The stream is well, as far as one can tell, but of a kind that our reader does not know."""
