"""The JSON schema of a site book, so that editors complete and check it while somebody types."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from .models import GateTable, HooksTable, SiteTable, SlidesTable, Table
from .validators import MAX_CONNECTIONS

_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
DESCRIPTIONS = {
    "url": "The PMA.core: https://host/ or https://host/core/.",
    "server": "The name of a [servers.*] table, instead of url.",
    "username": "Who logs in there. The password is never in this file.",
    "target": "Where slides go: root-directory, then folders, with /.",
    "connections": f'Parallel requests: "auto", or a number from 1 to {MAX_CONNECTIONS}.',
    "bwlimit": 'Bytes per second: "20M", "off", or a timetable such as "08:00,2M 19:00,off" (local time).',
    "ca_bundle": "PEM file with the CA of the server's certificate; relative to this file's folder.",
    "client_cert": "PEM file with a client's certificate and key, or a list of two files.",
    "proxy": 'http://host:port, or "none": go directly, whatever the environment says.',
    "verify_tls": "false: the server's certificate is not checked. Anybody on the way can pose as the server.",
    "connect_timeout": "Seconds to wait for a connection.",
    "timeout": "Seconds without any data before a request is given up.",
    "congestion": 'TCP congestion control: "auto" (bbr on long ways, where this machine allows it), or a name.',
    "label_images": 'Slides with a label or macro image: "refuse", "warn" before the first push, or "allow".',
    "require": "A command whose exit code 0 lets a slide go there: words, {slide} for its main file. []: none.",
    "prepare": "A command that makes of {slide} what is sent instead, in the folder {out}. []: none.",
    "include": "Only slides that match go there, as in .gitignore: a list of patterns, besides those of the command.",
    "exclude": "Slides that match do not go there: a list of patterns, besides those of the command.",
    "newer_than": 'Only slides changed within "7d", or since "2026-11-01", go there; "off": of any age.',
    "min_size": 'Only slides of at least this size go there, such as "10M".',
    "allow_http_uploads": "true: slides may go to S3 or Azure over plain http though url says https.",
    "password_command": "Prints the password on its first line: a list of words, or text.",
    "password_file": "File with the password on its first line, which only you can read; relative to this folder.",
}
SLIDES_DESCRIPTIONS = {
    "enumerate": '"auto": PMA.start, if it is run on this machine by this user or the system, is asked about files of '
    'unknown formats; "always": whoever runs it; or "never".',
}

HOOKS_DESCRIPTIONS = {
    "on_start": "Run before each push and verify: a list of words, or text. No shell runs it.",
    "on_success": "Run after a push or verify that ended with exit code 0, with the summary as JSON on its stdin.",
    "on_failure": "Run after one that ended otherwise; PMAREP_EXIT_CODE says how.",
    "timeout": "Seconds that each of them may take; then it is ended.",
    "slide_names": "true: they are also told slides, folders and errors. Names may be those of patients.",
}

GATE_DESCRIPTIONS = {
    "timeout": "Seconds that require and prepare may take for a slide; then they are ended.",
    "cache": "Folder in which what prepare made is kept; relative to this file's folder.",
    "cache_size": 'How much of that is kept, such as "20G".',
}


def book_schema() -> dict[str, Any]:
    """Return the JSON schema, draft 7: what taplo and other TOML tools read."""

    def named(value: dict[str, Any], words: str) -> dict[str, Any]:
        return {
            "type": "object", "description": words, "propertyNames": {"pattern": _NAME}, "additionalProperties": value,
        }  # fmt: skip

    names = {"type": "array", "items": {"type": "string"}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "pmarep's site book",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "include": {**names, "description": "Other books, relative to this one; what this one says comes first."},
            "defaults": {"$ref": "#/definitions/site", "description": "What sites and servers do not say themselves."},
            "servers": named({"$ref": "#/definitions/server"}, "PMA.cores that several sites share."),
            "sites": named({"$ref": "#/definitions/site"}, "Places where slides go."),
            "groups": named(names, "Names for several sites or groups."),
            "slides": {"$ref": "#/definitions/slides", "description": "How slides are found on this machine."},
            "hooks": {"$ref": "#/definitions/hooks", "description": "Commands that are told of each run."},
            "gate": {"$ref": "#/definitions/gate", "description": "How require and prepare are run on this machine."},
        },
        "definitions": {
            "site": _table(SiteTable, DESCRIPTIONS),
            "server": _table(Table, DESCRIPTIONS),
            "slides": _table(SlidesTable, SLIDES_DESCRIPTIONS),
            "hooks": _table(HooksTable, HOOKS_DESCRIPTIONS),
            "gate": _table(GateTable, GATE_DESCRIPTIONS),
        },
    }


def _table(model: type[BaseModel], words: dict[str, str]) -> dict[str, Any]:
    properties = {}
    for key, said in model.model_json_schema()["properties"].items():
        properties[key] = {"description": words.get(key, ""), **_type(key, said)}
    table: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    if "server" in properties:
        table["not"] = {"required": ["server", "url"]}
    return table


def _type(key: str, said: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a key: TOML has no null, and some keys take more types than their value has in the end."""
    kinds = [_plain(kind) for kind in said.get("anyOf", [said]) if kind.get("type") != "null"]
    if key == "connections":
        kinds = [k | {"minimum": 1, "maximum": MAX_CONNECTIONS} if k.get("type") == "integer" else k for k in kinds]
    if key == "cache_size":
        kinds.insert(0, {"type": "string"})
    if key == "min_size":
        kinds.append({"type": "integer", "minimum": 0})
    if kinds and all(kind.get("type") == "array" for kind in kinds):
        # One file may stand without its list.
        kinds.insert(0, {"type": "string"})
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _plain(kind: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in kind.items() if key not in ("title", "default", "format")}
    if isinstance(kept.get("items"), dict):
        kept["items"] = _plain(kept["items"])
    return kept
