"""Print what `pmarep ls` finds, row by row as it comes: lines for people, JSON lines for programs."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Any

from ...places.listing import ListedSlide, PlaceListing, Row, Wanted
from ...pmacore import NotFound, RemoteFile
from ...remote.tree import RemoteFolder, RemoteSlide, Unlisted, name_below
from ...text import printable
from ...units import count_of, format_size
from ..output_streams import echo

SIZE, FILES, TIME = 8, 12, 16
"""Columns of these cells. Names come last, however long they are: no row waits for another."""


class ListingOutput(ABC):
    """Base class: counts what is printed, says on stderr what is not told, and knows the exit code.

    `files`: the files of each slide are printed too. `listing`: the place that was begun last.
    """

    listing: PlaceListing

    def __init__(self, wanted: Wanted, *, files: bool) -> None:
        self._wanted = wanted
        self._files = files
        self._not_there = self._wrong = False

    def begin(self, listing: PlaceListing) -> None:
        """Begin a place."""
        self.listing = listing

    def row(self, row: Row) -> None:
        """Print one thing that lies there."""
        match row:
            case RemoteFolder():
                self._folder(row)
            case ListedSlide():
                self._slide(row)
                if row.problem is not None or row.untold is not None:
                    self._wrong = True
                if row.untold is not None:
                    self._say(f"{self._name(row.slide.path)}: no fingerprint: {row.untold}")
            case Unlisted():
                self._untold(row)

    def end(self) -> None:
        """End a place."""
        if (error := self.listing.error) is None:
            return
        if self.listing.at is None and isinstance(error, NotFound):
            self._not_there = True
        else:
            self._wrong = True
        self._say(f"{self.listing.place.text.removesuffix(':')}: {error}")

    def exit_code(self) -> int:
        """Return 2 if a place was not there, 1 if something was not told or cannot be read, else 0."""
        return 2 if self._not_there else int(self._wrong)

    @abstractmethod
    def _folder(self, folder: RemoteFolder) -> None: ...

    @abstractmethod
    def _slide(self, row: ListedSlide) -> None: ...

    def _untold(self, row: Unlisted) -> None:
        self._wrong = True
        self._say(f"{self._name(row.path)}: {row.error}")

    def _say(self, words: str) -> None:
        echo(f"pmarep: {printable(words)}", err=True)

    def _name(self, path: str) -> str:
        """Return how something is named so that it can be typed."""
        return f"{self.listing.place.site.name}:/{path}"


class JsonListing(ListingOutput):
    """One object a line, ASCII with escapes: right in whatever encoding the standard output has."""

    def _folder(self, folder: RemoteFolder) -> None:
        self._print({"folder": folder.path})

    def _slide(self, row: ListedSlide) -> None:
        slide, told = row.slide, bool(row.slide.files)
        line: dict[str, Any] = {
            "slide": slide.path,
            "files": len(slide.files) if told else None,
            "bytes": slide.size if told else None,
            "modified": newest(slide.files),
        }
        if self._wanted.check:
            line |= {"readable": row.readable, "problem": None if row.problem is None else str(row.problem)}
        if self._wanted.fingerprint:
            line["fingerprint"] = row.fingerprint
        if self._files:
            line["contents"] = [
                {"path": name_below(slide, file), "bytes": file.size, "modified": moment(file)} for file in slide.files
            ]
        self._print(line)

    def _untold(self, row: Unlisted) -> None:
        super()._untold(row)
        self._print({"not_told": row.path, "error": str(row.error)})

    def end(self) -> None:
        super().end()
        if self.listing.error is not None:
            self._print({"error": str(self.listing.error)})

    def _print(self, line: dict[str, Any]) -> None:
        echo(json.dumps({"place": self.listing.place.text, "site": self.listing.place.site.name, **line}))


class PlainListing(ListingOutput):
    """A line for each folder and slide, a heading for each of several places, and totals at the end."""

    def __init__(self, wanted: Wanted, *, files: bool, several: bool) -> None:
        super().__init__(wanted, files=files)
        self._several = several
        self._begun = self._found = 0
        self._folders = self._slides = self._all_files = self._bytes = self._not_readable = 0

    def begin(self, listing: PlaceListing) -> None:
        super().begin(listing)
        if self._several:
            echo(f"{chr(10) if self._begun else ''}{printable(listing.place.text)}")
        self._begun += 1

    def end(self) -> None:
        super().end()
        self._found += self.listing.at is not None

    def _folder(self, folder: RemoteFolder) -> None:
        self._folders += 1
        self._line("", "", "", "", "", self._below(folder.path) + "/")

    def _slide(self, row: ListedSlide) -> None:
        slide = row.slide
        self._slides += 1
        self._all_files += len(slide.files)
        self._bytes += slide.size
        state = ""
        if row.readable is not None:
            self._not_readable += not row.readable
            state = "readable" if row.readable else "NOT READABLE"
        size, files = (format_size(slide.size), count_of(len(slide.files), "file")) if slide.files else ("", "")
        self._line(size, files, shown_time(newest(slide.files)), state, row.fingerprint or "", self._below(slide.path))
        if row.problem is not None:
            self._say(f"{self._name(slide.path)} cannot be read there: {row.problem}")
        if self._files or isinstance(self.listing.at, RemoteSlide):
            for file in slide.files:
                self._line(format_size(file.size), "", shown_time(moment(file)), "", "", f"  {name_below(slide, file)}")

    def _line(self, size: str, files: str, time: str, state: str, fingerprint: str, name: str) -> None:
        cells = [size.rjust(SIZE), files.rjust(FILES), time.ljust(TIME)]
        if not self._wanted.files:
            cells = []
        if self._wanted.check:
            cells.append(state.ljust(len("NOT READABLE")))
        if self._wanted.fingerprint:
            cells.append(printable(fingerprint).ljust(40))
        echo("  ".join([*cells, printable(name)]))

    def _below(self, path: str) -> str:
        """Return a path from the place; that of a slide which is the place itself is its name."""
        at = self.listing.at
        if isinstance(at, RemoteFolder) and at.path:
            return "/".join(path.split("/")[at.path.count("/") + 1 :])
        return path.rpartition("/")[2] if isinstance(at, RemoteSlide) else path

    def exit_code(self) -> int:
        if self._found:
            echo(f"\n{self._totals()}")
        return super().exit_code()

    def _totals(self) -> str:
        said = [count_of(self._folders, "folder")] if self._folders else []
        if not self._slides:
            return said[0] if said else "nothing is there"
        said.append(count_of(self._slides, "slide"))
        if self._wanted.files:
            said += [count_of(self._all_files, "file"), format_size(self._bytes)]
        if self._not_readable:
            said.append(f"{self._not_readable:,} NOT READABLE")
        return ", ".join(said) + ("" if self._wanted.check else "; not asked whether they can be read (--check)")


def moment(file: RemoteFile) -> str | None:
    """Return when a file was written: ISO 8601 in UTC where the server tells a moment, else its own words."""
    said = file.modified
    if said is None:
        return None
    try:
        if said.lstrip("-").isdecimal():
            return datetime.fromtimestamp(int(said) / 1000, UTC).isoformat(timespec="seconds")
        time = datetime.fromisoformat(said)
        return said if time.tzinfo is None else time.astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return said


def newest(files: tuple[RemoteFile, ...]) -> str | None:
    """Return when the newest of some files was written; None where the server does not tell."""
    return max((time for file in files if (time := moment(file)) is not None), default=None)


def shown_time(time: str | None) -> str:
    """Return a time for people: local where the server tells a moment, else its own words."""
    if time is None:
        return ""
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return printable(time)[:TIME]
    return f"{found if found.tzinfo is None else found.astimezone():%Y-%m-%d %H:%M}"
