"""A password that says where it comes from."""

from __future__ import annotations

from typing import Self


class Password(str):
    """`source`, such as `from the variable PMAREP_PASSWORD_TOKYO`: whoever is refused learns what to mend."""

    source: str

    def __new__(cls, text: str, source: str) -> Self:
        password = super().__new__(cls, text)
        password.source = source
        return password
