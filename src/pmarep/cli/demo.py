"""`pmarep demo`: the whole product on made-up slides and two stand-ins for PMA.core, in half a minute."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer

from ..errors import PmarepError, UsageError
from .output_streams import echo
from .signal_handlers import termination_signals

if TYPE_CHECKING:
    from ..demo.comparison import SlideComparison
    from ..demo.environment import DemoEnvironment
    from ..sites import Site
    from ..slides import Slide


class Interrupted(PmarepError):
    """The demo was ended by a signal."""

    exit_code = 130


class _Kind(StrEnum):
    filesystem = "filesystem"
    s3 = "s3"
    azure = "azure"


def demo(
    kind: Annotated[
        _Kind, typer.Option(metavar="filesystem|s3|azure", help="Where the servers keep their slides.")
    ] = _Kind.filesystem,
    slides: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Only write the made-up slides into this new folder, and end.")
    ] = None,
) -> None:
    """Watch a push to two sites: made-up slides, two PMA.core stand-ins on this machine, nothing left behind.

    Ends with 0 if every slide is at both sites and byte-identical, 1 if not, 130 if interrupted.
    """
    try:
        from ..demo.environment import DemoEnvironment
    except ModuleNotFoundError as error:
        raise PmarepError(
            f"the demo needs {error.name}; install it in a clone of the sources with: pipx install --force '.[sandbox]'"
        ) from error
    if slides is not None:
        write_sample_slides(slides)
        raise typer.Exit
    with Ending() as ending, _no_proxy_for_loopback(), DemoEnvironment(kind.value) as environment:
        identical = play(environment, ending)
    raise typer.Exit(0 if identical else 1)


def write_sample_slides(folder: Path) -> None:
    """Write the slides of the demo into a new folder, as old as those that nobody writes any more."""
    from ..demo.environment import write_slides
    from ..units import count_of

    if folder.exists():
        raise UsageError(f"{folder} is there already; name a new folder for the made-up slides")
    try:
        count = write_slides(folder)
        for path in folder.rglob("*"):
            an_hour_ago = path.stat().st_mtime - 3600
            os.utime(path, (an_hour_ago, an_hour_ago))
    except OSError as error:
        raise PmarepError(f"cannot write slides in {folder} ({error.strerror}); name another folder") from None
    echo(f"{count_of(count, 'made-up slide')} in {folder}")


def play(environment: DemoEnvironment, ending: Ending) -> bool:
    """Play the whole demo; return whether everything arrived byte-identical. Raises Interrupted."""
    from ..sites import SiteBook

    _say(
        "Made-up slides go to two stand-ins for PMA.core on this machine, one of them\n"
        "slow. Then both are asked what they have, and every file is downloaded again\n"
        "and compared. All of it is in a temporary folder, removed at the end."
    )
    if environment.storage.description:
        _say(environment.storage.description)
    environment.write_slides(ending.check)
    environment.start_servers()
    ending.check()
    sites = SiteBook.load(environment.book).resolve(environment.names)
    _say(f"\n$ pmarep push {environment.source.name}/ --sites {','.join(environment.names)}")
    _push(environment, sites, ending)
    ending.check()
    if by_site := environment.storage.unit_counts():
        counts = ", ".join(f"{count} to {name}" for name, count in by_site.items())
        _say(f"\nLarger files went in {environment.storage.unit}: {counts}")
    _say("\nWhat the servers list; each file downloaded again and compared (SHA-256):")
    environment.remove_rate_limits()
    slides = _slides(environment)
    found = _compare(environment, sites, slides)
    ending.check()
    identical = _show(sites, found)
    _say(_verdict(len(slides), found, identical))
    if identical:
        _say(
            "\nThe real thing:\n"
            "  pmarep sites add NAME                  once per site; asks for the rest\n"
            "  pmarep push FOLDER --sites NAME,NAME   and again after trouble: sends the rest"
        )
    return identical


def _say(text: str) -> None:
    echo(text)


def _push(environment: DemoEnvironment, sites: list[Site], ending: Ending) -> None:
    """Push as `pmarep push` does, but for Ctrl-C: nothing has to be kept for a next run here."""
    import asyncio

    from ..engine import Options, replicate
    from ..events import Event, Summary
    from ..sites import Credentials
    from .render import output_for

    passwords, options = Credentials(environment.environ), Options(sources=(environment.source,), settle=0)

    with output_for(json=False, quiet=False, verbose=0) as output:

        def handle(event: Event) -> None:
            if not (isinstance(event, Summary) and ending.asked):
                output.handle(event)

        async def main() -> None:
            stop, loop = asyncio.Event(), asyncio.get_running_loop()
            with ending.calling(lambda: loop.call_soon_threadsafe(stop.set)):
                await replicate(
                    options, sites, passwords=passwords, state_dir=environment.state_dir, listener=handle, stop=stop
                )

        asyncio.run(main())


def _slides(environment: DemoEnvironment) -> list[Slide]:
    from ..slides import Slide, find_slides

    return [found for found in find_slides(environment.source) if isinstance(found, Slide)]


def _compare(environment: DemoEnvironment, sites: list[Site], slides: list[Slide]) -> list[list[SlideComparison]]:
    """Return what each site has, compared with the source; all of them are asked at once."""
    import asyncio

    from ..demo.comparison import compare_slides, source_digests
    from ..pmacore import PmaCore
    from ..sites import Credentials
    from ..sites.site_connection import connection_of

    passwords = Credentials(environment.environ)
    known = source_digests(slides)

    async def ask(site: Site) -> list[SlideComparison]:
        async def password() -> str:
            return passwords.password_for(site)

        async with PmaCore(connection_of(site), password) as core:
            return await compare_slides(core, site.target, slides, known)

    async def ask_all() -> list[list[SlideComparison]]:
        return await asyncio.gather(*map(ask, sites))

    return asyncio.run(ask_all())


def _show(sites: list[Site], found: list[list[SlideComparison]]) -> bool:
    """Print one table per site; return whether all is identical."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..demo.comparison import IDENTICAL
    from ..text import printable
    from ..units import count_of, format_size

    # Off a terminal: no colours, whatever FORCE_COLOR says, and no line is folded.
    live = sys.stdout.isatty()
    console = Console(highlight=False, force_terminal=live, width=None if live else 200)
    good = True
    width = max(Text(one.slide).cell_len for compared in found for one in compared)
    for site, compared in zip(sites, found, strict=True):
        console.print(Text.assemble("\n", (site.name, "bold"), f"  {site.target} at {site.url}"), soft_wrap=True)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(min_width=width + 2, overflow="fold")
        table.add_column(justify="right", no_wrap=True, min_width=7)
        table.add_column(justify="right", no_wrap=True, min_width=8)
        table.add_column(overflow="fold")
        for one in compared:
            fine = one.result == IDENTICAL
            good &= fine
            table.add_row(
                Text("  " + printable(one.slide)),
                count_of(one.files, "file"),
                format_size(one.bytes),
                Text(printable(one.result), "green" if fine else "bold red"),
            )
        console.print(table)
    return good


