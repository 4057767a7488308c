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


WINDOW = 64
"""Pages ahead of a request that is being sent, before all others that are not waited for."""


@dataclass(slots=True, eq=False)
class Want:
    """Pages of a file, from `first` to before `last`, that somebody needs. Those before `next` are dealt with.

    `whole`: all of them are needed before anything can be done with them; else they are sent one by one, and `at` is
    where the sending has come to.
    """

    version: FileVersion
    first: int
    last: int
    next: int
    at: int
    whole: bool

    def has(self, index: int) -> bool:
        """Return whether a page of the file is among them."""
        return self.first <= index < self.last


class Wants:
    """The order of downloads.

    First what somebody waits for, the oldest request first: of a part that is hashed before it is sent all of it, so
    that one part after the other is complete. Then what will be sent next of requests that are under way, then what has
    been announced.

    `settled`: return whether a page is there already, or being downloaded. `may_begin`: return whether a download of a
    file may be begun now. `is_to_wait`: return whether a page that has been announced is to come when it is read, not
    before.
    """

    def __init__(
        self,
        settled: Callable[[FileVersion, int], bool],
        may_begin: Callable[[FileVersion], bool] = lambda _: True,
        is_to_wait: Callable[[FileVersion, int], bool] = lambda *_: False,
    ) -> None:
        self._settled = settled
        self._may_begin = may_begin
        self._is_to_wait = is_to_wait
        self._waited: dict[FileVersion, set[int]] = {}
        self._reads: dict[Want, None] = {}
        self._reads_of: dict[FileVersion, dict[Want, None]] = {}
        self._announced: OrderedDict[tuple[int, str], deque[Want]] = OrderedDict()  # by site and slide

    def wait(self, version: FileVersion, index: int) -> None:
        """Note that somebody waits for a page, of which a read has been added."""
        self._waited.setdefault(version, set()).add(index)
        self.rewind(version, index)

    def end_wait(self, version: FileVersion, index: int) -> None:
        """Note that nobody waits for a page any more."""
        waited = self._waited.get(version, set())
        waited.discard(index)
        if not waited:
            self._waited.pop(version, None)

    def is_waited_for(self, version: FileVersion) -> bool:
        """Return whether somebody waits for a page of a file."""
        return version in self._waited

    def is_needed_with_others(self, version: FileVersion, index: int) -> bool:
        """Return whether a page is one of several that have to be there at the same time."""
        return any(want.whole and want.has(index) for want in self._reads_of.get(version, ()))

    def read(self, version: FileVersion, first: int, last: int, *, whole: bool = False) -> Want:
        """Add pages that are read from now on."""
        want = Want(version, first, last, first, first, whole)
        self._reads[want] = None
        self._reads_of.setdefault(version, {})[want] = None
        return want

    def end_read(self, want: Want) -> None:
        """Take them out: the read has ended."""
        del self._reads[want]
        reads = self._reads_of[want.version]
        del reads[want]
        if not reads:
            del self._reads_of[want.version]

    def moved(self, version: FileVersion, index: int) -> None:
        """Note that a page has been sent."""
        for want in self._reads_of.get(version, ()):
            if want.has(index):
                want.at = max(want.at, index)

    def announce(self, site: int, slide: str, versions: list[FileVersion]) -> None:
        """Add whole files of a slide that a site will read."""
        wants = (Want(version, 0, -(-version.size // PAGE), 0, 0, False) for version in versions)
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
        for want in self._reads_of.get(version, ()):
            if want.has(index):
                want.next = min(want.next, index)

    def take_urgent(self) -> tuple[FileVersion, int, int] | None:
        """Return pages that somebody waits for, or needs with them."""
        for want in self._reads:
            waited = [index for index in self._waited.get(want.version, ()) if want.first <= index < want.last]
            if not waited or not self._may_begin(want.version):
                continue
            first, last = min(waited), want.last if want.whole else min(want.last, max(waited) + PIECE)
            while first < last and self._settled(want.version, first):
                first += 1
            if first < last:
                return want.version, first, _end_of_gap(want.version, first, last, self._settled)
        return None

    def take_ahead(self, most: int) -> tuple[FileVersion, int, int] | None:
        """Return pages that sites read or will read, at most so many; None where there are none."""
        for want in self._reads:
            if want.next < want.at + WINDOW and (found := self._gap(want, most, self._settled)) is not None:
                return found
        for key, wants in list(self._announced.items()):
            for want in list(wants):
                if (found := self._gap(want, most, self._passed_over)) is not None:
                    return found
                if want.next < want.last:
                    break
                wants.popleft()
            if not wants:
                del self._announced[key]
        return None

    def _passed_over(self, version: FileVersion, index: int) -> bool:
        return self._settled(version, index) or self._is_to_wait(version, index)

    def _gap(
        self, want: Want, most: int, over: Callable[[FileVersion, int], bool]
    ) -> tuple[FileVersion, int, int] | None:
        """Return the next pages of a file, passing over those that `over` says."""
        while want.next < want.last and over(want.version, want.next):
            want.next += 1
        if want.next >= want.last or most < 1 or not self._may_begin(want.version):
            return None
        first = want.next
        want.next = _end_of_gap(want.version, first, min(want.last, first + most), over)
        return want.version, first, want.next


def _end_of_gap(version: FileVersion, first: int, last: int, over: Callable[[FileVersion, int], bool]) -> int:
    index = first + 1
    while index < min(last, first + PIECE) and not over(version, index):
        index += 1
    return index
