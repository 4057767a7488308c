"""What a server writes into its answers harms neither the other sites nor the terminal, and shows no password."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.corpus import tree
from support.push_cli import PushCli, arrived, contents
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse

PASSWORD = 'Zq"xw\\vk/jyühp'


@pytest.mark.parametrize("piece", ["?", "x-amz-", "<title", "password "])
def test_one_site_with_a_megabyte_of_words_does_not_stop_another(
    tmp_path: Path, start_sandbox: StartSandbox, piece: str
) -> None:
    cli, well, odd = PushCli(tmp_path / "cli"), start_sandbox("well"), start_sandbox("odd")
    cli.site("well", well)
    cli.site("odd", odd)
    tree(cli.source, *(f"{number}.svs" for number in range(5)))
    words = piece * (1_000_000 // len(piece))
    odd.faults.add(CannedResponse.refusal(words), path="GetRootDirectories|GetDirectories|GetFiles", after=1)
    odd.faults.add(CannedResponse.aspnet(words, 400), path="transfer/Upload")
    result = cli.push()
    assert result.code == 1
    assert result.counts("well") == (5, 0, 0)
    assert arrived(well) == contents(cli.source)
    assert len(result.stdout) < 100_000


def test_a_server_that_echoes_the_password(tmp_path: Path, start_sandbox: StartSandbox) -> None:
    cli, sandbox = PushCli(tmp_path / "cli"), start_sandbox()
    cli.site("tokyo", sandbox, password=PASSWORD)
    tree(cli.source, "a.svs")
    body = json.dumps({"username": "seeder", "password": PASSWORD, "caller": "pmarep"})
    for reason in (body, json.dumps(body), f"\x1b[2J{body}\r\nforged: ok"):
        sandbox.faults.clear()
        sandbox.faults.add(CannedResponse(200, json.dumps({"Success": False, "Reason": reason})), path="authenticate")
        for result in (cli.push(), cli.run("-vv"), cli.sites_test()):
            assert result.code == 1
            shown = result.stdout + result.stderr
            assert "does not let seeder in" in shown
            for part in (PASSWORD, "Zq", "xw", "vk", "jy", "hp", "\x1b", "\nforged"):
                assert part not in shown.replace(str(tmp_path), ""), part
