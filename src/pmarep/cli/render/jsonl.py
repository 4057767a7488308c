"""`--json`: one event a line on stdout, for scripts."""

from __future__ import annotations

import json
import sys

from ...events import Event
from .base import Output


class JsonOutput(Output):
    def hear(self, event: Event) -> None:
        # ASCII only: a log shipper or an old terminal may know no other encoding.
        sys.stdout.write(json.dumps(event.to_dict()) + "\n")
        sys.stdout.flush()
