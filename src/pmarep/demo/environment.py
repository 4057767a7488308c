"""The environment of `pmarep demo`: made-up slides, a site book, and two servers with a rate limit."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import tifffile  # noqa: F401 - `sample_slides` needs it; here, so that a missing extra is noticed before anything begins

from pmacore_sandbox.server import Sandbox
from pmacore_sandbox.settings import Settings
from pmarep.errors import PmarepError

from .sample_slides import write_mirax, write_pyramidal_tiff, write_svs
from .storage import STORAGE_KINDS

USER = "demo"
TARGET = "Slides/incoming"
CONNECTIONS = 2
"""Of each site. On loopback a connection's buffers swallow some 5 MB at once: with more, the board would leap."""

SIDE = 2048
"""Width of the larger slides in pixels: some 80 MB in all."""

RATES: dict[str, float | None] = {"tokyo": 14e6, "saopaulo": 8e6}
"""Bytes per second of each server: some 6 and 10 seconds for the slides below."""


def write_slides(folder: Path, side: int | None = None, check: Callable[[], None] = lambda: None) -> int:
    """Write six slides in folders, with names as people give them; OpenSlide opens all but the MIRAX set.

    `side`: width of the larger ones in pixels. `check` is called before each. Returns how many they are.
    """
    side = side or SIDE
    low = side * 3 // 4
    stomach, nodes, renal = (folder / name for name in ("胃生検", "Lymphknoten", "teaching/renal"))
    writers: list[Callable[[], Path]] = [
        lambda: write_mirax(stomach / "スライド標本 12.mrxs", data_files=4, data_size=side * low, seed=1),
        lambda: write_svs(nodes / "Präparat Größe 3.svs", width=side, height=side, seed=2),
        lambda: write_svs(nodes / "Präparat Größe 4.svs", width=side, height=side, seed=3),
        lambda: write_svs(folder / "skin.svs", width=side, height=side, seed=4),
        lambda: write_svs(renal / "IgA nephropathy.svs", width=side, height=side, seed=5),
        lambda: write_pyramidal_tiff(renal / "kidney [PAS].tif", width=side, height=low, seed=6),
    ]
    for write in writers:
        check()
        write()
    return len(writers)


class DemoEnvironment:
    """The slides, site book and servers of one demo, in a temporary folder that is removed at the end.

    `kind`: one of STORAGE_KINDS; `side`: width of the larger slides in pixels; `rates`: bytes per second by site.
    """

    def __init__(
        self, kind: str = "filesystem", *, side: int | None = None, rates: dict[str, float | None] | None = None
    ) -> None:
        self._kind = kind
        self._side = side or SIDE
        self._rates = RATES if rates is None else rates
        self._closing = ExitStack()
        self._passwords = {name: secrets.token_urlsafe(12) for name in self._rates}
        self.sandboxes: dict[str, Sandbox] = {}

    def __enter__(self) -> Self:
        with ExitStack() as closing:
            try:
                self.folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="pmarep-demo-")))
            except OSError as error:
                raise PmarepError(
                    f"no temporary folder can be made ({error.strerror}); set TMPDIR to a place"
                ) from None
            # An emulator that is not installed is noticed here, before anything begins.
            self.storage = closing.enter_context(STORAGE_KINDS[self._kind](self.folder))
            self._closing = closing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sandbox in self.sandboxes.values():
            sandbox.ask_to_stop()
        self.storage.ask_to_stop()
        self._closing.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The sites of the book."""
        return tuple(self._rates)

    @property
    def source(self) -> Path:
        return self.folder / "cases"

    @property
    def book(self) -> Path:
        return self.folder / "sites.toml"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def environ(self) -> dict[str, str]:
        """The variables in which the passwords of the sites are looked up."""
        return {f"PMAREP_PASSWORD_{name.upper()}": password for name, password in self._passwords.items()}

    def write_slides(self, check: Callable[[], None] = lambda: None) -> None:
        """Write the slides. `check` is called before each; what it raises ends the writing."""
        try:
            write_slides(self.source, self._side, check)
        except OSError as error:
            raise PmarepError(
                f"cannot write slides in {self.folder} ({error.strerror}); set TMPDIR to a folder with 300 MB free"
            ) from None

    def start_servers(self) -> None:
        """Start the servers on free loopback ports, and write the book that names them."""
        tables = []
        for name in self._rates:
            sandbox = self.sandboxes[name] = Sandbox(self._settings(name))
            self._closing.callback(sandbox.stop)
            sandbox.start()
            tables.append(
                f'[sites.{name}]\nurl = "{sandbox.url}"\nusername = "{USER}"\ntarget = "{TARGET}"\n'
                f'connections = {CONNECTIONS}\nlabel_images = "allow"\n'
            )
        self.book.write_text("\n".join(tables), encoding="utf-8")

    def _settings(self, name: str) -> Settings:
        root = TARGET.partition("/")[0]
        return Settings(
            data=self.folder / name,
            user=USER,
            password=self._passwords[name],
            roots=(root,),
            **self.storage.settings(name, root, self._rates[name]),
        )

    def remove_rate_limits(self) -> None:
        """Restart the servers without their slowness: sessions end, what is stored stays."""
        self.storage.remove_rate_limits()
        for sandbox in self.sandboxes.values():
            sandbox.ask_to_stop()
        for sandbox in self.sandboxes.values():
            sandbox.restart(rate=None)
