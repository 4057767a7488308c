"""What is to be downloaded next: what somebody waits for, then what sites read now, then what they will read."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from ..interface import FileVersion
from .page_file import PAGE

PIECE = 8
"""Pages of one download: 2 MiB. Several of them at once fill a long line. With larger ones all that were begun together
would be complete at about the same time, and the first part that can be sent would wait for the last."""


@dataclass(slots=True, eq=False)
class Want:
    """Pages of a file, from `first` to before `last`, that somebody needs. Those before `next` are dealt with."""

    version: FileVersion
    first: int
    last: int
    next: int


class Wants:
    """The order of downloads.

    `settled`: return whether a page is there already, or being downloaded. `may_begin`: return whether a download of a
    file may be begun now.
    """

    def __init__(
        self, settled: Callable[[FileVersion, int], bool], may_begin: Callable[[FileVersion], bool] = lambda _: True
    ) -> None:
        self._settled = settled
        self._may_begin = may_begin
        self._urgent: OrderedDict[tuple[FileVersion, int], None] = OrderedDict()
        self._reads: dict[Want, None] = {}
        self._announced: OrderedDict[tuple[int, str], deque[Want]] = OrderedDict()  # by site and slide

    def demand(self, version: FileVersion, index: int) -> None:
        """Add a page that somebody waits for."""
        self._urgent[version, index] = None

    def read(self, version: FileVersion, first: int, last: int) -> Want:
        """Add pages that a site reads from now on."""
        want = Want(version, first, last, first)
        self._reads[want] = None
        return want

    def end_read(self, want: Want) -> None:
        """Take them out: the read has ended."""
        del self._reads[want]

    def announce(self, site: int, slide: str, versions: list[FileVersion]) -> None:
        """Add whole files of a slide that a site will read."""
        wants = (Want(version, 0, -(-version.size // PAGE), 0) for version in versions)
        self._announced[site, slide] = deque(want for want in wants if want.last)

    def done(self, site: int, slide: str) -> None:
        """Take out what a site would have read of a slide."""
        self._announced.pop((site, slide), None)

    def leave(self, site: int) -> None:
        """Take out what a site would have read."""
        for key in [key for key in self._announced if key[0] == site]:
            del self._announced[key]

    def rewind(self, version: FileVersion, index: int) -> None:
        """Note that a page, and those after it, are not there after all."""
        for want in self._reads:
            if want.version == version and want.first <= index < want.last:
                want.next = min(want.next, index)

    def take_urgent(self) -> tuple[FileVersion, int, int] | None:
        """Return pages that somebody waits for, with those after them that will be wanted next."""
        for version, index in list(self._urgent):
            settled = self._settled(version, index)
            if not settled and not self._may_begin(version):
                continue
            del self._urgent[version, index]
            if settled:
                continue
            last = index + 1
            for want in self._reads:
                if want.version == version and want.first <= index < want.last:
                    last = max(last, want.last)
            while (version, last) in self._urgent:
                last += 1
            return version, index, self._end_of_gap(version, index, last)
        return None

    def take_ahead(self, most: int) -> tuple[FileVersion, int, int] | None:
        """Return pages that sites read or will read, at most so many; None where there are none."""
        for want in self._reads:
            if (found := self._gap(want, most)) is not None:
                return found
        for key, wants in list(self._announced.items()):
            for want in list(wants):
                if (found := self._gap(want, most)) is not None:
                    return found
                if want.next < want.last:
                    break
                wants.popleft()
            if not wants:
                del self._announced[key]
        return None

    def _gap(self, want: Want, most: int) -> tuple[FileVersion, int, int] | None:
        while want.next < want.last and self._settled(want.version, want.next):
            want.next += 1
        if want.next >= want.last or most < 1 or not self._may_begin(want.version):
            return None
        first = want.next
        want.next = self._end_of_gap(want.version, first, min(want.last, first + most))
        return want.version, first, want.next

    def _end_of_gap(self, version: FileVersion, first: int, last: int) -> int:
        index = first + 1
        while index < min(last, first + PIECE) and not self._settled(version, index):
            index += 1
        return index
