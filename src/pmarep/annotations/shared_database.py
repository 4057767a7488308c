"""Notice sites that share a database: what is added to a slide at one of them is there at the other at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager

from ..pmacore import Annotation
from ..system.windows_names import normalized_key

REMEMBERED = 1000
"""Slides whose new annotations are remembered until it is known of each two sites whether they share a database."""

_Key = tuple[int | None, str | None, str | None]


class SharedDatabases:
    """Lets sites add to a slide of the same virtual path one after the other, unless they have databases of their own.

    Two that share one would both find nothing there, and both add all. `say` is told of each two sites that share one.
    """

    def __init__(self, say: Callable[[str, str], None]) -> None:
        self._say = say
        self._busy: dict[str, dict[asyncio.Event, str]] = {}  # by paths: who reads or adds, in this order, and its site
        self._added: OrderedDict[str, dict[str, set[_Key]]] = OrderedDict()  # by paths and sites
        self._separate: set[frozenset[str]] = set()
        self._shared: set[frozenset[str]] = set()

    @asynccontextmanager
    async def turn(self, site: str, path: str) -> AsyncGenerator[None, None]:
        """Hold a slide of a site, from reading its annotations to having added to them."""
        key = normalized_key(path)
        busy = self._busy.setdefault(key, {})
        before = dict(busy)
        busy[done := asyncio.Event()] = site
        try:
            for other_done, other in before.items():
                if frozenset((site, other)) not in self._separate:
                    await other_done.wait()
            yield
        finally:
            done.set()
            del busy[done]
            if not busy:
                del self._busy[key]

    def note_found(self, site: str, path: str, found: Iterable[Annotation]) -> None:
        """Compare what a site has before anything is added there with what others of the run have added."""
        there = {_key(one) for one in found}
        for other, added in self._added.get(normalized_key(path), {}).items():
            pair = frozenset((site, other))
            if pair in self._separate or pair in self._shared or site == other:
                continue
            if added <= there:
                self._shared.add(pair)
                self._say(site, other)
            else:
                self._separate.add(pair)

    def note_added(self, site: str, path: str, before: Iterable[Annotation], after: Iterable[Annotation]) -> None:
        """Remember what a site has now and had not before."""
        new = {_key(one) for one in after if one.created_on is not None} - {_key(one) for one in before}
        if new:
            self._added.setdefault(normalized_key(path), {})[site] = new
            while len(self._added) > REMEMBERED:
                self._added.popitem(last=False)


def _key(one: Annotation) -> _Key:
    """Return what is equal in one database only: two that count from 1 give the same ids, but not at the same time."""
    return one.id, one.created_on, one.created_by
