"""What a site says of a slide's files, to know them again."""

from __future__ import annotations

import pytest

from pmarep.engine.slide.stamp import same_main, stamp_of
from pmarep.pmacore import RemoteFile

PATH = "Slides/in/m.mrxs"
Facts = tuple[int, object]
MRXS: Facts = (10, "/Date(1700000000123+0200)/")
DAT: Facts = (99, "/Date(1700000000001)/")


def stamp(mrxs: Facts = MRXS, dat: Facts = DAT) -> str | None:
    """Of a slide of two files with these sizes and moments."""
    files = {"Slides/in/m/1.dat": dat, "Slides/in/m.mrxs": mrxs}
    entries = [{"Path": path, "Size": size, "LastModified": moment} for path, (size, moment) in files.items()]
    return stamp_of(PATH, [RemoteFile.read(file, "GetFilenames") for file in entries])


def test_the_stamp_is_the_same_as_long_as_nobody_writes() -> None:
    assert stamp() is not None
    assert stamp() == stamp(mrxs=(10, "/Date(1700000000123+0100)/"))  # in winter
    upper = [
        RemoteFile(path="SLIDES/IN/M.MRXS", size=10, lastmodified="/Date(1700000000123)/"),
        RemoteFile(path="SLIDES/IN/M/1.DAT", size=99, lastmodified="/Date(1700000000001)/"),
    ]
    assert stamp_of(PATH, upper) == stamp()


@pytest.mark.parametrize("files", [(11, MRXS[1]), (10, "/Date(1700000000124)/"), (10, 5)])
def test_the_stamp_changes_with_every_write(files: Facts) -> None:
    for changed in stamp(mrxs=files), stamp(dat=files):
        assert changed != stamp()
    assert not same_main(stamp(mrxs=files), stamp())
    assert same_main(stamp(dat=files), stamp())


def test_there_is_none_where_the_site_does_not_say() -> None:
    assert stamp(mrxs=(10, None)) is None
    assert stamp(dat=(10, None)) is None
    assert stamp_of(PATH, []) is None
    assert stamp_of(PATH, [RemoteFile(path="Slides/in/other.mrxs", size=1, lastmodified="1")]) is None
    assert not same_main(None, None)
    assert not same_main(stamp(), None)
