"""Which refusals may cost a slide: only those that say of this very slide that it exists, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.refusals import EXISTS, NAME, OTHERWISE

from pmarep.engine.slide.deletion import says_that_it_exists
from pmarep.pmacore import NotFound, PermissionDenied, Refused, StorageFull, TooLarge

NAMES = [f"Slides/in/{NAME}", NAME]


def refused(words: str) -> Refused:
    return Refused(f"transfer/Upload was refused: {words}")


@pytest.mark.parametrize("words", EXISTS)
def test_it_exists(words: str) -> None:
    assert says_that_it_exists(refused(words), NAMES)
    for other in (PermissionDenied, NotFound, StorageFull, TooLarge):
        assert not says_that_it_exists(other(f"transfer/Upload was refused: {words}"), NAMES)


@pytest.mark.parametrize("words", OTHERWISE)
def test_anything_else(words: str) -> None:
    assert not says_that_it_exists(refused(words), NAMES)


@given(st.sampled_from(EXISTS), st.sampled_from(OTHERWISE), st.sampled_from([" ", ". ", "; ", ": ", ", ", "\n"]))
def test_nothing_may_stand_beside_it(exists: str, otherwise: str, between: str) -> None:
    if otherwise:
        assert not says_that_it_exists(refused(exists + between + otherwise), NAMES)
        assert not says_that_it_exists(refused(otherwise + between + exists), NAMES)


@given(st.text(alphabet=st.sampled_from("existing already file slide this name 'Präparat1.svs/\\\0?*"), max_size=60))
def test_no_text_is_too_much(text: str) -> None:
    says_that_it_exists(refused(text), NAMES)
    assert not says_that_it_exists(refused(text * 2000 + "already exists"), NAMES)


def test_names_are_no_words_of_the_refusal() -> None:
    assert not says_that_it_exists(refused("already exists.svs: not taken"), ["already exists.svs"])
    assert not says_that_it_exists(refused("The file is full.svs already exists"), ["full.svs"])
    assert not says_that_it_exists(refused("The file 'a 1.svs' already exists"), ["1.svs"])
