"""PMA.core's answers as data. Keys are read in any case, as its clients differ in theirs; types are checked."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from .errors import ProtocolError


class StorageKind(enum.Enum):
    """The storage behind a root-directory: `UploadType`, a number or a name."""

    FILESYSTEM = 0
    S3 = 1
    AZURE = 2

    @classmethod
    def read(cls, value: object) -> StorageKind:
        names = {"filesystem": cls.FILESYSTEM, "amazons3": cls.S3, "azure": cls.AZURE}
        if isinstance(value, str):
            value = names.get(value.strip().lower(), value)
            if isinstance(value, str) and value.isdigit():
                value = int(value)
        return cls(value)


@dataclass(frozen=True, slots=True)
class FileToSend:
    """One file of an announcement. `path` is relative with "/", `length` in bytes."""

    path: str
    length: int
    is_main: bool


class Answer(BaseModel):
    """Base class of answers: keys in any case, unknown ones ignored."""

    # An input in an error text could be a presigned URL.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _lower_keys(cls, value: Any) -> Any:
        return {k.lower(): v for k, v in value.items()} if isinstance(value, dict) else value

    @classmethod
    def read(cls, value: object, what: str) -> Self:
        """Read an answer to the call `what`. Raises ProtocolError that names the first wrong key, never its value."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"])) or "the answer"
            raise ProtocolError(f"the server's answer to {what} is not understood ({where}: {first['type']})") from None


def none_is_empty(value: object) -> object:
    """Return an empty list in place of none at all."""
    return () if value is None else value


def _goes_into_a_url(value: int | str) -> int | str:
    """Check an upload's id, which becomes a part of URLs: one that leads elsewhere (`../`, `?`, `#`) is none."""
    if not re.fullmatch(r"[\w{}~-][\w.{}~-]{0,199}", str(value), re.ASCII):
        raise ValueError
    return value


def _moment(value: object) -> str | None:
    """Return `/Date(ms+tz)/` without its zone, which changes with summer time, and any other text as it is."""
    if value is None:
        return None
    found = re.match(r"/Date\((-?[0-9]{1,20})", str(value)[:100])
    return found[1] if found else str(value)[:100]


class Login(Answer):
    """Answer of `authenticate`."""

    success: bool
    session_id: str | None = Field(None, alias="sessionid", repr=False)
    reason: str | None = None


class RemoteFile(Answer):
    """One entry of `GetFilenames`: a full virtual path, a size in bytes, and when it was written, as the server has it.

    `modified` is to be compared with what the same server says later, with nothing else.
    """

    path: str
    size: int
    modified: Annotated[str | None, BeforeValidator(_moment)] = Field(default=None, alias="lastmodified")


def _text(value: object) -> object:
    """Return a number or a truth value as text: some fields are texts for one client and numbers for another."""
    return str(value) if isinstance(value, int | float) else value


_Text = Annotated[str | None, BeforeValidator(_text)]


class Annotation(Answer):
    """One entry of `GetAnnotations`: what is drawn on a slide, and what is said of it.

    `id`, `created_on` and `created_by` are the server's own and are not saved elsewhere. `geometry` is WKT in pixels of
    the slide, as the server has it, also where it is none.
    """

    id: int | None = Field(None, alias="annotationid")
    layer: int = Field(0, alias="layerid")
    geometry: Annotated[str, BeforeValidator(lambda value: "" if value is None else value)] = ""
    classification: _Text = None
    notes: _Text = None
    color: _Text = None
    fill_color: _Text = Field(None, alias="fillcolor")
    dimensions: int | None = None
    line_thickness: int | float | None = Field(None, alias="linethickness")
    drawing_type: int | str | None = Field(None, alias="drawingtype")
    context: _Text = None
    update_info: _Text = Field(None, alias="updateinfo")
    created_on: Annotated[str | None, BeforeValidator(_moment)] = Field(None, alias="auditcreatedon")
    created_by: _Text = Field(None, alias="auditcreatedby")

    def fields(self) -> dict[str, Any]:
        """Return what a replica of it has, by PMA.core's keys; without what the server does not tell."""
        keys = {
            "LayerID": self.layer,
            "Geometry": self.geometry,
            "Classification": self.classification,
            "Notes": self.notes,
            "Color": self.color,
            "FillColor": self.fill_color,
            "Dimensions": self.dimensions,
            "LineThickness": self.line_thickness,
            "DrawingType": self.drawing_type,
            "Context": self.context,
            "UpdateInfo": self.update_info,
        }
        return {key: value for key, value in keys.items() if value is not None}


class Part(Answer):
    """A presigned part of an S3 multipart upload; the range is inclusive, in bytes of the file."""

    number: int = Field(alias="partnumber")
    url: str = Field(repr=False)
    start: int = Field(alias="rangestart")
    end: int = Field(alias="rangeend")


class MultipartFile(Answer):
    """A file of an S3 multipart upload: its full virtual path as PMA.core spells it, S3's id, and all parts."""

    path: str = Field(alias="filepath")
    upload_id: str = Field(alias="uploadid", repr=False)
    parts: tuple[Part, ...]


class Announcement(Answer):
    """Answer of `POST transfer/Upload`. `urls` are in the order of the announced files; empty for FileSystem."""

    id: Annotated[int | str, AfterValidator(_goes_into_a_url)]
    kind: Annotated[StorageKind, BeforeValidator(StorageKind.read)] = Field(StorageKind.FILESYSTEM, alias="uploadtype")
    urls: Annotated[tuple[str | None, ...], BeforeValidator(none_is_empty)] = Field((), repr=False)
    multipart: Annotated[tuple[MultipartFile, ...], BeforeValidator(none_is_empty)] = Field((), alias="multipartfiles")

    @property
    def every_url(self) -> tuple[str, ...]:
        """All presigned URLs, of files and of parts."""
        return tuple(url for url in self.urls if url) + tuple(
            part.url for file in self.multipart for part in file.parts
        )


class _FileStatus(Answer):
    path: str
    complete: bool


class UploadStatus(Answer):
    """Answer of `GET transfer/Upload/{Id}`; not every server lists the files."""

    files: Annotated[tuple[_FileStatus, ...], BeforeValidator(none_is_empty)] = ()

    @property
    def complete(self) -> dict[str, bool]:
        """Relative path to whether the server has the whole file."""
        return {file.path.replace("\\", "/"): file.complete for file in self.files}
