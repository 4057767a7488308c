"""Advise what to do about something that is no complete slide; never to delete it: it may be the only copy."""

from __future__ import annotations

from pmarep.slides import Cause, LeftOut, Why

_USUAL = {
    Why.INCOMPLETE: "wait if it is still being copied; else copy the whole slide again, or export it again",
    Why.UNREADABLE: "let the user who runs pmarep read it; if the rights are right, check the disk or network drive",
    Why.BAD_NAME: "rename it; where its files carry its name, let the program that wrote it do that",
    Why.BAD_RULES: "mend what is named (gitignore's rules), or put a # before that line; then push again",
    Why.LINK: "if that is meant to be sent, use --follow-links; or copy it, or the folder of both, to where SRC is",
    Why.UNFINISHED: "wait until its scanner or copy is done; a later push sends it",
}
_LEAVE_OUT = "or leave it out (--exclude, .pmarepignore)"
_SPECIAL = {
    Cause.INSIDE: "name the main file, or the folder that it lies in",
    Cause.SHARED: "two slides claim the same files: leave out the one that is wrong (--exclude, .pmarepignore), "
    "or export both again, into folders of their own",
    Cause.NESTED: "an index names another index: export it again",
    Cause.OUTSIDE: "put all its files into its own folder, as the scanner does; export it again",
    Cause.EMPTY: f"copy it again from the scanner; if it is empty there too, scan or export it again, {_LEAVE_OUT}",
    Cause.MISPLACED: "move or rename it as said; nothing of it is lost",
    Cause.BROKEN: f"copy it again, whole, from where it came; if it is broken there too, export it again, {_LEAVE_OUT}",
    Cause.POINTER: "fetch what it stands for: `git lfs pull`, or `git annex get` with its path",
    Cause.WEB_PAGE: "download it again, logged in: this is a page of the web site and no slide",
    Cause.OFFLINE: "download it first: in the Finder `Download Now`, in Windows' Explorer `Always keep on this device`",
    Cause.DEAD_LINK: f"mend the link, {_LEAVE_OUT}",
    Cause.TOO_LONG: "enable long paths, or shorten the names of its folders",
    Cause.TWIN: "rename one of the two, or move it to another folder",
}


def advice(thing: LeftOut) -> str:
    """Return what to do, by the kind of problem; empty for what is no problem."""
    if not thing.why.is_problem:
        return ""
    return _SPECIAL.get(thing.cause) or _USUAL[thing.why]
