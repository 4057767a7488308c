"""Download the last slides of a folder with the official client, one after the other, as its documentation shows.

PASSWORD=... python _official_pull.py URL PLACE FOLDER SLIDES
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pma_python import core


def main(url: str, place: str, folder: str, slides: str) -> None:
    session = core.connect(url, "seeder", os.environ["PASSWORD"])
    if not session:
        sys.exit("the server does not let the official client in")
    Path(folder).mkdir(parents=True)
    for slide in core.get_slides(place, session)[-int(slides) :]:
        core.download(slide, folder, session)


if __name__ == "__main__":
    main(*sys.argv[1:])
