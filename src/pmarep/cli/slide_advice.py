"""What a person can do about something that is no complete slide."""

from __future__ import annotations

from pmarep.slides import LeftOut, Why

_USUAL = {
    Why.INCOMPLETE: "wait if it is still being copied; else copy the whole slide again, or export it again",
    Why.UNREADABLE: "let the user who runs pmarep read it; if the rights are right, check the disk or network drive",
    Why.BAD_NAME: "rename it; where its files carry its name, let the program that wrote it do that",
    Why.LINK: "if that is meant to be sent, use --follow-links; or copy it, or the folder of both, to where SRC is",
    Why.UNFINISHED: "wait until its scanner or copy is done; a later push sends it",
}
# Words of a reason for which something better is known; the first that fits.
_SPECIAL = (
    (Why.INCOMPLETE, "name that file instead", "name the main file, or the folder that it lies in"),
    (
        Why.INCOMPLETE,
        " belong",  # belongs to x already, belong to x already
        "two slides claim the same files: remove the wrong one, or leave it out (--exclude)",
    ),
    (Why.INCOMPLETE, "has files of its own", "an index names another index: export it again"),
    (
        Why.INCOMPLETE,
        "outside its own folder",
        "put all its files into its own folder, as the scanner does; export it again",
    ),
    (Why.INCOMPLETE, "the file is empty", "copy it again from the scanner; if it is empty there too, delete it"),
    (Why.UNREADABLE, "too long for Windows", "enable long paths, or shorten the names of its folders"),
    (Why.UNREADABLE, "link", "mend the link, or delete it"),
    (Why.BAD_NAME, "only in case", "rename one of the two, or move it to another folder"),
)


def advice(thing: LeftOut) -> str:
    """What to do; empty for what is no problem."""
    for why, words, special in _SPECIAL:
        if thing.why is why and words in thing.detail:
            return special
    return _USUAL.get(thing.why, "")
