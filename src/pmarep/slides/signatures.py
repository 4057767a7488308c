"""Signatures of files that are named like slides and are none: web pages, error messages, pointers of git."""

from __future__ import annotations

from .model import BrokenFileError, Cause

ZEROS = "filled with zeros: a copy that broke off"


def reject_foreign_content(head: bytes) -> None:
    """Raise BrokenFileError for what a slide of no format begins with: a web page, a pointer of git."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        raise BrokenFileError("a web page and no slide", Cause.WEB_PAGE)
    if text.startswith((b"<?xml", b"<error>")) and b"<error><code>" in text[:1024]:
        raise BrokenFileError("an error message of a storage and no slide", Cause.WEB_PAGE)
    if text.startswith(b"version https://git-lfs.github.com/spec/"):
        raise BrokenFileError("a pointer of git-lfs, which stands for the slide", Cause.POINTER)
    if text.startswith((b"/annex/objects/", b".git/annex/objects/", b"../.git/annex/objects/")):
        raise BrokenFileError("a pointer of git-annex, which stands for the slide", Cause.POINTER)
