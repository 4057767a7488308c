"""The process of one node, spoken to as a worker of Dask does: what it refuses to send."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tree
from support.fork_server import PATIENCE, NodeProcess
from support.push_cli import PushCli, arrived, transfers

from pmacore_sandbox import Hold, Sandbox
from pmarep.engine import Options
from pmarep.engine.discovery.disk_list import pack_found
from pmarep.nodes.lease import Lease
from pmarep.nodes.messages import NodeTask
from pmarep.sites import SiteBook
from pmarep.slides import Slide, find_slides


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    cli.site("tokyo", sandbox)
    tree(cli.source, "a/1.svs", "a/2.svs", content=os.urandom(1000))
    return cli


def task_of(cli: PushCli, **changes: Any) -> NodeTask:
    sites = list(SiteBook.load(cli.book).sites.values())
    options = Options(sources=(cli.source,))
    task = NodeTask.of(options, sites, cli.book, cli.state, Lease(silence=PATIENCE))
    return NodeTask(**{**asdict(task), **changes})


class Node:
    """A node: `say` a message to it, `hear` the next of a kind."""

    def __init__(self, cli: PushCli, task: NodeTask) -> None:
        self.process = NodeProcess(cli.environment)
        self.heard: list[dict[str, Any]] = []
        self.say(asdict(task))

    def say(self, message: dict[str, Any]) -> None:
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def say_slides(self, *slides: Slide, sites: Sequence[str] = ("tokyo",)) -> None:
        rows = [(number, *pack_found(slide)) for number, slide in enumerate(slides)]
        self.say({"kind": "slides", "slides": rows, "sites": list(sites)})

    def hear(self, kind: str) -> dict[str, Any]:
        for line in self.process.stdout:
            self.heard.append(json.loads(line))
            if self.heard[-1]["kind"] == kind:
                return self.heard[-1]
        pytest.fail(f"{kind} never came; so far: {self.heard}")


@contextmanager
def node_process(cli: PushCli, task: NodeTask) -> Iterator[Node]:
    node = Node(cli, task)
    with node.process.stdin, node.process.stdout:
        try:
            yield node
        finally:
            node.process.kill()
            node.process.wait()


def found(cli: PushCli) -> list[Slide]:
    return [slide for slide in find_slides(cli.source) if isinstance(slide, Slide)]


def test_a_node_that_sees_another_source_sends_nothing(cli: PushCli, sandbox: Sandbox) -> None:
    slides = found(cli)
    (cli.source / "a" / "2.svs").write_bytes(b"another one")
    with node_process(cli, task_of(cli)) as node:
        node.say_slides(*slides)
        assert node.hear("differs")["slides"] == [1]
        node.say({"kind": "differ", "same": False})
        words = node.hear("refused")["error"]
    assert words == "it does not see the same SRC: 1 of 2 slides are not here, or are others, the first a/2.svs"
    assert transfers(sandbox) == []


def test_what_has_changed_for_all_fails_as_in_any_run(cli: PushCli, sandbox: Sandbox) -> None:
    slides = found(cli)
    (cli.source / "a" / "2.svs").unlink()
    with node_process(cli, task_of(cli)) as node:
        node.say_slides(*slides)
        node.hear("differs")
        node.say({"kind": "differ", "same": True})
        node.say({"kind": "finish"})
        assert node.hear("ended")["sites"]["tokyo"]["sent"] == 1
    (failed,) = [said["event"]["error"] for said in node.heard if said.get("event", {}).get("status") == "failed"]
    assert "2.svs" in failed


def test_a_site_that_means_another_place_is_refused(cli: PushCli, sandbox: Sandbox) -> None:
    sites = [{**task_of(cli).sites[0], "target": "Slides/elsewhere", "label_images": "refuse"}]
    with node_process(cli, task_of(cli, sites=sites)) as node:
        words = "tokyo has another target and label_images in its site book than in the coordinator's"
        assert node.hear("failed")["error"] == f"{words}; give all nodes the same book"
        assert node.process.wait(PATIENCE) == 2


def test_another_version_is_refused(cli: PushCli) -> None:
    with node_process(cli, task_of(cli, version="0.0.1")) as node:
        assert "the coordinator 0.0.1; install the same" in node.hear("failed")["error"]


def test_a_node_without_the_password_of_a_site_sends_to_the_others(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("ghent", sandbox, "Slides/ghent")
    del cli.environment["PMAREP_PASSWORD_TOKYO"]
    cli.book.write_text(cli.book.read_text().replace(sandbox.url, sandbox.url.replace("127.0.0.1", "localhost"), 1))
    with node_process(cli, task_of(cli)) as node:
        node.say_slides(*found(cli), sites=cli.names)
        node.say({"kind": "finish"})
        sites = node.hear("ended")["sites"]
    stopped = [said["event"] for said in node.heard if said.get("event", {}).get("state") == "stopped"]
    assert [event["site"] for event in stopped] == ["tokyo"]
    assert "no password" in stopped[0]["reason"]
    assert sites["ghent"]["sent"] == 2
    assert not arrived(sandbox)


def test_a_shard_is_sent_to_its_sites_only(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("ghent", sandbox, "Slides/ghent")
    first, second = found(cli)
    with node_process(cli, task_of(cli)) as node:
        node.say_slides(first, sites=["ghent"])
        node.say_slides(second, sites=["ghent", "tokyo"])
        node.say({"kind": "finish"})
        sites = node.hear("ended")["sites"]
    assert (sites["tokyo"]["sent"], sites["ghent"]["sent"]) == (1, 2)
    assert list(arrived(sandbox)) == [second.path]


def test_a_node_knows_what_runs_without_nodes_have_sent(cli: PushCli, sandbox: Sandbox) -> None:
    assert cli.push().counts("tokyo") == (2, 0, 0)
    sandbox.clear_requests()
    with node_process(cli, task_of(cli)) as node:
        node.say_slides(*found(cli))
        node.say({"kind": "finish"})
        assert node.hear("ended")["sites"]["tokyo"]["skipped"] == 2
    assert [request.path for request in sandbox.requests if "GetFilenames" in request.path] == []


def test_a_node_ends_when_its_worker_does(cli: PushCli) -> None:
    with node_process(cli, task_of(cli)) as node:
        node.hear("ready")
        node.process.stdin.close()
        node.hear("ended")
        assert node.process.wait(PATIENCE) == 0


def test_a_node_that_is_stopped_says_of_no_site_that_it_is(cli: PushCli, sandbox: Sandbox) -> None:
    sandbox.faults.add(Hold(), path="/authenticate")  # else it may say that it is connected
    with node_process(cli, task_of(cli)) as node:
        node.hear("event")
        node.say({"kind": "stop"})
        assert node.hear("ended")["error"].startswith("interrupted")
    assert [said["event"]["state"] for said in node.heard if said["kind"] == "event"] == ["connecting"]
