"""What stops a bench run, in one plain line."""


class BenchError(RuntimeError):
    """A system did not start or did not do its work; its figures would be worth nothing."""
