"""Download every slide of a folder with curl, at a bounded rate, to nowhere: the load of a download and nothing else.

PASSWORD=... python _download.py URL PLACE BYTES_PER_SECOND
"""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import urlencode

from pma_python import core


def main(url: str, place: str, rate: str) -> None:
    session = core.connect(url, "seeder", os.environ["PASSWORD"])
    if not session:
        sys.exit("the server does not let the official client in")
    command = ["curl", "--silent", "--fail", "--limit-rate", rate, "--config", "-"]
    config = []
    for slide in core.get_slides(place, session):
        query = urlencode({"sessionID": session, "image": slide, "path": slide.rpartition("/")[2]})
        config.append(f'url = "{url}transfer/Download?{query}"\noutput = "{os.devnull}"\n')
    subprocess.run(command, input="".join(config), text=True, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
