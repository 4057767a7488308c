"""The answer to the question whether a slide carries a label or a macro image."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Carries(StrEnum):
    """Says whether a slide carries a picture of some kind. `NO` only where its format tells for certain."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"

    @classmethod
    def any_of(cls, answers: Iterable[Carries]) -> Carries:
        """Combine answers about parts: one yes is enough, and one part that is not known makes a no uncertain."""
        given = set(answers)
        return cls.YES if cls.YES in given else cls.UNKNOWN if cls.UNKNOWN in given else cls.NO

    @classmethod
    def said(cls, found: bool, *, sure: bool) -> Carries:
        """Return YES where it was `found`, else NO where all was looked at (`sure`), else UNKNOWN."""
        return cls.YES if found else cls.NO if sure else cls.UNKNOWN


class LabelImages(NamedTuple):
    """`label`: a picture of the label alone. `macro`: one of the whole glass, which often shows the label too."""

    label: Carries
    macro: Carries

    @property
    def either(self) -> Carries:
        return Carries.any_of(self)

    @classmethod
    def all_of(cls, parts: Iterable[LabelImages]) -> LabelImages:
        """Combine the answers about the files of one slide."""
        parts = list(parts)
        return cls(Carries.any_of(part.label for part in parts), Carries.any_of(part.macro for part in parts))


NONE = LabelImages(Carries.NO, Carries.NO)
NOT_KNOWN = LabelImages(Carries.UNKNOWN, Carries.UNKNOWN)
