"""TLS as client and as server, with certificates or with pre-shared keys.

For editors and type checkers. The same module is found as `ssl` and `tls` in a firmware without MicroPython's own TLS;
docs/reference.md says everything in full. Every TLS failure is an OSError whose errno is one of the ERR_ constants.
"""

import socket
from array import array
from typing import Any, Callable, Final, Literal, Mapping, Protocol, Sequence, TypeAlias, overload

class _ReadsAndWrites(Protocol):
    def readinto(self, buf: Any, /) -> int | None: ...
    def write(self, buf: Any, /) -> int | None: ...

_Stream: TypeAlias = socket.socket | _ReadsAndWrites
"""A socket, a UART, an io.IOBase with `ioctl`: what has MicroPython's stream protocol."""

class _KeyLookup(Protocol):
    def get(self, identity: bytes, /) -> _Buffer | None: ...

_Buffer: TypeAlias = bytes | bytearray | memoryview
_Data: TypeAlias = str | _Buffer | array[Any]
_Writable: TypeAlias = bytearray | memoryview | array[Any]
_Content: TypeAlias = str | _Buffer
"""The path of a file, or the content itself (PEM or DER)."""

CERT_NONE: Final = 0
"""Client: any certificate will do. Server: asks for none."""
CERT_OPTIONAL: Final = 1
"""Client: as CERT_REQUIRED. Server: asks; a client without a certificate is let in."""
CERT_REQUIRED: Final = 2
"""Chain, dates, purpose and (client) host name must hold."""
VERIFY_DEFAULT: Final = 0
VERIFY_CRL_CHECK_LEAF: Final = 4
"""verify_flags: a CRL must say that the peer's certificate is not revoked."""
VERIFY_CRL_CHECK_CHAIN: Final = 12
"""The same of every certificate up to the trusted one."""
PROTOCOL_TLS_CLIENT: Final = 0
PROTOCOL_TLS_SERVER: Final = 1
TLSv1_2: Final = 0x0303
TLSv1_3: Final = 0x0304
ENGINE: Final[str]
"""The TLS library that is linked, and its version: "OpenSSL 3.0.15", "Mbed TLS 3.6.6"."""
MBEDTLS_VERSION: Final[str]
"""The same string; only where the engine is Mbed TLS."""
HAS_SNI: Final = True
HAS_ALPN: Final[bool]
HAS_PSK: Final[bool]
HAS_TLSv1_2: Final = True
HAS_TLSv1_3: Final[bool]

# --- errors (made by tools/gen_error_docs from include/ussl/errors.def)
ERR_HANDSHAKE_FAILED: Final = -101
"""the peer refused the handshake (if it has only CBC or RSA key exchange, name its cipher suites with set_ciphers)"""
ERR_NO_SHARED_VERSION: Final = -102
"""this side and the peer have no TLS version in common"""
ERR_NO_SHARED_CIPHER: Final = -103
"""this side and the peer have no cipher suite (set_ciphers), group or signature algorithm in common"""
ERR_PROTOCOL: Final = -104
"""the peer broke the rules of TLS"""
ERR_NOT_TLS: Final = -105
"""the peer does not use TLS (is this the right port?)"""
ERR_PEER_CLOSED: Final = -106
"""the peer closed the connection during the handshake"""
ERR_ALERT: Final = -107
"""the peer ended the connection"""
ERR_CERT_REFUSED: Final = -108
"""the peer rejected this side's certificate, or requires one"""
ERR_NO_SHARED_PROTOCOL: Final = -109
"""this side and the peer have no application protocol (ALPN) in common"""
ERR_UNKNOWN_NAME: Final = -110
"""the server does not answer to the name that the client asked for"""
ERR_CERT_BAD_SIGNATURE: Final = -201
"""the certificate's signature is wrong"""
ERR_CERT_REVOKED: Final = -202
"""the certificate was revoked"""
ERR_CERT_UNKNOWN_ISSUER: Final = -203
"""the certificate's issuer is not among the trusted ones (ca_certs)"""
ERR_CERT_SELF_SIGNED: Final = -204
"""the certificate is self-signed and not a trusted one (ca_certs)"""
ERR_CERT_INVALID: Final = -205
"""the certificate or its chain breaks a rule of X.509"""
ERR_CERT_PURPOSE: Final = -206
"""the certificate is not meant for this purpose"""
ERR_CERT_HOSTNAME: Final = -207
"""the certificate is not for this server_hostname"""
ERR_CERT_WEAK: Final = -208
"""the certificate's key or signature is too weak (less than RSA 2048, P-256 or SHA-256)"""
ERR_CERT_EXPIRED: Final = -209
"""the certificate has expired"""
ERR_CERT_NOT_YET_VALID: Final = -210
"""the certificate is not valid yet (or this device's clock is slow)"""
ERR_CERT_MISSING: Final = -211
"""the peer sent no certificate"""
ERR_CERT_REJECTED: Final = -212
"""this program's verify_callback refused the certificate"""
ERR_CERT_PIN: Final = -213
"""the certificate is not one of the pinned ones (pins)"""
ERR_CERT_CRL: Final = -214
"""there is no valid CRL to check the certificate against"""
ERR_CERT_CHAIN_TOO_LONG: Final = -215
"""the peer's certificate chain is too long (limit: 16380 bytes)"""
ERR_CERT_CLOCK: Final = -216
"""the certificate's dates cannot be checked, because this device's clock is not set: set the clock (ntptime) or use verify_time"""
ERR_PSK_IDENTITY: Final = -301
"""the pre-shared key identity is unknown"""
ERR_PSK_KEY: Final = -302
"""the pre-shared key is wrong"""
ERR_PSK_REFUSED: Final = -303
"""the peer refused the pre-shared key or its identity, or to use one at all"""
ERR_PSK_INVALID: Final = -304
"""a pre-shared key must be 1 to 48 bytes, and its identity 1 to 128 bytes"""
ERR_RECORD_CORRUPT: Final = -401
"""a record was damaged or forged on its way"""
ERR_TRUNCATED: Final = -402
"""the stream ended without the peer's close_notify"""
ERR_NO_MEMORY: Final = -501
"""out of memory"""
ERR_BAD_USE: Final = -502
"""the call does not fit the connection's state"""
ERR_ENGINE: Final = -503
"""the TLS engine failed"""
ERR_KEY_SLOTS: Final = -504
"""Mbed TLS has no free key slot (MBEDTLS_PSA_KEY_SLOT_COUNT): there are too many connections at once"""
ERR_CALLBACK: Final = -505
"""a callback of this program raised an exception"""
# --- end of errors

