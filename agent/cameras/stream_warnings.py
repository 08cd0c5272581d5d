"""What about the two streams we use makes them hard to record, to look at, or to keep lawfully."""

from agent.cameras import media
from agent.cameras.line import OnvifLine
from agent.cameras.streams import choose

StreamWarnings = tuple[tuple[str, str], ...]  # a code, and the streams it is said of


def stream_warnings(line: OnvifLine) -> StreamWarnings:
    """Ask how main and sub are set up now; each code is told once."""
    profiles = media.profiles(line)
    main, sub = choose(tuple(profile.stream for profile in profiles))
    found: dict[str, list[str]] = {}
    for name, chosen in (("main", main), ("sub", sub)):
        for profile in profiles:
            if chosen is not None and profile.stream == chosen:
                for code in media.warnings_of(profile):
                    found.setdefault(code, []).append(name)
                break
    return tuple((code, ", ".join(names)) for code, names in found.items())
