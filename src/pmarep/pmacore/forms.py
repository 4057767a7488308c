"""Forms and what users have filled in for slides: the calls about them, and their answers as data.

Source of every fact: docs/protocol.md. Ids differ between databases; names, labels and the texts of values do not.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from .errors import NotFound, ProtocolError, Refused
from .http import Request
from .models import Answer, none_is_empty
from .session_client import SessionClient


def _list_of_values(value: object) -> object:
    """Return the values of a list: it comes as a list, and PMA.UI also reads it by ids."""
    return tuple(value.values()) if isinstance(value, dict) else none_is_empty(value)


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value or ""


class FormValue(Answer):
    """One of the values that can be chosen in a field."""

    id: Annotated[str, BeforeValidator(_text)] = Field(alias="valueid")
    text: Annotated[str, BeforeValidator(_text)] = Field("", alias="value", repr=False)


class FormList(Answer):
    """The values that can be chosen in a field."""

    values: Annotated[tuple[FormValue, ...], BeforeValidator(_list_of_values)] = Field((), alias="formlistvalues")


class FormField(Answer):
    """A field of a form. `kind`: the number of its type, such as 0 for a text and 3 for boxes to be checked."""

    id: Annotated[str, BeforeValidator(_text)] = Field(alias="fieldid")
    label: Annotated[str, BeforeValidator(_text)] = ""
    kind: int | None = Field(None, alias="fieldtype")
    choices: FormList | None = Field(None, alias="formlist")

    @property
    def values(self) -> dict[str, str]:
        """The texts of the values that can be chosen, by their ids."""
        return {one.id: one.text for one in self.choices.values} if self.choices else {}


class FormDefinition(Answer):
    """A form: its id at one server, its name, and its fields."""

    id: Annotated[str, BeforeValidator(_text)] = Field(alias="formid")
    name: Annotated[str, BeforeValidator(_text)] = Field(alias="formname")
    fields: Annotated[tuple[FormField, ...], BeforeValidator(none_is_empty)] = Field((), alias="formfields")


class FieldValue(Answer):
    """What somebody has filled into a field. `text` may be about a patient."""

    field: Annotated[str, BeforeValidator(_text)] = Field(alias="fieldid")
    text: Annotated[str, BeforeValidator(_text)] = Field("", alias="formvalue", repr=False)
    is_other: bool | None = Field(None, alias="isothervalue")
    is_below_limit: bool | None = Field(None, alias="isbelowdetectablelimit")


class FormData(Answer):
    """What one user has filled into one form for one slide."""

    login: Annotated[str, BeforeValidator(_text)] = ""
    values: Annotated[tuple[FieldValue, ...], BeforeValidator(none_is_empty)] = Field((), alias="fieldvalues")


class _Available(Answer):
    id: Annotated[str, BeforeValidator(_text)] = Field(alias="key")


class _Submission(Answer):
    form: Annotated[str, BeforeValidator(_text)] = Field(alias="formid")


class FormCalls(SessionClient):
    """The calls about forms of one server. Every method raises PmaCoreError."""

    _submissions_by_get = False
    """True at a server that does not take the POST of PMA.UI."""

    async def _list(self, request: Request) -> list[Any]:
        """Return a list that was asked for; an empty body means an empty one."""

        def in_session(session: str) -> Request:
            if request.json is not None:
                return Request(request.method, request.path, json={"sessionID": session, **request.json})
            return Request(request.method, request.path, {"sessionID": session, **request.query})

        answer = await self._call(in_session)
        if answer in (None, ""):
            return []
        if not isinstance(answer, list):
            method = request.path.removeprefix("api/json/")
            raise ProtocolError(f"{self.url} answers {method} with something that is no list")
        return answer

    async def form_definitions(self) -> list[FormDefinition]:
        """Return the definitions of all forms of the server that this user sees."""
        query = {"formIDs": "", "rootDirectoryAlias": ""}
        answer = await self._list(Request("GET", "api/json/GetFormDefinitions", query))
        return [FormDefinition.read(one, "GetFormDefinitions") for one in answer]

    async def available_forms(self, path: str) -> list[str]:
        """Return the ids of the forms that slides in a folder have; an empty path: all."""
        query = {"path": path} if path else {}
        answer = await self._list(Request("GET", "api/json/GetForms", query))
        return [_Available.read(one, "GetForms").id for one in answer]

    async def submitted_forms(self, slide: str) -> list[str]:
        """Return the ids of the forms that somebody has filled in for a slide, each once."""
        path = "api/json/GetFormSubmissions"
        query = Request("GET", path, {"pathOrUids": slide})
        json = {"pathOrUids": [slide], "formIDs": [], "currentUserOnly": False}
        if self._submissions_by_get:
            answer = await self._list(query)
        else:
            try:
                answer = await self._list(Request("POST", path, json=json))
            except (Refused, ProtocolError) as error:
                # No client shows that a server takes both: PMA.UI posts, the SDKs get.
                try:
                    answer = await self._list(query)
                except (Refused, ProtocolError):
                    raise error from None
                self._submissions_by_get = not isinstance(error, NotFound)
        return list(dict.fromkeys(_Submission.read(one, "GetFormSubmissions").form for one in answer))

    async def form_data(self, slide: str, form: str) -> list[FormData]:
        """Return what users have filled into a form for a slide, as far as this user may see it."""
        query = {"pathOrUid": slide, "formId": form, "currentUserOnly": "false"}
        answer = await self._list(Request("GET", "api/json/GetFormData", query))
        return [FormData.read(one, "GetFormData") for one in answer]
