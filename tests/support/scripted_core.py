"""A PMA.core that answers what a test tells it, for answers that no sandbox gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from pmarep.pmacore import Connection, PmaCore
from pmarep.retry import Retry

URL = "https://pma.example/core/"
SESSION = "SeSSion-0123456789abcdef"
PASSWORD = "pass-wörd&1=2?"

Answer = httpx.Response | Exception | Any


class ScriptedCore:
    """Answers by method name (`GetFiles`, `transfer/Upload`); a list is used up one answer a call, the last stays."""

    def __init__(self, **answers: Answer) -> None:
        self.answers: dict[str, Answer] = {
            "GetVersionInfo": "3.0.3.2222",
            "authenticate": {"Success": True, "SessionId": SESSION},
            "DeAuthenticate": True,
            "Ping": True,
            **answers,
        }
        self.requests: list[httpx.Request] = []

    def asked(self, name: str) -> list[httpx.Request]:
        return [request for request in self.requests if self._name(request) == name]

    @staticmethod
    def _name(request: httpx.Request) -> str:
        return request.url.path.removeprefix("/core/").removeprefix("api/json/")

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[self._name(request)]
        if isinstance(answer, list) and answer and isinstance(answer[0], httpx.Response | Exception | Callable):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, content=json.dumps(answer))

    def core(self, url: str = URL, retry: Retry | None = None) -> PmaCore:
        async def password() -> str:
            return PASSWORD

        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return PmaCore(Connection(url, "seeder"), password, http=http, retry=retry)


def refusal(message: str, status: int = 200, code: int = 1) -> httpx.Response:
    return httpx.Response(status, json={"Code": code, "Message": message})


def aspnet(message: str, status: int = 500) -> httpx.Response:
    return httpx.Response(status, json={"Message": "An error has occurred.", "ExceptionMessage": message})


def html(status: int) -> httpx.Response:
    return httpx.Response(status, html="<!DOCTYPE html><html><body><h1>Server Error</h1></body></html>")
