"""`--json`: one event a line on stdout, for scripts."""

from __future__ import annotations

import json

from ...events import Event
from .base import Output, write_line


class JsonOutput(Output):
    def hear(self, event: Event) -> None:
        # ASCII only: a log shipper or an old terminal may know no other encoding.
        write_line(json.dumps(event.to_dict()))
