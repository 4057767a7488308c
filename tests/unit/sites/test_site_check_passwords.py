"""`sites test` tries each site's own password, whatever another site of the same account has."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from support.sandboxes import PASSWORD, USER, StartSandbox

from pmacore_sandbox import Sandbox
from pmarep.sites import Credentials, Site
from pmarep.sites.site_check import SiteCheck, check_sites


def site(name: str, at: Sandbox, **keys: object) -> Site:
    values = {"name": name, "server": None, "url": at.url, "username": USER, "target": f"Slides/{name}", **keys}
    return Site.model_validate(values)


async def checked(sandbox: Sandbox, environ: Mapping[str, str], *sites: Site) -> dict[str, SiteCheck]:
    variables = {f"PMAREP_PASSWORD_{name.upper()}": value for name, value in environ.items()}
    checks = await check_sites(sites, Credentials(variables, NoKeyring()))
    assert [check.site for check in checks] == [one.name for one in sites]
    assert sandbox.open_sessions == 0
    return {check.site: check for check in checks}


class NoKeyring:
    def get_password(self, service: str, username: str) -> str | None:
        return None

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


def logins(sandbox: Sandbox) -> int:
    return sum("/authenticate" in request.path.lower() for request in sandbox.requests)


@pytest.mark.parametrize("order", [("right", "wrong", "none"), ("none", "wrong", "right"), ("wrong", "none", "right")])
async def test_each_site_has_its_own(sandbox: Sandbox, order: tuple[str, ...]) -> None:
    environ = {"right": PASSWORD, "wrong": "mistyped"}
    found = await checked(sandbox, environ, *(site(name, sandbox) for name in order))
    assert {name: check.credentials for name, check in found.items()} == {"right": True, "wrong": False, "none": False}
    assert found["right"].ok
    assert found["right"].folder == "will be made"
    wrong, none = found["wrong"].error or "", found["none"].error or ""
    assert "does not let seeder in" in wrong
    assert "from the variable PMAREP_PASSWORD_WRONG" in wrong
    assert none.startswith("no password for none: none is kept")
    assert all(check.version and check.reachable for check in found.values())


async def test_sites_with_one_password_share_a_session(sandbox: Sandbox) -> None:
    names = [f"box{number}" for number in range(12)]
    found = await checked(sandbox, dict.fromkeys(names, PASSWORD), *(site(name, sandbox) for name in names))
    assert all(check.ok for check in found.values())
    assert logins(sandbox) == 1


async def test_one_wrong_password_is_tried_once_and_reported_by_each_source(sandbox: Sandbox) -> None:
    names = [f"box{number}" for number in range(5)]
    found = await checked(sandbox, dict.fromkeys(names, "mistyped"), *(site(name, sandbox) for name in names))
    for name, check in found.items():
        assert f"from the variable PMAREP_PASSWORD_{name.upper()})" in (check.error or "")
    assert logins(sandbox) == 1


async def test_a_server_that_is_away_is_asked_no_password(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox()
    sandbox.stop()
    found = await checked(sandbox, {"one": PASSWORD}, site("one", sandbox), site("two", sandbox))
    assert {check.error for check in found.values()} == {found["one"].error}
    assert found["two"].credentials is None


@pytest.mark.parametrize(
    ("end", "words"),
    [("\r", "ends with a carriage return"), (" ", "ends with a blank"), ("\n", "ends with a line break")],
)
async def test_invisible_ends_of_a_password_variable_are_reported(sandbox: Sandbox, end: str, words: str) -> None:
    found = await checked(sandbox, {"one": PASSWORD + end}, site("one", sandbox))
    assert f"from the variable PMAREP_PASSWORD_ONE, which {words}: is that meant?" in (found["one"].error or "")
    assert PASSWORD not in (found["one"].error or "")


async def test_a_password_may_have_blanks(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(password=" geheim ")
    found = await checked(sandbox, {"one": " geheim "}, site("one", sandbox))
    assert found["one"].ok