class TLSVersion:
    """Versions under CPython's names."""

    TLSv1_2: Final = 0x0303
    TLSv1_3: Final = 0x0304
    MINIMUM_SUPPORTED: Final = 0x0303
    MAXIMUM_SUPPORTED: Final = 0x0304

class Purpose:
    """What create_default_context() makes a context for."""

    SERVER_AUTH: Final = 0
    """A client's, which checks servers."""
    CLIENT_AUTH: Final = 1
    """A server's."""

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
    """Wraps a stream; does the handshake unless do_handshake is False.

    cert_reqs, if not given, is CERT_REQUIRED where ca_certs is given. key, cert, cadata and
    do_handshake_on_connect are newer names of keyfile, certfile, ca_certs and do_handshake.
    """

def create_default_context(
    purpose: int = Purpose.SERVER_AUTH, *, cafile: _Content | None = None, cadata: _Content | None = None
) -> SSLContext:
    """A client's context that verifies, or a server's."""

def self_signed(
    names: str | Sequence[str], *, valid_from: int | None = None, valid_until: int | None = None
) -> tuple[bytes, bytes]:
    """A new key and a certificate for these names, in DER, for a first server."""

def flush_closed(timeout: float | None = None, /) -> int:
    """Waits until all closed connections are delivered; returns the number of those that are not."""

def cert_info(data: _Content, /) -> dict[str, Any]:
    """Looks into a certificate: as getpeercert(), with the hashes that pins takes."""

class SSLContext:
    """Credentials, trust and options that any number of connections share."""

    verify_mode: int
    """CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED."""
    check_hostname: bool
    """Whether a server's certificate must be for server_hostname."""
    verify_flags: int
    """VERIFY_DEFAULT, VERIFY_CRL_CHECK_LEAF or VERIFY_CRL_CHECK_CHAIN; by default LEAF if there are CRLs."""
    verify_callback: Callable[[memoryview, int], int] | None
    """f(certificate, depth) for each certificate of a chain; anything but 0 refuses."""
    verify_time: int | None
    """Dates are checked against this time: seconds since 1970, UTC."""
    pins: Sequence[_Buffer] | None
    """SHA-256 of certificates or public keys, one of which the peer must have."""
    minimum_version: int
    maximum_version: int
    groups: Sequence[str] | str | None
    """Key exchange groups by IANA name, best first; set to a list or tuple of str, a str with ":", or None."""
    psk_identity: str | _Buffer | None
    psk_key: _Buffer | None
    server_psk_keys: Mapping[bytes, bytes] | _KeyLookup | None
    sni_callback: Callable[[SSLSocket, str | None, SSLContext], int | None] | None
    """Server: f(sock, name, context), for each client; may set sock.context to another server's."""
    sign_callback: Callable[[str, bytes], _Buffer] | None
    """f(algorithm, digest) signs for the certificate's key: "ecdsa", "rsa_pss" or "rsa_pkcs1"."""
    ecdsa_sign_callback: Callable[[bytes, bytes], _Buffer | None] | None
    """MicroPython's: f(key, digest) signs, or returns None for the key itself to do it."""
    keylog_filename: str | None
    """Where the secrets of connections are written to, for Wireshark."""
    handshake_timeout: float | None
    """Seconds that a handshake may take; 30 for servers, None (no limit) for clients."""
    linger: float
    """Seconds that closed connections may take to deliver their data; 10."""
    record_size_limit: int | None
    """The most plaintext in a record: 512 to 16384 bytes."""
    gather_writes: bool
    """Whether a write waits for a poll, so that several leave as one; for streams that do not block."""
    resumption: bool
    """Whether sessions are resumed."""
    session_lifetime: int
    """Seconds from a full handshake until its sessions are no longer resumed; 86400."""
    num_tickets: int
    """Server: how many tickets of TLS 1.3 a client gets; 0: no resumption."""

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
        """A connection with what the context says."""

    def load_cert_chain(
        self, certfile: _Content, keyfile: _Content | None = None, password: str | _Buffer | None = None
    ) -> None:
        """This side's certificate, the rest of its chain, and its key."""

    def load_verify_locations(self, cadata: _Content | None = None, cafile: _Content | None = None) -> None:
        """Adds CA certificates and CRLs, or a root store."""

    def cert_store_stats(self) -> dict[str, int]:
        """How many certificates (x509), authorities (x509_ca) and CRLs (crl) are trusted."""

    def load_default_certs(self, purpose: int = ..., /) -> None:
        """Adds the system's CA certificates (unix), or the root store of the firmware (boards)."""

    def set_ciphers(self, suites: Sequence[str] | str, /) -> None:
        """Exactly these suites; or, as a str with ":" between names, these of TLS 1.2."""

    def get_ciphers(self) -> list[str]:
        """The names of all suites that there are."""

    def set_groups(self, groups: Sequence[str] | str | None, /) -> None:
        """As setting groups."""

    def set_ecdh_curve(self, name: str, /) -> None:
        """As setting groups to one name."""

    def set_alpn_protocols(self, protocols: Sequence[str | _Buffer], /) -> None:
        """What this side speaks, best first."""

    def set_psk_client_callback(
        self, callback: Callable[[None], tuple[str | _Buffer, _Buffer]] | None, /
    ) -> None:
        """f(hint) gives identity and key for a connection, never None; hint is None."""

    def set_psk_server_callback(
        self,
        callback: Callable[[str | bytes], _Buffer | None] | None,
        identity_hint: str | _Buffer | None = None,
        /,
    ) -> None:
        """f(identity) gives the key of a client, or None."""

