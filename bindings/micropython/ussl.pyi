"""TLS as client and as server, with certificates or with pre-shared keys.

For editors and type checkers. The same module is found as `ssl` and `tls` in a firmware without MicroPython's own TLS;
docs/reference has an entry for each name. Every TLS failure is an OSError whose errno is one of the ERR_ constants.
"""

import socket
from array import array
from typing import Any, Callable, Final, Literal, Mapping, Protocol, Sequence, TypeAlias, overload

class _ReadsAndWrites(Protocol):
    def readinto(self, buf: Any, /) -> int | None: ...
    def write(self, buf: Any, /) -> int | None: ...

_Stream: TypeAlias = socket.socket | _ReadsAndWrites
"""An object with MicroPython's stream protocol: a socket, a UART, an io.IOBase with `ioctl`."""

class _KeyLookup(Protocol):
    def get(self, identity: bytes, /) -> _Buffer | None: ...

_Buffer: TypeAlias = bytes | bytearray | memoryview
_Data: TypeAlias = str | _Buffer | array[Any]
_Writable: TypeAlias = bytearray | memoryview | array[Any]
_Content: TypeAlias = str | _Buffer
"""The path of a file, or the content itself (PEM or DER)."""

CERT_NONE: Final = 0
"""Verification mode: a client accepts any certificate, a server requests none."""
CERT_OPTIONAL: Final = 1
"""Verification mode: a server requests a certificate, and accepts a client without one."""
CERT_REQUIRED: Final = 2
"""Verification mode: the peer must present a valid certificate."""
VERIFY_DEFAULT: Final = 0
"""Revocation: no certificate is checked against CRLs."""
VERIFY_CRL_CHECK_LEAF: Final = 4
"""Revocation: the peer's own certificate is checked against a CRL."""
VERIFY_CRL_CHECK_CHAIN: Final = 12
"""Revocation: all certificates except the trust anchor are checked against CRLs."""
PROTOCOL_TLS_CLIENT: Final = 0
"""The protocol of an SSLContext for clients."""
PROTOCOL_TLS_SERVER: Final = 1
"""The protocol of an SSLContext for servers."""
TLSv1_2: Final = 0x0303
"""TLS 1.2, for `minimum_version` and `maximum_version`."""
TLSv1_3: Final = 0x0304
"""TLS 1.3, for `minimum_version` and `maximum_version`."""
ENGINE: Final[str]
"""The name and version of the TLS library, such as "OpenSSL 3.0.15" or "Mbed TLS 3.6.6"."""
MBEDTLS_VERSION: Final[str]
"""The same as `ENGINE`; it only exists if the engine is Mbed TLS."""
HAS_SNI: Final = True
"""Whether server names (SNI) are supported: always True."""
HAS_ALPN: Final[bool]
"""Whether application protocols (ALPN) are supported."""
HAS_PSK: Final[bool]
"""Whether pre-shared keys are supported."""
HAS_TLSv1_2: Final = True
"""Whether TLS 1.2 is supported: always True."""
HAS_TLSv1_3: Final[bool]
"""Whether TLS 1.3 is supported."""

