"""`PreparedSlide`: what is sent instead of a slide of the source."""

from __future__ import annotations

from dataclasses import field

from ...slides.model import Slide, value


@value
class PreparedSlide(Slide):
    """What a command has made of a slide. `path` and `number` are those of `source`, all else is of the result.

    `command`: a hash of the command. The mtimes of its files are made of their content (result.py), so that two
    results with the same bytes have the same signature, and two with other bytes have others.
    """

    source: Slide = field(kw_only=True)
    command: str = field(kw_only=True)


def source_of(slide: Slide) -> Slide:
    """Return the slide of the source, under its own name: what a prepared slide was made of, or the slide itself."""
    return slide.source if isinstance(slide, PreparedSlide) else slide.original or slide
