"""A database that makes each call a second time, the first one undone: as on a full disk."""

from contextlib import suppress

from agent.core.db import Database


class _UndoneError(Exception):
    pass


class MadeTwice(Database):
    """What a call notes outside of its transaction must not tell the second time from the first."""

    async def run(self, call):
        def is_undone(connection):
            call(connection)
            raise _UndoneError

        with suppress(_UndoneError):
            await super().run(is_undone)
        return await super().run(call)
