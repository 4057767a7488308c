"""Compares what a server has with the slides that were sent to it: lists, downloads and hashes every file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pmarep.pmacore import PmaCore, PmaCoreError, Refused, RemoteFile
from pmarep.slides import Slide

IDENTICAL = "identical"


@dataclass(frozen=True, slots=True)
class SlideComparison:
    """A slide at a site. `files` and `bytes` are what the server lists; `result` is IDENTICAL or what is wrong."""

    slide: str
    files: int
    bytes: int
    fingerprint: str
    result: str


async def download_digest(core: PmaCore, slide: str, file: str) -> str:
    """Download a file and return its digest; `file` is relative to the folder of the slide. Raises PmaCoreError."""
    digest = hashlib.sha256()
    async with core.download(slide, file) as chunks:
        async for chunk in chunks:
            digest.update(chunk)
    return digest.hexdigest()


def source_digests(slides: Sequence[Slide]) -> dict[Path, str]:
    """Return the SHA-256 of each file at the source."""
    found = {}
    for path in (slide.local(file) for slide in slides for file in slide.files):
        with path.open("rb") as stream:
            found[path] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


async def compare_slides(
    core: PmaCore, target: str, slides: Sequence[Slide], known: Mapping[Path, str]
) -> list[SlideComparison]:
    """Compare every slide below `target`, sent by us or not, with the source. Raises PmaCoreError.

    `known`: the digests of the source's files.
    """
    there = set(await _list_slides(core, target))
    expected = {f"{target}/{slide.path}": slide for slide in slides}
    found = [
        await _compare_slide(core, path, slide, known)
        if path in there
        else SlideComparison(slide.path, 0, 0, "", "missing")
        for path, slide in expected.items()
    ]
    return found + [SlideComparison(path, 0, 0, "", "not ours") for path in sorted(there - expected.keys())]


async def _list_slides(core: PmaCore, folder: str) -> list[str]:
    """Return the virtual paths of all slides below a folder."""
    found, folders = [], [folder]
    for one in folders:
        try:
            found += await core.slides(one)
            folders += await core.directories(one)
        except Refused:
            if one != folder:
                raise
            # Nothing has come: not even the target's folder is there.
    return found


async def _compare_slide(core: PmaCore, path: str, slide: Slide, known: Mapping[Path, str]) -> SlideComparison:
    files: list[RemoteFile] = []
    fingerprint = ""
    try:
        files = await core.slide_files(path)
        fingerprint = await core.fingerprint(path)
        result = await _compare_files(core, path, slide, files, known)
    except PmaCoreError as error:
        result = str(error)
    return SlideComparison(slide.path, len(files), sum(file.size for file in files), fingerprint, result)


async def _compare_files(
    core: PmaCore, path: str, slide: Slide, files: Sequence[RemoteFile], known: Mapping[Path, str]
) -> str:
    folder = path.rpartition("/")[0] + "/"
    names = {file.path.strip("/").removeprefix(folder) for file in files}
    expected = {file.path: known[slide.local(file)] for file in slide.files}
    if odd := sorted(names ^ expected.keys()):
        return f"other files than sent: {odd[0]}"
    for name, digest in expected.items():
        if await download_digest(core, path, name) != digest:
            return f"{name} DIFFERS"
    return IDENTICAL
