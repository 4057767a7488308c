"""Parses the body of an upload: `multipart/form-data` with exactly one part, as all published clients send it.

The scanning is python-multipart's (8 GB/s here: not the bottleneck); the strictness is ours.
"""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from .refusals import Refusal


class FormFileParser:
    """An incremental parser of one upload's body. Raises Refusal for anything but the announced file.

    `name` and `length` (bytes) are those of the announcement.
    """

    def __init__(self, content_type: str, name: str, length: int) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise Refusal("The body has to be multipart/form-data with a boundary", status=415)
        self._name = name
        self._length = length
        self.received = 0
        self._parts = 0
        self._ended = False
        self._field = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._data: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def feed(self, chunk: bytes) -> list[bytes]:
        """Parse a piece of the body; return the file's bytes in it."""
        self._data = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Refusal(f"The body is not multipart/form-data: {error}") from error
        return self._data

    def finish(self) -> None:
        """Check at the end of the body that the file is whole."""
        if not self._ended:
            raise Refusal("The body ended before the closing boundary")
        if self.received != self._length:
            raise Refusal(f"{self._length} bytes were announced for {self._name!r}, {self.received} arrived")

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise Refusal("The body has more than one part")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        # The header is read as Latin-1 and given back as the bytes that were sent: clients send names as raw UTF-8.
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        if disposition != b"form-data" or options.get(b"name") != b"file":
            raise Refusal("The part has to be form-data named 'file'")
        filename = options.get(b"filename", b"").decode("utf-8", "replace")
        if filename != self._name:
            raise Refusal(f"The part's filename is {filename!r} instead of {self._name!r}")
        if self._headers.get(b"content-type", b"").strip().lower() != b"application/octet-stream":
            raise Refusal("The part's Content-Type has to be application/octet-stream")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.received += end - start
        if self.received > self._length:
            raise Refusal(f"More than the {self._length} bytes announced for {self._name!r} arrived")
        self._data.append(data[start:end])

    def _on_end(self) -> None:
        self._ended = True
