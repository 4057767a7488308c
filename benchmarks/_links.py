"""Long-distance links on one Linux machine: network namespaces, with `link.c` between them. Needs root, ip and gcc.

The client's namespace has one device per site; the client is 10.78.N.1 there and site N is 10.78.N.2. Behind an uplink
it is 10.78.0.1. Nothing leaves the machine, and everything goes when the block ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

SMALLEST_QUEUE = 64_000  # bytes
MTU = 1500


@dataclass(frozen=True)
class Link:
    """One link: `rtt` in ms; `rate` in Mbit/s and `loss` in percent each way. Its queue holds one rate x round trip."""

    site: str
    rtt: float
    rate: float
    loss: float

    def __str__(self) -> str:
        return f"{self.rtt:g} ms, {self.rate:g} Mbit/s, {self.loss:g} % loss"

    def arguments(self) -> list[str]:
        bits = int(self.rate * 1e6)
        queue = max(SMALLEST_QUEUE, int(bits / 8 * self.rtt / 1000))
        return [str(number) for number in (int(self.rtt * 500), bits, int(self.loss * 1e4), queue)]


class Links:
    """Links that exist while the block runs, one to each site's namespace. `congestion` is the TCP of both ends.

    With `uplink`, all links begin behind one line that the client shares among its sites.
    """

    def __init__(
        self, links: Sequence[Link], folder: Path, congestion: str = "cubic", uplink: Link | None = None
    ) -> None:
        self.links = {link.site: link for link in links}
        self.uplink = uplink
        self.client = self.namespace("client")
        self._folder = folder
        self._congestion = congestion
        self._stack = ExitStack()

    def namespace(self, site: str) -> str:
        return f"pmarep-{os.getpid()}-{site}"

    def address(self, site: str) -> str:
        return f"10.78.{self._number(site)}.2"

    def device(self, site: str) -> str:
        """Return the name of the network device at the site's end."""
        return f"site{self._number(site)}"

    def use(self, congestion: str) -> None:
        """Set the client's congestion control, as an administrator can for all connections of a host."""
        if self.uplink is not None:
            _route(self.client, "default", "to0", congestion)
            return
        for link in self.links.values():
            _route(self.client, self.address(link.site), f"to{self._number(link.site)}", congestion)

    def __enter__(self) -> Self:
        program = link_program(self._folder)
        with ExitStack() as stack:
            near = self.client
            add_namespace(near, stack)
            if self.uplink is not None:
                near = self.namespace("uplink")
                add_namespace(near, stack)
                inside(near, "sysctl", "-qw", "net.ipv4.ip_forward=1")
                self._lay(self.uplink, 0, self.client, near, program, stack)
            for link in self.links.values():
                add_namespace(self.namespace(link.site), stack)
                self._lay(link, self._number(link.site), near, self.namespace(link.site), program, stack)
            self.use(self._congestion)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _number(self, site: str) -> int:
        return list(self.links).index(site) + 1

    def _lay(self, link: Link, number: int, near: str, far: str, program: Path, stack: ExitStack) -> None:
        lay(link, number, near, far, program, stack)
        there = f"site{number}"
        if number:
            _route(far, "default", there, self._congestion)
        else:
            inside(far, "ip", "route", "replace", "10.78.0.1", "dev", there)


def link_program(folder: Path, mtu: int = MTU) -> Path:
    """Build the program that plays a link. Ends the benchmark where that is not possible."""
    if sys.platform != "linux" or os.geteuid() != 0:
        sys.exit("long-distance links need Linux and root; run this with sudo")
    program = folder / "link"
    source = Path(__file__).with_name("link.c")
    subprocess.run(["gcc", "-O2", f"-DMTU={mtu}", "-o", str(program), str(source)], check=True)
    return program


def add_namespace(name: str, stack: ExitStack) -> None:
    """Add a network namespace that goes with `stack`."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    stack.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
    inside(name, "ip", "link", "set", "lo", "up")


def lay(
    link: Link, number: int, near: str, far: str, program: Path, stack: ExitStack, mtu: int = MTU
) -> subprocess.Popen[bytes]:
    """Lay a link between two namespaces: devices `toN` and `siteN`, with the addresses 10.78.N.1 and 10.78.N.2.

    Returns the process that plays it.
    """
    here, there = f"to{number}", f"site{number}"
    command = [str(program), near, here, far, there, *link.arguments()]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    if process.stdout is None or process.stdout.readline().strip() != b"up":
        sys.exit(f"the link to {link.site or far} did not start")
    for name, device, own, peer in ((near, here, 1, 2), (far, there, 2, 1)):
        address = [f"10.78.{number}.{own}", "peer", f"10.78.{number}.{peer}"]
        inside(name, "ip", "addr", "add", *address, "dev", device)
        inside(name, "ip", "link", "set", device, "mtu", str(mtu), "txqueuelen", "10000", "up")
    return process


def _route(namespace: str, to: str, device: str, congestion: str) -> None:
    # By the route, since the sysctl takes no algorithm here that the machine has not allowed to everybody. A program's
    # own choice counts where it is made on a connected socket, as httpx's `socket_options` are.
    inside(namespace, "ip", "route", "replace", to, "dev", device, "congctl", congestion)


def inside(namespace: str, *command: str) -> None:
    """Run a command in a network namespace."""
    subprocess.run(["ip", "netns", "exec", namespace, *command], check=True)