# --- errors (made by tools/gen_error_docs from include/ussl/errors.def)
ERR_HANDSHAKE_FAILED: Final = -101
"""The peer rejected the handshake (if it has only CBC or RSA key exchange, name its cipher suites with set_ciphers)."""
ERR_NO_SHARED_VERSION: Final = -102
"""This side and the peer have no TLS version in common."""
ERR_NO_SHARED_CIPHER: Final = -103
"""This side and the peer have no cipher suite (set_ciphers), group or signature algorithm in common."""
ERR_PROTOCOL: Final = -104
"""The peer broke the rules of TLS."""
ERR_NOT_TLS: Final = -105
"""The peer does not use TLS (is this the right port?)."""
ERR_PEER_CLOSED: Final = -106
"""The peer closed the connection during the handshake."""
ERR_ALERT: Final = -107
"""The peer ended the connection."""
ERR_CERT_REFUSED: Final = -108
"""The peer rejected this side's certificate, or requires one."""
ERR_NO_SHARED_PROTOCOL: Final = -109
"""This side and the peer have no application protocol (ALPN) in common."""
ERR_UNKNOWN_NAME: Final = -110
"""The server does not answer to the name that the client asked for."""
ERR_CERT_BAD_SIGNATURE: Final = -201
"""The certificate's signature is wrong."""
ERR_CERT_REVOKED: Final = -202
"""The certificate was revoked."""
ERR_CERT_UNKNOWN_ISSUER: Final = -203
"""The certificate's issuer is not among the trusted ones (ca_certs)."""
ERR_CERT_SELF_SIGNED: Final = -204
"""The certificate is self-signed and not a trusted one (ca_certs)."""
ERR_CERT_INVALID: Final = -205
"""The certificate or its chain breaks a rule of X.509."""
ERR_CERT_PURPOSE: Final = -206
"""The certificate is not meant for this purpose."""
ERR_CERT_HOSTNAME: Final = -207
"""The certificate is not for this server_hostname."""
ERR_CERT_WEAK: Final = -208
"""The certificate's key or signature is too weak (less than RSA 2048, P-256 or SHA-256)."""
ERR_CERT_EXPIRED: Final = -209
"""The certificate has expired."""
ERR_CERT_NOT_YET_VALID: Final = -210
"""The certificate is not valid yet (or this device's clock is slow)."""
ERR_CERT_MISSING: Final = -211
"""The peer sent no certificate."""
ERR_CERT_REJECTED: Final = -212
"""This program's verify_callback rejected the certificate."""
ERR_CERT_PIN: Final = -213
"""The certificate is not one of the pinned ones (pins)."""
ERR_CERT_CRL: Final = -214
"""There is no valid CRL to check the certificate against."""
ERR_CERT_CHAIN_TOO_LONG: Final = -215
"""The peer's certificate chain is too long (limit: 16380 bytes)."""
ERR_CERT_CLOCK: Final = -216
"""The certificate's dates cannot be checked, because this device's clock is not set: set the clock (ntptime) or use verify_time."""
ERR_PSK_IDENTITY: Final = -301
"""The pre-shared key identity is unknown."""
ERR_PSK_KEY: Final = -302
"""The pre-shared key is wrong."""
ERR_PSK_REFUSED: Final = -303
"""The peer rejected the pre-shared key or its identity, or uses no pre-shared keys."""
ERR_PSK_INVALID: Final = -304
"""A pre-shared key must be 1 to 48 bytes, and its identity 1 to 128 bytes."""
ERR_RECORD_CORRUPT: Final = -401
"""A record was damaged or forged on its way."""
ERR_TRUNCATED: Final = -402
"""The stream ended without the peer's close_notify."""
ERR_NO_MEMORY: Final = -501
"""Out of memory."""
ERR_BAD_USE: Final = -502
"""The call does not fit the connection's state."""
ERR_ENGINE: Final = -503
"""The TLS engine failed."""
ERR_KEY_SLOTS: Final = -504
"""Mbed TLS has no free key slot (MBEDTLS_PSA_KEY_SLOT_COUNT): there are too many connections at once."""
ERR_CALLBACK: Final = -505
"""A callback of this program raised an exception."""
# --- end of errors

class TLSVersion:
    """The TLS versions under CPython's names."""

    TLSv1_2: Final = 0x0303
    """TLS 1.2, as the constant `TLSv1_2`."""
    TLSv1_3: Final = 0x0304
    """TLS 1.3, as the constant `TLSv1_3`."""
    MINIMUM_SUPPORTED: Final = 0x0303
    """The oldest supported version, TLS 1.2."""
    MAXIMUM_SUPPORTED: Final = 0x0304
    """The newest supported version, TLS 1.3."""

class Purpose:
    """The purposes of `create_default_context`."""

    SERVER_AUTH: Final = 0
    """The purpose of a client's context, which verifies servers."""
    CLIENT_AUTH: Final = 1
    """The purpose of a server's context, which may verify clients."""

def wrap_socket(
    sock: _Stream,
    server_side: bool = False,
    keyfile: _Content | None = None,
    certfile: _Content | None = None,
    cert_reqs: int = CERT_NONE,
    ca_certs: _Content | None = None,
    server_hostname: str | None = None,
    do_handshake: bool = True,
    *,
    psk_ident: str | _Buffer | None = None,
    psk_key: _Buffer | None = None,
    psk_keys: Mapping[bytes, bytes] | _KeyLookup | None = None,
    psk_hint: str | _Buffer | None = None,
    key_password: str | _Buffer | None = None,
    suppress_ragged_eofs: bool = True,
    record_size_limit: int | None = None,
    resumption: bool = True,
    gather_writes: bool = False,
    key: _Content | None = None,
    cert: _Content | None = None,
    cadata: _Content | None = None,
    do_handshake_on_connect: bool = True,
) -> SSLSocket:
    """Wraps a stream in TLS, and returns the SSLSocket."""

