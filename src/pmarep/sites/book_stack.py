"""Read several books as one: a person's own, and those that it includes for a whole organisation."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from .book_text import BookText, KeyPath, read_bytes
from .site_names import quoted


@dataclass(frozen=True)
class BookStack:
    """The person's own book, then the included ones in order of precedence.

    A site, server or group of an earlier book replaces one of that name as a whole; `[defaults]` merge key by key.
    Among the books of one `include`, the later one has the say, as with settings read one after the other.
    """

    own: BookText
    included: tuple[BookText, ...] = ()

    @classmethod
    def collect(cls, own: BookText) -> BookStack:
        """Read all books that this one includes, directly or not. Raises ConfigError at the line that includes them."""
        found: dict[Path, BookText] = {}

        def visit(text: BookText, way: tuple[Path, ...]) -> None:
            found[way[-1]] = text
            for path in reversed(_includes(text)):
                real = path.resolve()
                if real in way:
                    circle = " -> ".join(str(step) for step in (*way[way.index(real) :], real))
                    raise text.error(f"include goes in a circle: {circle}; leave one out", ("include",))
                if real not in found:
                    visit(_read(text, path), (*way, real))

        visit(own, (own.path.resolve(),))
        return cls(own, tuple(found.values())[1:])

    @property
    def texts(self) -> tuple[BookText, ...]:
        return (self.own, *self.included)

    def owner(self, key: KeyPath) -> BookText | None:
        """Return the book whose value of a key such as `("sites", "tokyo", "url")` counts; None: no book has it."""
        if key[0] in ("sites", "groups"):
            # Both are one namespace.
            texts = [t for t in self.texts if t.has(("sites", key[1])) or t.has(("groups", key[1]))][:1]
        elif key[0] == "servers":
            texts = [t for t in self.texts if t.has(key[:2])][:1]
        else:
            texts = list(self.texts)
        return next((text for text in texts if text.has(key)), None)

    def error(self, message: str, *keys: KeyPath) -> ConfigError:
        """Return an error that names file and line of the first of these keys that is in a book."""
        for key in keys:
            if owner := self.owner(key):
                return owner.error(message, key)
        return self.own.error(message)

    def location(self, key: KeyPath) -> tuple[Path, int] | None:
        """Return the file and line of a key; None where no book has it."""
        owner = self.owner(key)
        return (owner.path, owner.line(key)) if owner else None


def _includes(text: BookText) -> list[Path]:
    said = text.data.get("include", [])
    if not isinstance(said, list) or not all(isinstance(item, str) and item.strip() for item in said):
        raise text.error('include has to be a list of files, such as ["/etc/pmarep/sites.toml"]', ("include",))
    try:
        return [text.path.parent / Path(item).expanduser() for item in said]
    except RuntimeError:
        raise text.error(
            "include names a home directory that is not there; write the whole path", ("include",)
        ) from None


def _read(text: BookText, path: Path) -> BookText:
    try:
        if stat.S_IFMT(path.stat().st_mode) not in (
            stat.S_IFREG,
            stat.S_IFDIR,
        ):  # a pipe would let us wait, a device may never end
            raise text.error(f"include {quoted(str(path))} is no file; name a site book", ("include",))
        content = read_bytes(path)
    except FileNotFoundError:
        raise text.error(
            f"include {quoted(str(path))} is not there; mend its path, or leave it out", ("include",)
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        raise text.error(
            f"include {quoted(str(path))} cannot be read ({reason}); look at its path and rights", ("include",)
        ) from None
    return BookText.decode(path, content)
