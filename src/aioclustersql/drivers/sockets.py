"""What the operating system knows of a connection, for every driver alike: what an error of the socket, the name service or
TLS means, and when something was last received. Rule: one look at one exception or socket, never a wait.

Walking `__cause__` and knowing when a driver wraps what is the driver's business.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
import sys

from ..failure import FailureKind

__all__ = ["NO_SUCH_NAME", "classify_os_error", "last_received", "last_received_on"]

_BY_ERRNO = {
    errno.ECONNREFUSED: FailureKind.UNREACHABLE,
    errno.ENETUNREACH: FailureKind.UNREACHABLE,
    errno.ENETDOWN: FailureKind.UNREACHABLE,
    errno.EHOSTUNREACH: FailureKind.UNREACHABLE,
    errno.EHOSTDOWN: FailureKind.UNREACHABLE,
    errno.EADDRNOTAVAIL: FailureKind.UNREACHABLE,
    errno.EAFNOSUPPORT: FailureKind.UNREACHABLE,
    errno.ENOENT: FailureKind.UNREACHABLE,  # the file of a unix socket comes and goes with its server
    errno.ETIMEDOUT: FailureKind.TIMEOUT,
    errno.ECONNRESET: FailureKind.SESSION_LOST,
    errno.ECONNABORTED: FailureKind.SESSION_LOST,
    errno.EPIPE: FailureKind.SESSION_LOST,
    errno.ESHUTDOWN: FailureKind.SESSION_LOST,
    errno.ENOTCONN: FailureKind.SESSION_LOST,
    errno.EAGAIN: FailureKind.OVERLOADED,  # connect(2) on a unix socket: the backlog is full
    errno.EACCES: FailureKind.CONFIGURATION,
    errno.EPERM: FailureKind.CONFIGURATION,
    errno.ENOTDIR: FailureKind.CONFIGURATION,
    errno.ENAMETOOLONG: FailureKind.CONFIGURATION,
}
NO_SUCH_NAME = frozenset(
    code for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if (code := getattr(socket, name, None)) is not None
)
_TEXTS = (
    # asyncio raises these without an errno
    ("SSL handshake is taking longer", FailureKind.TIMEOUT),
    ("getaddrinfo() returned empty list", FailureKind.CONFIGURATION),
    ("AF_UNIX path too long", FailureKind.CONFIGURATION),
)
_LAST_DATA_RECEIVED = slice(52, 56)
"""Where Linux's struct tcp_info has tcpi_last_data_recv, in milliseconds (linux/tcp.h; the struct only ever grew at its end)."""
_ERRNO_IN_TEXT = re.compile(r"\[Errno (-?\d+)\]")


def classify_os_error(exc: BaseException) -> FailureKind | None:
    """The meaning of an `OSError` or end of file, as a client of a server sees it; None for any other exception.

    The exceptions of names with several addresses ("Multiple exceptions: [Errno 111] …") are read from their text, as
    asyncio gives them no errno. What is this process's own trouble (no descriptors left, say) is `OTHER`.
    """
    if isinstance(exc, EOFError):
        return FailureKind.SESSION_LOST
    if not isinstance(exc, OSError):
        return None
    if isinstance(exc, ssl.SSLError):
        return _classify_tls(exc)
    if isinstance(exc, socket.gaierror):
        return FailureKind.CONFIGURATION if exc.errno in NO_SUCH_NAME else FailureKind.UNREACHABLE
    text = str(exc)
    for part, kind in _TEXTS:
        if part in text:
            return kind
    if isinstance(exc, TimeoutError):
        return FailureKind.TIMEOUT
    if exc.errno is not None:
        return _BY_ERRNO.get(exc.errno, FailureKind.OTHER)
    if isinstance(exc, ConnectionError):
        return FailureKind.SESSION_LOST
    kinds = [_BY_ERRNO.get(int(code), FailureKind.OTHER) for code in _ERRNO_IN_TEXT.findall(text)]
    # One address that was silent outweighs others that have no route: it is the one that is really served.
    return FailureKind.TIMEOUT if FailureKind.TIMEOUT in kinds else next(iter(kinds), FailureKind.OTHER)


def last_received(transport: asyncio.BaseTransport | None) -> float | None:
    """How many seconds ago the peer last sent data, whether or not it was read; None where that is not told.

    Linux tells it of TCP, TLS or not, in steps of a few milliseconds; of unix sockets nobody does.
    """
    if sys.platform != "linux" or transport is None or transport.is_closing():
        return None
    sock: socket.socket | None = transport.get_extra_info("socket")
    return None if sock is None else last_received_on(sock)


def last_received_on(sock: socket.socket) -> float | None:
    """The same of a socket that no transport has."""
    if sys.platform != "linux" or sock.family == socket.AF_UNIX:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED.stop)
    except OSError:
        return None  # it was cut off a moment ago
    return int.from_bytes(info[_LAST_DATA_RECEIVED], sys.byteorder) / 1000


def _classify_tls(exc: ssl.SSLError) -> FailureKind:
    """A handshake that was refused is a matter of settings; one that was cut off is a lost session."""
    if isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return FailureKind.SESSION_LOST
    return FailureKind.CONFIGURATION
