"""What `sites test` takes for the same name."""

from __future__ import annotations

import pytest

from pmarep.sites.site_check import _find_windows_name


@pytest.mark.parametrize(
    ("name", "there", "same"),
    [("slides", "Slides", True), ("PRÄPARATE", "präparate", True), ("Straße", "STRASSE", False), ("a", "b", False)],
)
def test_names_are_compared_as_a_push_does(name: str, there: str, same: bool) -> None:
    assert _find_windows_name(name, ["other", there]) == (there if same else None)
