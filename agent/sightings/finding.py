"""Search over all cameras of a box, with who is the same on several: files in, sightings out.

For the command line and for the center's order. Reads only; blocking.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from agent.core.sqlite import open_reader
from agent.sightings import links
from agent.sightings.store import Sighting, Wanted, search_all

_BOX_DATABASE = "box.db"


def find(
    data_dir: Path,
    folders: Sequence[Path],
    wanted: Wanted,
    in_zone: Callable[[tuple[float, float]], bool] | None = None,
    subject: str = "",
) -> list[Sighting]:
    """Return what fits in the cameras' folders, newest first. Raises `StorageError`."""
    path = data_dir / _BOX_DATABASE
    if not path.exists():  # a box that has only just begun
        return [] if subject else search_all(folders, wanted, in_zone)
    with closing(open_reader(path)) as box:
        if not links.is_there(box):  # or has only just been updated
            return [] if subject else search_all(folders, wanted, in_zone)
        if not subject:
            return links.with_subjects(box, search_all(folders, wanted, in_zone))
        begins, found = links.begins_of(box, subject), list[Sighting]()
        for folder in folders:
            own = replace(wanted, begins_us=begins.get(folder.name, ()))
            found += search_all([folder], own, in_zone)
        linked = links.with_subjects(box, found)
    of_subject = [one for one in linked if one.subject == subject]
    return sorted(of_subject, key=lambda one: one.begin, reverse=True)[: wanted.limit]
