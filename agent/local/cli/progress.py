"""What is under way, on one line of a person's terminal; nothing in a pipe and for a program."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import click


def say_over(text: str) -> None:
    """Write `text` over the line on stderr; empty text clears it."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{text}", nl=False, err=True)


@contextmanager
def working(what: str, *, is_shown: bool = True) -> Iterator[None]:
    """Show `what`, and for how many seconds it has gone on, until the block ends."""
    if not (is_shown and sys.stderr.isatty()):
        yield
        return
    over = Event()

    def tell() -> None:
        seconds = 0
        say_over(f"{what} …")
        while not over.wait(1.0):
            seconds += 1
            say_over(f"{what} … {seconds} s")

    thread = Thread(target=tell, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        say_over("")