def _verdict(slides: int, found: list[list[SlideComparison]], identical: bool) -> str:
    if not identical:
        return "\nNot everything arrived as it was: see above."
    fingerprints = [{one.slide: one.fingerprint for one in compared} for compared in found]
    same = all(prints == fingerprints[0] for prints in fingerprints)
    alike = "\nThe servers' own fingerprints of the slides agree as well." if same else ""
    return f"\nAll {slides} slides are at both sites, byte-identical.{alike}"


class Ending:
    """A context in which Ctrl-C and other signals that end programs only ask for the end of the demo.

    A KeyboardInterrupt would come anywhere: in a destructor, where Python drops it, or in the middle of an event loop,
    which then may turn for ever. And tidying up is not to be ended half-way.
    """

    def __init__(self) -> None:
        self.asked = False
        self._call: Callable[[], object] | None = None
        self._before: dict[
            signal.Signals, signal.Handlers | Callable[[int, FrameType | None], object] | int | None
        ] = {}

    def __enter__(self) -> Self:
        for number in termination_signals():
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self._call is not None:
            self._call()

    def check(self) -> None:
        """Raises Interrupted if the end is wanted."""
        if self.asked:
            raise Interrupted("interrupted; the servers are stopped and the folder is removed")

    @contextmanager
    def calling(self, call: Callable[[], object]) -> Iterator[None]:
        """Call `call` when the end is wanted while inside; at once if it is already."""
        self._call = call
        try:
            if self.asked:
                call()
            yield
        finally:
            self._call = None


@contextmanager
def _no_proxy_for_loopback() -> Iterator[None]:
    """Set no_proxy for loopback: where HTTP_PROXY is set, as in many hospitals, the proxy would be asked."""
    before = os.environ.get("no_proxy")
    others = before or os.environ.get("NO_PROXY")
    os.environ["no_proxy"] = f"{others},127.0.0.1" if others else "127.0.0.1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["no_proxy"]
        else:
            os.environ["no_proxy"] = before
