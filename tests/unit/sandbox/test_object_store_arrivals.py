"""How a root-directory in an object storage finds out which announced files have come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from pmacore_sandbox.models import AnnouncedFile, UploadType
from pmacore_sandbox.paths import Parts
from pmacore_sandbox.roots.object_store import ObjectStoreRoot, StoredObject


class FakeStore:
    """Objects by key with their sizes; `asked` has each request."""

    kind = UploadType.AmazonS3
    resumes_uploads = False

    def __init__(self, **sizes: int) -> None:
        self.sizes = {f"p/in/{name}": size for name, size in sizes.items()}
        self.asked: list[str] = []

    def list_all(self, prefix: str) -> Iterator[StoredObject]:
        self.asked.append(f"list {prefix}")
        return (StoredObject(key, size, 0, "x") for key, size in self.sizes.items() if key.startswith(prefix))

    def stat(self, key: str) -> StoredObject | None:
        self.asked.append(f"stat {key}")
        return StoredObject(key, self.sizes[key], 0, "x") if key in self.sizes else None


def root_of(store: FakeStore) -> ObjectStoreRoot:
    return ObjectStoreRoot("Cloud", cast(Any, store), "p/")


def announced(*names: str) -> list[tuple[Parts, AnnouncedFile]]:
    """Files of 5 bytes in the folder `in`."""
    return [(("in", *name.split("/")), AnnouncedFile(name, 5, False)) for name in names]


def test_several_files_are_found_by_one_listing_of_their_folder() -> None:
    store = FakeStore(**{"a": 5, "m/b": 5, "short": 4, "other": 5})
    assert root_of(store).have_arrived(announced("a", "m/b", "short", "gone")) == [True, True, False, False]
    assert store.asked == ["list p/in/"]


def test_two_files_are_asked_about_one_by_one() -> None:
    store = FakeStore(a=5)
    assert root_of(store).have_arrived(announced("a", "gone")) == [True, False]
    assert sorted(store.asked) == ["stat p/in/a", "stat p/in/gone"]


def test_a_folder_with_more_than_a_page_is_listed_once_and_then_never() -> None:
    store = FakeStore(**{f"{number}": 5 for number in range(1001)})
    root, files = root_of(store), announced("1000", "0", "gone")
    for listings in (1, 0):
        store.asked.clear()
        assert root.have_arrived(files) == [True, True, False]
        assert [one.startswith("list") for one in store.asked].count(True) == listings
        assert len(store.asked) == listings + 3
