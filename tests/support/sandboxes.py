"""Name the login of every sandbox in the tests, and the type of the fixture that starts one."""

from __future__ import annotations

from collections.abc import Callable

from pmacore_sandbox import Sandbox

SMALLEST_PART = 64 * 1024
"""Bytes. S3 itself wants 5 MiB of all parts but the last; moto lets us say."""

USER = "seeder"
PASSWORD = "s3cret&+%ü"

StartSandbox = Callable[..., Sandbox]
"""The fixture `start_sandbox`: `start_sandbox("tokyo", roots=("Slides", "Boxes"), ...)`, any of Settings."""
