"""Checks of what clients send about an upload: the files they announce, the parts they want put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .models import AnnouncedFile
from .paths import Parts, fold_parts, split_path
from .refusals import Refusal


def parse_files(announced: object, check_name: Callable[[str], None]) -> list[AnnouncedFile]:
    """Return the `Files` of an announcement. Raises Refusal.

    Keys match in either case, since clients differ in that. `check_name` raises Refusal for a name that cannot be
    stored.
    """
    if not isinstance(announced, list) or not announced:
        raise Refusal("Files is missing or empty")
    files: list[AnnouncedFile] = []
    seen: set[Parts] = set()
    for item in announced:
        file = _parse_file(item, check_name)
        folded = fold_parts(file.parts)
        if folded in seen:
            raise Refusal(f"The file {file.path!r} is announced twice; names match ignoring case")
        seen.add(folded)
        files.append(file)
    for file in files:
        for depth in range(1, len(file.parts)):
            if fold_parts(file.parts[:depth]) in seen:
                raise Refusal(f"{'/'.join(file.parts[:depth])!r} is announced as a file and as a folder")
    mains = [file for file in files if file.is_main]
    if len(mains) != 1:
        raise Refusal(f"An upload has exactly one main file; this announcement has {len(mains)}")
    if len(mains[0].parts) > 1:
        raise Refusal(f"The main file {mains[0].path!r} has to lie in the announced Path itself")
    return files


def _parse_file(item: object, check_name: Callable[[str], None]) -> AnnouncedFile:
    if not isinstance(item, dict):
        raise Refusal("Each of Files is an object with Path, Length and IsMain")
    values: dict[str, Any] = {str(key).lower(): value for key, value in item.items()}
    path, length, is_main = values.get("path"), values.get("length"), values.get("ismain")
    for part in split_path(path, "The path of a file"):
        check_name(part)
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise Refusal(f"The Length of {path!r} is not a number of bytes")
    if not isinstance(is_main, bool):
        raise Refusal(f"IsMain of {path!r} is not true or false")
    return AnnouncedFile(str(path), length, is_main)


def parse_parts(given: object) -> list[tuple[int, str]]:
    """Return the `Parts` of CompleteMultipart as part numbers and ETags, ascending. Raises Refusal."""
    if not isinstance(given, list) or not given:
        raise Refusal("Parts is missing or empty")
    parts: list[tuple[int, str]] = []
    for item in given:
        values = {str(key).lower(): value for key, value in item.items()} if isinstance(item, dict) else {}
        number, tag = values.get("partnumber"), values.get("etag")
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(tag, str) or not tag:
            raise Refusal("Each of Parts is an object with PartNumber and ETag")
        if '"' in tag:
            raise Refusal("An ETag comes without its quotes")
        if parts and number <= parts[-1][0]:
            raise Refusal("Parts has to be in ascending order of PartNumber")
        parts.append((number, tag))
    return parts
