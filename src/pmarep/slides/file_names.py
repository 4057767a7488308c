"""Rules for file names: which PMA.core can store, which belong to the system, which are no slide's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ..system.windows_names import is_windows_device, normalized_key
from ..text import printable
from .model import Kind

# A backslash separates folders on PMA.core's Windows; control characters are legal on no Windows disk and would reach
# people's terminals; lone surrogates are how os.fsdecode() stands in for bytes that are no text.
_UNSTORABLE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# Recycle bins, snapshots and side files: slides in them were deleted, perhaps for privacy. Compared in lower case.
_SYSTEM = frozenset(
    (
        # Windows, on NTFS and on FAT; files that chkdsk found
        *("$recycle.bin", "recycler", "recycled", "recycle bin", "system volume information", "found.000"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$extend"),
        # macOS, in archives and on servers
        *("__macosx", "network trash folder", "temporary items", "icon\r"),
        # Synology, QNAP, Asustor, Buffalo, NetApp over SMB, Nextcloud, the root of an ext4 disk
        *("@eadir", "@tmp", "@sharebin", "@recycle", "@recently-snapshot", "@trash", "@transcode", "#recycle"),
        *("#snapshot", "trashbox", "~snapshot", "files_trashbin", "files_versions", "lost+found"),
    )
)
# What Office writes beside an open document; the folders in which Windows shows the snapshots of a server.
_SYSTEM_PREFIXES = ("~$", "@gmt-")

# What everybody knows to be no slide and no part of one, by extension. Not `dat`, and not a name without extension:
# scanners have both.
_OTHER = frozenset(
    (
        *("txt", "xml", "pdf", "csv", "tsv", "log", "ini", "json", "jsonl", "geojson", "yml", "yaml", "toml", "db"),
        *("htm", "html", "css", "js", "md", "rtf", "tex", "doc", "docx", "docm", "odt", "xls", "xlsx", "xlsm", "ods"),
        *("ppt", "pptx", "odp", "zip", "7z", "gz", "bz2", "xz", "zst", "rar", "tar", "tgz", "iso", "exe", "msi", "dll"),
        *("bat", "cmd", "ps1", "sh", "py", "pyc", "ipynb", "r", "m", "groovy", "sql", "sqlite", "lnk", "url", "webloc"),
        *("eml", "msg", "tmp", "bak", "swp", "md5", "sha1", "sha256", "sha512", "sfv", "torrent"),
        *("gif", "bmp", "svg", "ico", "webp", "heic", "psd", "ai", "eps", "mp3", "wav", "mp4", "avi", "mov", "mkv"),
        *(
            "h5",
            "hdf5",
            "npy",
            "npz",
            "pkl",
            "pt",
            "pth",
            "onnx",
            "parquet",
            "xsd",
            "xsl",
            "xslt",
            "dtd",
            "cfg",
            "conf",
        ),
        # annotations and projects of viewers: NDP.view, Aperio's beside XML, QuPath, ASAP, Cytomine, ImageJ
        *("ndpa", "annotations", "qpproj", "qpdata", "roi"),
    )
)
_OTHER_NAMES = frozenset(("readme", "license", "licence", "copying", "changelog", "authors", "makefile", "dockerfile"))

# Hidden, and yet a slide's: without them nobody knows what the other files of a Zarr are.
_ZARR = frozenset((".zattrs", ".zgroup", ".zarray", ".zmetadata"))

__all__ = ["ANNOTATIONS_SUFFIX", "is_system_name", "name_problem", "normalized_key", "shorten_list", "sort_names"]

ANNOTATIONS_SUFFIX = ".annotations.json"
"""Ending of a side file: the annotations of the slide whose main file is called as what stands before it."""

_FEW = 4  # names that a message has room for


def sort_names(names: Iterable[str]) -> list[str]:
    """Sort names as people do, whatever order the disk has them in: without regard to case, then exactly."""
    return sorted(sorted(names), key=str.casefold)


def is_system_name(name: str) -> bool:
    """Return whether a file or folder is hidden, or left behind by an operating system or a NAS."""
    lower = name.lower()
    is_hidden = lower[0] == "." and lower not in _ZARR
    return is_hidden or lower in _SYSTEM or lower.startswith(_SYSTEM_PREFIXES)


def placeholder_of(name: str) -> str:
    """`slide.svs` of `.slide.svs.icloud`, which stands for a file that iCloud has and this disk has not; else ""."""
    return name[1:-7] if name[0] == "." and len(name) > 8 and name.lower().endswith(".icloud") else ""


def guess_kind(name: str) -> Kind:
    """Guess by its name what a file is that no format knows."""
    stem, dot, extension = name.rpartition(".")
    if extension == "json" and name.endswith(ANNOTATIONS_SUFFIX):
        return Kind.ANNOTATIONS
    return _kind_of(extension.lower(), "") if dot and stem else _kind_of("", name.lower())


@lru_cache(maxsize=256)
def _kind_of(extension: str, whole: str) -> Kind:
    return Kind.OTHER if extension in _OTHER or whole in _OTHER_NAMES else Kind.UNKNOWN


def name_problem(name: str) -> str | None:
    """Return why no PMA.core could store this name (or path with "/"), or None.

    Names that only Windows refuses (`a:b`, a trailing dot) are not among them: a root-directory can be an S3 bucket or
    an Azure container, so that is for the server to say. But what a Windows writes to a device is gone without a word.
    """
    for part in name.split("/"):
        if is_windows_device(part):
            return f"{part} is the name of a device on PMA.core's Windows, where what is written to it is lost"
    if name.isascii() and name.isprintable() and "\\" not in name:  # most are, and this is the faster way to see it
        return None
    found = _UNSTORABLE.search(name)
    if found is None:
        return None
    if found[0] == "\\":
        return "a backslash in the name"
    return "bytes in the name that are no text" if found[0] >= "\ud800" else "a control character in the name"


def shorten_list(names: list[str]) -> str:
    """Join names for a message: `a, b, c, d and 12 more`, printable."""
    shown = ", ".join(printable(name[:200]) for name in names[:_FEW])
    return shown if len(names) <= _FEW else f"{shown} and {len(names) - _FEW} more"
