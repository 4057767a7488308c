"""Bound the journal, which would else grow with every slide that was ever sent."""

from __future__ import annotations

import sqlite3

from .records import BROKEN, SENDING, UNREADABLE

MAX_RUNS = 1000

MAX_ENTRIES = 5_000_000
"""Slides at sites that are remembered, at most; they take about 2 GB.

No age ends an entry: of an archive that was sent once, it is what tells a slide of ours that was damaged from somebody
else's, for ever. So there is room for what any laboratory sends in decades, and only then the oldest go.
"""

_SMALLEST = 100
"""Bytes that an entry takes at least: in a smaller file nothing has to be counted."""


def bound(db: sqlite3.Connection, last_run: int, most: int = MAX_ENTRIES) -> None:
    """Delete the oldest runs, and the entries that were sent or looked at longest ago. Part of a write.

    Unfinished ones and those that are known to be damaged are the last to go. A twentieth goes at once, or each run
    would have to sort all of them.
    """
    db.execute("DELETE FROM run WHERE id <= ?", (last_run - MAX_RUNS,))
    (pages,), (size,) = db.execute("PRAGMA page_count").fetchone(), db.execute("PRAGMA page_size").fetchone()
    if pages * size < most * _SMALLEST:
        return
    (count,) = db.execute("SELECT count(*) FROM slide").fetchone()
    if count > most:
        db.execute(
            "DELETE FROM slide WHERE (server, path) IN ("
            "SELECT server, path FROM slide LEFT JOIN looked USING (server, path) "
            "ORDER BY state IN (?, ?, ?), max(changed, coalesce(looked.at, 0)) LIMIT ?)",
            (SENDING, BROKEN, UNREADABLE, count - most + most // 20),
        )
