"""Compare forms at several places: which are there, what they ask, and what users have filled in for slides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..aio import together
from ..errors import PmarepError, Remedy, UsageError
from ..pmacore import PmaCore
from ..pmacore.forms import FormDefinition
from ..remote.session_pool import Passwords, SessionPool
from ..remote.tree import is_about_one
from ..retry import Retry
from ..sites.place import Place
from .content import ContentProgress
from .form_rows import Form, form_key, form_of, judge_form, judge_submission, submission_of
from .form_table import SubmissionTable
from .listing import Listed, RemoteListing, Wanted, guarded, need_two
from .rows import Cell, Row, State
from .sides import Side
from .table import ELSEWHERE, Gap, GapKind, SlideTable, Stored

AT_ONCE = 8
"""Slides of a side whose forms are asked for at once."""

NO_SLIDE = "the slide is not there"


@dataclass(frozen=True, slots=True)
class SubmissionRow:
    """What one user has filled into one form for one slide, at all sides."""

    form: str
    login: str
    row: Row


class FormComparison:
    """Forms and what was filled in at several places, beside each other. Close it in the end."""

    def __init__(self, sides: Sequence[Side], wanted: Wanted, *, values: bool = False) -> None:
        """Compare places; `values`: rows say what was filled in. Raises UsageError for a folder of this machine."""
        if (local := next((side for side in sides if side.is_local), None)) is not None:
            raise UsageError(f"forms are at PMA.cores, and {local.text} is on this machine; name places such as tokyo:")
        self.sides = sides
        self.listed = [Listed() for _ in sides]
        self.contents: list[ContentProgress] = []
        self._wanted = wanted
        self._values = values
        self._labels = [side.label for side in sides]
        self._slides = SlideTable()
        self._submissions = SubmissionTable()
        self._definitions: list[dict[str, FormDefinition]] = [{} for _ in sides]  # by ids
        self._vague = set(range(len(sides)))  # sides that may have more forms than they tell of

    def close(self) -> None:
        """Give the space of the tables back."""
        self._slides.close()
        self._submissions.close()

    async def run(self, passwords: Passwords) -> None:
        """Ask all sides. Raises NoSuchPlace, and the error of a side where fewer than two are left to be compared."""
        places = [(side, side.at) for side in self.sides if isinstance(side.at, Place)]
        pool = SessionPool([place.site for _, place in places], passwords, Retry)
        try:
            pool.check_connections()
            cores = [pool.core(place.site) for _, place in places]
            listings = [
                RemoteListing(side, place, core, self._wanted, files=False)
                for (side, place), core in zip(places, cores, strict=True)
            ]
            self.listed = [listing.listed for listing in listings]
            await together(guarded(one, self._slides, one.find()) for one in listings)
            need_two(self.listed)
            await together(
                guarded(one, self._slides, self._list(one, core)) for one, core in zip(listings, cores, strict=True)
            )
            need_two(self.listed)
            self.contents = [ContentProgress(all_slides=one.slides) for one in self.listed]
            await together(self._read(listing, core) for listing, core in zip(listings, cores, strict=True))
        finally:
            await pool.close()

    async def _list(self, listing: RemoteListing, core: PmaCore) -> None:
        """List the forms and the slides of a side. Raises PmaCoreError."""
        side = listing.side.number
        available = await core.available_forms(listing.folder)
        definitions = {one.id: one for one in await core.form_definitions()}
        self._definitions[side] = {id_: definitions[id_] for id_ in available if id_ in definitions}
        self._vague.discard(side)
        for id_ in available:
            if id_ not in definitions:
                self._vague.add(side)
                self._untold(side, f"{ELSEWHERE}form {id_}", "the server does not say what it asks")
        names = Counter(form_key(one.name) for one in self._definitions[side].values())
        for name in (name for name, count in names.items() if count > 1):
            self._untold(side, f"{ELSEWHERE}form {name}", "several forms have this name; the first one was compared")
        await listing.run(self._slides)

    async def _read(self, listing: RemoteListing, core: PmaCore) -> None:
        """Ask for what was filled in for all slides of a side, several at once."""
        side, waiting = listing.side.number, self._slides.of_side(listing.side.number)
        definitions = self._definitions[side]

        async def take() -> None:
            for slide in waiting:
                if listing.listed.error is None:
                    await self._read_slide(side, slide, core, definitions, listing.listed)
                self.contents[side].slides += 1

        await together(take() for _ in range(AT_ONCE))

    async def _read_slide(
        self, side: int, slide: Stored, core: PmaCore, definitions: dict[str, FormDefinition], listed: Listed
    ) -> None:
        try:
            for id_ in await core.submitted_forms(slide.where):
                if (definition := definitions.get(id_)) is None:
                    self._untold(
                        side, slide.path, f"it has data of the form {id_}, which the server does not show here"
                    )
                    continue
                for data in await core.form_data(slide.where, id_):
                    self._submissions.add(side, slide.path, submission_of(definition, data))
        except PmarepError as error:
            if is_about_one(error) or error.remedy is Remedy.ANNOUNCE:
                self._untold(side, slide.path, str(error))
            elif listed.error is None:
                listed.error = error
                self._untold(side, "", str(error))

    def _untold(self, side: int, path: str, why: str) -> None:
        self._slides.add_gap(Gap(side, path, GapKind.UNTOLD, why))

    def form_rows(self) -> Iterator[Row]:
        """Yield the forms by name."""
        by_name: dict[str, list[Form | None]] = {}
        for side, definitions in enumerate(self._definitions):
            for definition in definitions.values():
                forms = by_name.setdefault(form_key(definition.name), [None] * len(self.sides))
                forms[side] = forms[side] or form_of(definition)
        for _, forms in sorted(by_name.items()):
            yield judge_form(forms, self._vague, self._labels)

    def submission_rows(self) -> Iterator[SubmissionRow]:
        """Yield what was filled in, by slide, form and user."""
        for key, found in self._submissions.rows():
            absent = [self._absent(side.number, key) for side in self.sides]
            there = [(side, submission) for side, _, submission in found]
            row = judge_submission(there, absent, self._labels, found[0][1], values=self._values)
            yield SubmissionRow(found[0][2].form, found[0][2].login, row)

    def _absent(self, side: int, slide: bytes) -> Cell:
        if self._slides.gap_at(side, slide) is not None:
            return Cell(State.UNKNOWN)
        return Cell(State.MISSING, why="" if self._slides.has(side, slide) else NO_SLIDE)

    def gaps(self) -> Iterator[Gap]:
        """Yield what sides do not tell."""
        return self._slides.gaps(of_slides=True)
