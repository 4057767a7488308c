"""Make a folder at a place, with those above it."""

from __future__ import annotations

from ..clock import Clock
from ..engine.remote_listing import RemoteListing
from ..errors import UsageError
from ..pmacore import NotFound, PmaCore, Refused
from ..remote.tree import Ambiguous, RemoteFolder, RemoteTree
from ..sites.place import Place
from ..sites.site_names import quoted


def check_is_below_root(place: Place, verb: str) -> None:
    """Check that a place is neither a root-directory nor the list of them. Raises UsageError."""
    if "/" not in place.path:
        what = f"the root-directory {quoted(place.path)} itself" if place.path else "the list of root-directories"
        raise UsageError(
            f"{quoted(place.text)} is {what}, which pmarep {verb}; name what is in one, as {place.site.name}:/"
            f"{place.path or 'Root'}/folder"
        )


async def make_folder(core: PmaCore, place: Place, clock: Clock) -> tuple[str, bool]:
    """Make a folder; return its virtual path as the server spells it, and whether it was missing.

    Raises NotFound where its root-directory is not there.
    """
    tree, path, missing = RemoteTree(core), place.path, list[str]()
    while True:
        try:
            above = await tree.find(path, files=False)
            break
        except Ambiguous:
            raise
        except NotFound:
            if "/" not in path:
                raise
            path, _, name = path.rpartition("/")
            missing.insert(0, name)
    if not isinstance(above, RemoteFolder):
        raise Refused(f"{above.path} is a slide, so no folder can be made there")
    if missing:
        await RemoteListing(core, clock).make("/".join([above.path, *missing]))
    return "/".join([above.path, *missing]), bool(missing)