def create_default_context(
    purpose: int = Purpose.SERVER_AUTH, *, cafile: _Content | None = None, cadata: _Content | None = None
) -> SSLContext:
    """Returns an SSLContext with secure defaults, for a client or for a server."""

def self_signed(
    names: str | Sequence[str], *, valid_from: int | None = None, valid_until: int | None = None
) -> tuple[bytes, bytes]:
    """Makes a new private key and a self-signed certificate for a server."""

def flush_closed(timeout: float | None = None, /) -> int:
    """Waits until the data of all closed connections is delivered."""

def cert_info(data: _Content, /) -> dict[str, Any]:
    """Parses a certificate, and returns its content and the hashes for `pins`."""

class SSLContext:
    """The credentials, trust anchors and options of any number of connections."""

    verify_mode: int
    """Selects whether and how the peer's certificate is verified."""
    check_hostname: bool
    """Selects whether the server's certificate must be valid for `server_hostname`."""
    verify_flags: int
    """Selects the certificates that are checked against CRLs."""
    verify_callback: Callable[[memoryview, int], int] | None
    """Sets the function `f(certificate, depth)` that checks each certificate of a verified chain; 0 accepts it."""
    verify_time: int | None
    """Sets the time that the dates of certificates are compared with."""
    pins: Sequence[_Buffer] | None
    """Sets the SHA-256 hashes of certificates or public keys, one of which the peer must have."""
    minimum_version: int
    """Sets the oldest TLS version."""
    maximum_version: int
    """Sets the newest TLS version."""
    groups: Sequence[str] | str | None
    """Sets the key exchange groups, the preferred first."""
    psk_identity: str | _Buffer | None
    """Sets the identity of a client's pre-shared key."""
    psk_key: _Buffer | None
    """Sets the key of `psk_identity`."""
    server_psk_keys: Mapping[bytes, bytes] | _KeyLookup | None
    """Sets the pre-shared keys of a server's clients."""
    sni_callback: Callable[[SSLSocket, str | None, SSLContext], int | None] | None
    """Sets the function `f(sock, name, context)` that selects a server's context by the requested host name."""
    sign_callback: Callable[[str, bytes], _Buffer] | None
    """Sets the function `f(algorithm, digest)` that signs in place of the certificate's private key."""
    ecdsa_sign_callback: Callable[[bytes, bytes], _Buffer | None] | None
    """Sets the function `f(key, digest)` that makes ECDSA signatures, as in MicroPython."""
    keylog_filename: str | None
    """Sets the file to which the secrets of each connection are appended."""
    handshake_timeout: float | None
    """Limits the duration of a handshake, in seconds."""
    linger: float
    """Limits the time in which a closed connection delivers its data, in seconds."""
    record_size_limit: int | None
    """Sets the maximum plaintext in a record, in bytes."""
    gather_writes: bool
    """Selects whether asyncio sends all data written before `drain()` in as few records as possible."""
    resumption: bool
    """Selects whether sessions are resumed."""
    session_lifetime: int
    """Sets the time from a full handshake until its sessions are no longer resumed, in seconds."""
    num_tickets: int
    """Sets the number of TLS 1.3 session tickets that a server sends to each client."""

    def __init__(self, protocol: int) -> None: ...
    def wrap_socket(
        self,
        sock: _Stream,
        *,
        server_side: bool = ...,
        do_handshake_on_connect: bool = True,
        server_hostname: str | None = None,
        suppress_ragged_eofs: bool = True,
        session: SSLSession | None = None,
    ) -> SSLSocket:
        """Wraps a stream in TLS with the settings of the context, and returns the SSLSocket."""

    def load_cert_chain(
        self, certfile: _Content, keyfile: _Content | None = None, password: str | _Buffer | None = None
    ) -> None:
        """Loads this side's certificate, the rest of its chain, and its private key."""

    def load_verify_locations(self, cadata: _Content | None = None, cafile: _Content | None = None) -> None:
        """Adds trust anchors and CRLs, or a root store, from a file or from memory."""

    def cert_store_stats(self) -> dict[str, int]:
        """Counts the trust anchors and CRLs of the context."""

    def load_default_certs(self, purpose: int = ..., /) -> None:
        """Adds the system's trust anchors (unix), or the root store of the firmware (boards)."""

    def set_ciphers(self, suites: Sequence[str] | str, /) -> None:
        """Sets the cipher suites, the preferred first."""

    def get_ciphers(self) -> list[str]:
        """Returns the names of all supported cipher suites, including suites that are off by default."""

    def set_groups(self, groups: Sequence[str] | str | None, /) -> None:
        """Sets the key exchange groups, as the attribute `groups` does."""

    def set_ecdh_curve(self, name: str, /) -> None:
        """Sets the only key exchange group, as the attribute `groups` does."""

    def set_alpn_protocols(self, protocols: Sequence[str | _Buffer], /) -> None:
        """Sets the application protocols to negotiate (ALPN, RFC 7301), the preferred first."""

    def set_psk_client_callback(
        self, callback: Callable[[None], tuple[str | _Buffer, _Buffer]] | None, /
    ) -> None:
        """Sets the function `f(hint)` that returns a client's identity and pre-shared key for each connection."""

    def set_psk_server_callback(
        self,
        callback: Callable[[str | bytes], _Buffer | None] | None,
        identity_hint: str | _Buffer | None = None,
        /,
    ) -> None:
        """Sets the function `f(identity)` that returns the pre-shared key of a client's identity."""

