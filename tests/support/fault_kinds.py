"""Draw the faults that a request can have, for `fault_proxy.RandomFaults`, and the seed that they come from.

`PMAREP_FAULT_SEED=7 pytest tests/faults` repeats a failure; each test prints its seed.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Sequence

from pmacore_sandbox import CannedResponse
from support.fault_proxy import CutAnswer, Damage, Do, Fault, ProxiedRequest, Reset, Slow, Stall

Kind = Callable[[random.Random, ProxiedRequest], Fault | None]

SIGN_IN = CannedResponse(
    200,
    "<!DOCTYPE html><html><head><title>Guest Wi-Fi: please sign in</title></head><body><form></form></body></html>",
    "text/html",
)
"""What a hotel's or a hospital's network says to everything, with a status that lies."""

RETRY_AFTER = "1"  # seconds
LOGIN = re.compile("authenticate", re.IGNORECASE)


def seed(default: int) -> int:
    """Printed by pytest with a failure; the same in every run unless the variable says otherwise."""
    chosen = int(os.environ.get("PMAREP_FAULT_SEED", default))
    print(f"PMAREP_FAULT_SEED={chosen} repeats this")
    return chosen


def reset_request(chance: random.Random, seen: ProxiedRequest) -> Fault:
    return Reset(chance.randrange(200 + seen.length))


def reset_answer(chance: random.Random, _seen: ProxiedRequest) -> Fault:
    return CutAnswer(chance.randrange(120), reset=True)


def truncated_answer(chance: random.Random, _seen: ProxiedRequest) -> Fault:
    return CutAnswer(chance.randrange(120))


def stalled_request(chance: random.Random, seen: ProxiedRequest) -> Fault:
    return Stall(chance.randrange(200 + seen.length))


def stalled_answer(chance: random.Random, _seen: ProxiedRequest) -> Fault:
    return Stall(chance.randrange(120), of_answer=True)


def slow(chance: random.Random, seen: ProxiedRequest) -> Fault:
    """Takes up to half a second."""
    return Slow((seen.length + 1000) * chance.uniform(2, 20))


def unavailable(chance: random.Random, _seen: ProxiedRequest) -> Fault:
    return CannedResponse.iis(503, headers={"Retry-After": RETRY_AFTER} if chance.random() < 0.5 else {})


def bad_gateway(_chance: random.Random, _seen: ProxiedRequest) -> Fault:
    return CannedResponse.iis(
        502, "502 - Web server received an invalid response while acting as a gateway or proxy server."
    )


def too_many(chance: random.Random, _seen: ProxiedRequest) -> Fault:
    return CannedResponse(429, headers={"Retry-After": RETRY_AFTER} if chance.random() < 0.5 else {})


def failed(_chance: random.Random, _seen: ProxiedRequest) -> Fault:
    return CannedResponse.iis(500, "500 - Internal server error.")


def sign_in_page(_chance: random.Random, _seen: ProxiedRequest) -> Fault:
    return SIGN_IN


def damaged_part(chance: random.Random, seen: ProxiedRequest) -> Fault | None:
    """Of what goes to S3 and Azure only: a FileSystem upload has no checksum that would show it."""
    is_part = seen.method == "PUT" and seen.length and "comp=blocklist" not in seen.label
    return Damage(chance.randrange(seen.length)) if is_part else None


def happening(name: str, what: Callable[[], None]) -> Kind:
    """Something at the server, before any request but a login: there is no session to end yet."""

    def kind(_chance: random.Random, seen: ProxiedRequest) -> Fault | None:
        return None if LOGIN.search(seen.label) else Do(name, what)

    return kind


EVERYWHERE: Sequence[Kind] = (
    reset_request,
    reset_answer,
    truncated_answer,
    stalled_request,
    stalled_answer,
    slow,
    unavailable,
    bad_gateway,
    too_many,
    failed,
    sign_in_page,
    damaged_part,
)
