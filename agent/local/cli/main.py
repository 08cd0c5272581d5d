"""The command `poleside`: one group, each command loaded only when it is used."""

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import click

from agent import __version__
from agent.core.errors import PolesideError

# name -> (module, attribute, one line of help)
_COMMANDS = {
    "status": ("agent.local.cli.status", "status", "How this box does, and what to do."),
    "events": ("agent.local.cli.events", "events", "What was raised; follow it as it comes."),
    "report": ("agent.local.cli.report", "report", "The acceptance report: HTML and PDF."),
    "swap": ("agent.local.cli.swap", "swap", "Put another box or camera in a place."),
    "usb": ("agent.local.cli.usb", "usb", "Export recorded video to a USB stick."),
    "bundle": ("agent.local.cli.bundle", "bundle", "All that support needs, without secrets."),
    "run": ("agent.local.cli.run", "run", "Run the agent on this box."),
    "enrol": ("agent.local.cli.enrol", "enrol", "Make this box one of a city's, by its code."),
    "claim": ("agent.local.cli.claim", "claim", "Take this box over: its secret and its code."),
    "demo": ("agent.local.cli.demo", "demo", "Show the whole thing: cameras, box and center."),
    "center": ("agent.local.cli.center", "center", "The small stand-in for a city's center."),
    "cameras": ("agent.local.cli.cameras", "cameras", "Find ONVIF cameras and speak with them."),
    "clip": ("agent.local.cli.clip", "clip", "Take recorded video out of the buffer."),
    "search": ("agent.local.cli.search", "search", "Find who and what was seen."),
    "buffer": ("agent.local.cli.buffer", "buffer", "Look into the ring; lock and check it."),
    "health": ("agent.local.cli.health", "health", "The box's light and what is wrong."),
    "box": ("agent.local.cli.box", "box", "The board: heat, supply, disk, lines; self-test."),
    "config": ("agent.local.cli.config", "config", "Check a settings file; what may stand in it."),
    "network": ("agent.local.cli.network", "network", "Its networks; on trial until confirmed."),
    "doctor": ("agent.local.cli.doctor", "doctor", "Check this box and say what to do."),
    "incidents": (
        "agent.local.cli.incidents",
        "incidents",
        "What was raised; true or false; what stayed in the shadow.",
    ),
    "aim": ("agent.local.cli.aim", "aim", "A camera looks at a place on the map."),
    "grants": ("agent.local.cli.grants", "grants", "Who may see what just now."),
    "link": ("agent.local.cli.link", "link", "The way to the center: status, test, replay."),
    "update": ("agent.local.cli.update", "update", "A new version of the image: stick, status."),
    "uploads": ("agent.local.cli.uploads", "uploads", "Files on their way to the center."),
    "rules": ("agent.local.cli.rules", "rules", "Try a camera's rules on recorded video."),
    "evaluate": ("agent.local.cli.evaluate", "evaluate", "The exam: footage against its truth."),
    "simulate": ("agent.local.cli.simulate", "simulate", "Simulated cameras for trials."),
}


class _LazyGroup(click.Group):
    """Lists all commands, imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


_EXIT_CODES = (
    "Exit codes: 0 done, 1 refused or failed (one line says why and what to do), 2 the command line"
    " itself is wrong. A command with others says so in its own help."
)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXIT_CODES,
)
@click.version_option(__version__, prog_name="poleside")
def cli() -> None:
    """Poleside: the software in the box at the foot of a CCTV pole.

    Records the cameras beside it, looks at them, and tells the city's center.
    First look: `poleside demo`. On a box: `poleside run --config FILE`.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; an expected failure is one plain line and exit code 1."""
    try:
        return cli.main(args=arguments, prog_name="poleside")
    except* PolesideError as group:  # one alone, or those that tasks of a TaskGroup raised
        for error in _each(group):
            click.echo(str(error), err=True)
    sys.exit(1)


def _each(group: BaseExceptionGroup[PolesideError]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _each(error)
        else:
            yield error


if __name__ == "__main__":
    main()