class SSLSession:
    """What a connection can be resumed with. bytes(session) is as secret as a key."""

    def __init__(self, data: _Buffer) -> None: ...
    def __buffer__(self, flags: int) -> memoryview: ...

class SSLSocket:
    """A TLS connection: a stream of MicroPython."""

    server_hostname: Final[str | None]
    context: SSLContext
    session: Final[SSLSession | None]
    """Client: what to resume with later; None as long as the server has sent nothing."""
    session_reused: Final[bool | None]
    """Whether an earlier session was resumed; None before the handshake is done."""

    def read(self, n: int = -1, /) -> bytes | None: ...
    def readinto(self, buf: _Writable, n: int = ..., /) -> int | None: ...
    def readline(self, n: int = -1, /) -> bytes | None: ...
    @overload
    def write(self, buf: _Data, /) -> int | None: ...
    @overload
    def write(self, buf: _Data, n: int, /) -> int | None: ...
    @overload
    def write(self, buf: _Data, offset: int, n: int, /) -> int | None:
        """What was taken is sent, once, in order; None: nothing now."""

    def recv(self, n: int, /) -> bytes | None:
        """What is there, up to n bytes."""

    def recv_into(self, buf: _Writable, n: int = ..., /) -> int | None: ...
    def send(self, buf: _Data, /) -> int | None:
        """What can be taken at once."""

    @overload
    def sendall(self, buf: _Data, /) -> int | None: ...
    @overload
    def sendall(self, buf: _Data, n: int, /) -> int | None: ...
    @overload
    def sendall(self, buf: _Data, offset: int, n: int, /) -> int | None:
        """As write()."""

    def flush(self) -> bool:
        """Sends what was taken but has not left; True when all of it has."""

    def close(self) -> None:
        """Says goodbye without blocking, and closes the stream beneath."""

    def setblocking(self, flag: bool, /) -> None: ...
    def settimeout(self, timeout: float | None, /) -> None: ...
    def do_handshake(self) -> None: ...
    def unwrap(self) -> Any:
        """Says goodbye, waits for the peer's, and returns the stream beneath (behind what was read from it already)."""

    def pending(self) -> int:
        """Bytes of plaintext that are there; a poll knows of encrypted ones."""

    def version(self) -> str | None: ...
    def cipher(self) -> tuple[str, str, int] | None:
        """IANA's name, the version, secret bits."""

    def group(self) -> str | None:
        """IANA's name of the key exchange group."""

    def selected_alpn_protocol(self) -> str | None: ...
    @overload
    def getpeercert(self, binary_form: Literal[False] = False) -> dict[str, Any] | None: ...
    @overload
    def getpeercert(self, binary_form: Literal[True]) -> bytes | None: ...
    @overload
    def getpeercert(self, binary_form: bool) -> dict[str, Any] | bytes | None:
        """A dictionary in CPython's form, or DER."""

    def ioctl(self, request: int, arg: int = 0, /) -> int: ...
    def __enter__(self) -> SSLSocket: ...
    def __exit__(self, *exception: Any) -> None: ...
