"""Send every slide of a folder with the official client, one after the other, as its documentation shows.

PASSWORD=... python _official.py URL TARGET FOLDER
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
from pma_python import core


def files_of(main_file: str, _session: str) -> list[str]:
    """Return all files of a slide, the main file last; the official client asks a PMA.start for them."""
    folder = Path(main_file).with_suffix("")
    return [*(str(file) for file in sorted(folder.rglob("*")) if file.is_file()), main_file]


def main(url: str, target: str, folder: str) -> None:
    session = core.connect(url, "seeder", os.environ["PASSWORD"])
    if not session:
        sys.exit("the server does not let the official client in")
    # Its own call for this is for administrators.
    httpx.post(url + "api/json/CreateDirectory", json={"sessionID": session, "path": target}, trust_env=False)
    core.get_files_for_slide = files_of
    for main_file in sorted(Path(folder).glob("*.*")):
        upload = core.upload(pma_core_url=url, session_id=session, slide_path=str(main_file), upload_directory=target)
        done, error = asyncio.run(upload)
        if not done:
            sys.exit(f"{main_file.name}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
