"""The part of port_owner.py for Windows: which process listens at a port, and who runs it.

GetExtendedTcpTable (iphlpapi.h); OpenProcessToken and GetTokenInformation, whose answer begins with a pointer to the
user's SID (TOKEN_USER, winnt.h). A process that may not be asked is nobody's whom we trust.
"""

from __future__ import annotations

import struct
import sys

V4, V6 = 2, 23  # AF_INET, AF_INET6 of Windows
_ROW = {V4: struct.Struct("<8xH10xI"), V6: struct.Struct("<20xH30xI")}
"""Port, in the network's order, and process of MIB_TCPROW_OWNER_PID and of MIB_TCP6ROW_OWNER_PID (iprtrmib.h)."""


def pids_in(table: bytes, family: int, port: int) -> list[int]:
    """The processes that listen at a port, by what GetExtendedTcpTable says: a number of rows, then the rows."""
    row = _ROW[family]
    (count,) = struct.unpack_from("<I", table)
    found = (row.unpack_from(table, 4 + number * row.size) for number in range(count))
    return [pid for big_endian, pid in found if int.from_bytes(big_endian.to_bytes(2, "little"), "big") == port]


if sys.platform == "win32":
    import ctypes
    from collections.abc import Iterator
    from contextlib import contextmanager
    from ctypes import wintypes

    _iphlpapi = ctypes.WinDLL("iphlpapi")
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
    _kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    _kernel32.OpenProcess.restype = wintypes.HANDLE
    _kernel32.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    _kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)
    _advapi32.OpenProcessToken.argtypes = (wintypes.HANDLE, wintypes.DWORD, ctypes.POINTER(wintypes.HANDLE))
    _advapi32.GetTokenInformation.argtypes = (
        *(wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD),
        ctypes.POINTER(wintypes.DWORD),
    )
    _advapi32.EqualSid.argtypes = (wintypes.LPVOID, wintypes.LPVOID)
    _advapi32.IsWellKnownSid.argtypes = (wintypes.LPVOID, ctypes.c_int)

    _OWNER_PID_LISTENER = 3  # TCP_TABLE_CLASS
    _ERROR_INSUFFICIENT_BUFFER = 122
    _QUERY_LIMITED_INFORMATION, _TOKEN_QUERY, _TOKEN_USER = 0x1000, 0x8, 1
    _SYSTEM = (22, 23, 24)  # WELL_KNOWN_SID_TYPE: LocalSystem, LocalService, NetworkService

    def pids(port: int) -> Iterator[int]:
        """Raises OSError."""
        for family in (V4, V6):
            size, buffer = wintypes.DWORD(0), None
            while code := _iphlpapi.GetExtendedTcpTable(
                buffer, ctypes.byref(size), False, family, _OWNER_PID_LISTENER, 0
            ):
                if code != _ERROR_INSUFFICIENT_BUFFER:
                    raise OSError(code, "GetExtendedTcpTable")
                buffer = ctypes.create_string_buffer(size.value)
            if buffer is not None:
                yield from pids_in(buffer.raw, family, port)

    def is_trusted(pid: int) -> bool:
        """Return whether a process is run by this user or by the system."""
        process = _kernel32.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
        if not process:
            return False
        try:
            with _user_of(process) as user, _user_of(_kernel32.GetCurrentProcess()) as we:
                return bool(_advapi32.EqualSid(user, we)) or any(_advapi32.IsWellKnownSid(user, w) for w in _SYSTEM)
        except OSError:
            return False
        finally:
            _kernel32.CloseHandle(process)

    @contextmanager
    def _user_of(process: int) -> Iterator[int]:
        """Give the address of the SID of the user who runs a process, valid inside the block. Raises OSError."""
        token, size = wintypes.HANDLE(), wintypes.DWORD(0)
        if not _advapi32.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token)):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            _advapi32.GetTokenInformation(token, _TOKEN_USER, None, 0, ctypes.byref(size))
            buffer = ctypes.create_string_buffer(size.value)
            if not _advapi32.GetTokenInformation(token, _TOKEN_USER, buffer, size, ctypes.byref(size)):
                raise ctypes.WinError(ctypes.get_last_error())
            sid = ctypes.cast(buffer, ctypes.POINTER(wintypes.LPVOID)).contents.value
            if sid is None:
                raise OSError("no user")
            yield sid
        finally:
            _kernel32.CloseHandle(token)

else:
    from collections.abc import Iterator

    def pids(port: int) -> Iterator[int]:
        raise NotImplementedError(port)

    def is_trusted(pid: int) -> bool:
        raise NotImplementedError(pid)