class SSLSession:
    """The data with which a client resumes a session."""

    def __init__(self, data: _Buffer) -> None: ...
    def __buffer__(self, flags: int) -> memoryview: ...

class SSLSocket:
    """A TLS connection, which is also a stream of MicroPython."""

    server_hostname: Final[str | None]
    """The `server_hostname` that the socket was made with."""
    context: SSLContext
    """The context of the connection."""
    session: Final[SSLSession | None]
    """A session that a later connection can resume."""
    session_reused: Final[bool | None]
    """Whether the connection resumed a session."""

    def read(self, n: int = -1, /) -> bytes | None:
        """Reads `n` bytes, or all bytes until the end of the stream."""

    def readinto(self, buf: _Writable, n: int = ..., /) -> int | None:
        """Reads bytes into a buffer until it is full."""

    def readline(self, n: int = -1, /) -> bytes | None:
        """Reads a line, including its newline."""

    @overload
    def write(self, buf: _Data, /) -> int | None: ...
    @overload
    def write(self, buf: _Data, n: int, /) -> int | None: ...
    @overload
    def write(self, buf: _Data, offset: int, n: int, /) -> int | None:
        """Writes bytes until all are accepted or the stream would block."""

    def recv(self, n: int, /) -> bytes | None:
        """Reads available bytes, at least one."""

    def recv_into(self, buf: _Writable, n: int = ..., /) -> int | None:
        """Reads available bytes into a buffer, at least one."""

    def send(self, buf: _Data, /) -> int | None:
        """Writes the bytes that fit into one record."""

    @overload
    def sendall(self, buf: _Data, /) -> int | None: ...
    @overload
    def sendall(self, buf: _Data, n: int, /) -> int | None: ...
    @overload
    def sendall(self, buf: _Data, offset: int, n: int, /) -> int | None:
        """Writes bytes until all are accepted or the stream would block, as `write` does."""

    def flush(self) -> bool:
        """Sends unsent data."""

    def close(self) -> None:
        """Sends unsent data and close_notify, and closes the stream when they are delivered."""

    def setblocking(self, flag: bool, /) -> None:
        """Makes the stream blocking or non-blocking."""

    def settimeout(self, timeout: float | None, /) -> None:
        """Sets the timeout of the stream."""

    def do_handshake(self) -> None:
        """Does the handshake."""

    def unwrap(self) -> Any:
        """Sends close_notify, waits for the peer's, and returns the stream, still open."""

    def pending(self) -> int:
        """Returns the number of bytes of buffered plaintext."""

    def version(self) -> str | None:
        """Returns the TLS version of the connection."""

    def cipher(self) -> tuple[str, str, int] | None:
        """Returns the cipher suite of the connection."""

    def group(self) -> str | None:
        """Returns the key exchange group of the connection."""

    def selected_alpn_protocol(self) -> str | None:
        """Returns the negotiated application protocol (ALPN)."""

    @overload
    def getpeercert(self, binary_form: Literal[False] = False) -> dict[str, Any] | None: ...
    @overload
    def getpeercert(self, binary_form: Literal[True]) -> bytes | None: ...
    @overload
    def getpeercert(self, binary_form: bool) -> dict[str, Any] | bytes | None:
        """Returns the peer's certificate."""

    def ioctl(self, request: int, arg: int = 0, /) -> int:
        """Calls the ioctl of MicroPython's stream protocol."""

    def __enter__(self) -> SSLSocket: ...
    def __exit__(self, *exception: Any) -> None: ...
