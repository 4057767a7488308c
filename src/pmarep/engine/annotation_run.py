"""What all sites of a run share for the annotations of its slides."""

from __future__ import annotations

from dataclasses import dataclass

from ..annotations.shared_database import SharedDatabases
from ..annotations.source import AnnotationSource, RemoteAnnotations, SideFiles
from ..events import Listener, Notice
from ..remote.session_pool import SessionPool
from .options import Options


@dataclass(frozen=True, slots=True)
class AnnotationRun:
    """Where annotations come from, and which sites share a database."""

    source: AnnotationSource
    databases: SharedDatabases

    @classmethod
    def of(cls, options: Options, sessions: SessionPool, listener: Listener) -> AnnotationRun | None:
        """Return that of a run; None where it brings no annotations."""
        if not options.annotations:
            return None

        def say(site: str, other: str) -> None:
            text = f"{site} and {other} share a database: what was added at {other} is at {site} too"
            listener(Notice(text=text, passing=True))

        source: AnnotationSource = SideFiles()
        if options.places:
            source = RemoteAnnotations({place.site.name: sessions.core(place.site) for place in options.places})
        return cls(source, SharedDatabases(say))
