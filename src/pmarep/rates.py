"""`RateMeter`: a transfer rate from a counter of bytes that is read about once a second."""

from __future__ import annotations

from collections import deque

SHORTEST_WINDOW, LONGEST_WINDOW = 5.0, 45.0
"""Seconds that the present rate is an average over ..."""

TIMES_BUFFERED = 5
"""... as few of them as see so many times the bytes that may be in buffers."""

BUFFER = 6 * 1024 * 1024
"""Bytes of one request that the buffers of both ends take at once and hold back later, at most: a receiver's on Linux
(tcp_rmem). A slow server is handed that much in a moment, and then nothing for seconds when its buffer is drained."""

LONG_WINDOW = 90.0
"""Seconds that a forecast is based on."""

FEWEST_SECONDS = 2.0

FILL_SAMPLES, FILLING = 3, 1.5
"""So many times faster than the later samples, of which there are at least as many, the first one filled buffers."""


class RateMeter:
    """The rate at which a counter grows, in bytes per second.

    Handed bytes come in bursts, whatever the line carries: each new request fills buffers at once. So the window is
    longer where the line is slow and buffers are many. What the first requests have filled buffers with is left out.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int]] = deque()

    def add(self, now: float, count: int, *, under_way: int = 0, requests: int = 0) -> None:
        """Take a sample: the clock's time and the counter, which never goes back.

        `under_way`: bytes of it that are not acknowledged, in so many `requests`.
        """
        samples = self._samples
        if samples and samples[-1][1] == 0:
            samples.clear()
        samples.append((now, count, min(under_way, requests * BUFFER)))
        while samples[0][0] < now - LONG_WINDOW:
            samples.popleft()
        if under_way >= count:
            self._drop_first_fill()

    def _drop_first_fill(self) -> None:
        """Forget samples from before the buffers were full, as long as nothing is acknowledged.

        Later that would be wrong: the silence while they are drained counts too.
        """
        samples = self._samples
        while len(samples) > FILL_SAMPLES:
            (began, none, _), (then, first, _), (now, count, _) = samples[0], samples[1], samples[-1]
            if (first - none) * (now - then) <= FILLING * (count - first) * (then - began):
                return
            samples.popleft()

    def restart(self) -> None:
        """Forget what was before: a pause says nothing about the rate."""
        self._samples.clear()

    @property
    def rate(self) -> float:
        """The present rate; 0 while there are too few samples."""
        if not self._known:
            return 0.0
        now, count, _ = self._samples[-1]
        buffered = max(held for at, _, held in self._samples if at >= now - LONGEST_WINDOW)
        found = 0.0
        for at, before, _ in reversed(self._samples):
            if now - at > LONGEST_WINDOW:
                break
            found = (count - before) / (now - at) if at < now else 0.0
            if now - at >= SHORTEST_WINDOW and count - before >= TIMES_BUFFERED * buffered:
                break
        return found

    @property
    def steady_rate(self) -> float:
        """The rate over a minute and a half, for forecasts; 0 while there are too few samples."""
        if not self._known:
            return 0.0
        (began, before, _), (now, count, _) = self._samples[0], self._samples[-1]
        return (count - before) / (now - began)

    @property
    def _known(self) -> bool:
        return len(self._samples) > 1 and self._samples[-1][0] - self._samples[0][0] >= FEWEST_SECONDS
