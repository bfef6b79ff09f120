"""The peers of the interop matrix: how each is started, and the features that it lacks. tools/gen_interop_docs generates
docs/explanation/interop.md from this file, and test_matrix.py runs it.

A row of the matrix is a peer, its role and a TLS version, which only our end selects. A cell is one of COLUMNS. All cells are
tested, except holes, each of which has a reason.

`serve(t)` starts the peer as a server. `call(t)` runs it as a client until it exits. `t`, of test_matrix.py, has the settings.
`shown` is the server's certificate and `root` its issuer, `psk` a pre-shared key, `mutual` a client certificate, `alpn` a
protocol. `times` is the number of connections (resumption takes two). `talk` and `asks` select the
messages of our client and our server; programs/matrix.py explains them. `says(t)` returns texts that a server must have printed
afterwards.
"""

import dataclasses
import re
import subprocess

COLUMNS = {
    "rsa": "RSA certificate",
    "ec": "EC certificate",
    "psk": "PSK",
    "mutual": "client certificate",
    "resumed": "resumption",
    "alpn": "ALPN",
}
VERSIONS = ("TLSv1.2", "TLSv1.3")
ROLES = ("server", "client")

KEY = "000102030405060708090a0b0c0d0e0f"
IDENTITY = "me"
CLIENT = "client one"  # the common name of the client's certificate


@dataclasses.dataclass(frozen=True)
class Hole:
    why: str
    role: str | None = None  # None: both
    version: str | None = None
    columns: tuple[str, ...] = tuple(COLUMNS)
    shown: str = "yes"  # on the page, of a note

    def fits(self, role, version, column):
        return self.role in (None, role) and self.version in (None, version) and column in self.columns


class Peer:
    """A peer: its programs, their options and their output."""

    name = ""
    programs = ""  # for the page
    needs = ()  # programs without which its rows are skipped
    needs_built = None  # the same for a program that the build makes, or does not
    holes = ()
    notes = ()  # on cells that work, but in an unexpected way
    talk = "echo"
    asks = "echo"
    protocol = "ussl/1"  # the application protocol, if it cannot be chosen
    # Whether it sends close_notify after its last message, so that our end can wait for it.
    ends = False
    has_extended_master_secret = True  # in TLS 1.2

    def hole(self, role, version, column):
        return next((hole for hole in self.holes if hole.fits(role, version, column)), None)

    def note(self, role, version, column):
        return next((note for note in self.notes if note.fits(role, version, column)), None)

    def serve(self, t):
        raise NotImplementedError

    def says(self, t):
        return ()

    def call(self, t):
        raise NotImplementedError


class Program(Peer):
    """Our own program with another library: PROGRAM server|client PORT TIMES NAME=VALUE... The names are cert and key (its
    own), ca (the issuer of the peer's certificate; a server requests one), psk (identity:key in hexadecimal), and alpn. A
    client sends `line`, which must be returned. For each connection it prints the facts that it has seen."""

    ends = True
    psk_reuses = False  # whether a pre-shared key of TLS 1.3 looks like a session to it

    def command(self, t):
        raise NotImplementedError

    def run(self, t, role, *more):
        return t.start(*self.command(t), role, t.port, t.times, *more,
                       *((f"psk={IDENTITY}:{KEY}",) if t.psk else ()), *((f"alpn={t.alpn}",) if t.alpn else ()))

    def facts(self, t, number, server):
        reused = "yes" if t.resumes(number) or t.psk and t.version == "TLSv1.3" and self.psk_reuses else "no"
        out = f"version={t.version} alpn={t.alpn or '-'} reused={reused}"
        return out + (f" peer={CLIENT if t.mutual else '-'}" if server else "") + "\n"

    def serve(self, t):
        own = (f"cert={t.cert(t.shown + '.crt')}", f"key={t.cert(t.shown + '.key')}") if t.shown else ()
        process = self.run(t, "server", *own, *((f"ca={t.cert('ca.crt')}",) if t.mutual else ()))
        process.wait_for("listening")
        return process

    def says(self, t):
        return [self.facts(t, number, True) for number in range(t.times)]

    def call(self, t):
        own = (f"cert={t.cert('client.crt')}", f"key={t.cert('client.key')}") if t.mutual else ()
        process = self.run(t, "client", *own, *(() if t.psk else (f"ca={t.cert(t.root)}",)), f"line={t.line}")
        t.ended_well(process)
        t.equal(process.output.decode(), "".join(self.facts(t, number, False) for number in range(t.times)))


class OpenSSL(Peer):
    name = "OpenSSL"
    programs = "`openssl s_server`, `openssl s_client`"
    talk = "reversed"

    def serve(self, t):
        # From OpenSSL 3.2 on, the default format of names is another one.
        arguments = ["-accept", f"127.0.0.1:{t.port}", "-rev", "-nameopt", "oneline,-space_eq"]
        if t.psk:
            arguments += ["-nocert", "-psk", KEY, "-psk_identity", IDENTITY]
        else:
            arguments += ["-cert", t.cert(t.shown + ".crt"), "-key", t.cert(t.shown + ".key")]
        if t.mutual:
            arguments += ["-Verify", "2", "-verify_return_error", "-CAfile", t.cert("ca.crt")]
        if t.alpn:
            arguments += ["-alpn", t.alpn]
        return t.listening(t.start("openssl", "s_server", *arguments))

    def says(self, t):
        return [f"Protocol version: {t.version}\n", *([f"CN={CLIENT}\n"] if t.mutual else [])]

    def call(self, t):
        arguments = ["-connect", f"127.0.0.1:{t.port}", "-servername", "localhost"]
        if t.psk:
            arguments += ["-psk", KEY, "-psk_identity", IDENTITY]
        else:
            arguments += ["-CAfile", t.cert(t.root), "-verify_return_error", "-verify_hostname", "localhost"]
        if t.mutual:
            arguments += ["-cert", t.cert("client.crt"), "-key", t.cert("client.key")]
        if t.alpn:
            arguments += ["-alpn", t.alpn]
        for number in range(t.times):
            kept = ["-sess_in" if number else "-sess_out", t.folder / "session"] if t.resumed else []
            process = t.start("openssl", "s_client", *arguments, *kept)
            t.echoed(process)
            # In TLS 1.3 a pre-shared key looks like a session to it.
            reused = number or t.psk and t.version == "TLSv1.3"
            t.said(process, f"{'Reused' if reused else 'New'}, {t.version}, Cipher is ",
                   *([f"ALPN protocol: {t.alpn}\n"] if t.alpn else []))


class GnuTLS(Peer):
    name = "GnuTLS"
    programs = "`gnutls-serv`, `gnutls-cli`"
    needs = ("gnutls-serv", "gnutls-cli")
    PSK = ":-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"

    def serve(self, t):
        arguments = ["--echo", "-p", t.port]
        if t.psk:
            (t.folder / "psk").write_text(f"{IDENTITY}:{KEY}\n")
            arguments += ["--priority", "NORMAL" + self.PSK, "--pskpasswd", t.folder / "psk"]
        else:
            arguments += ["--x509certfile", t.cert(t.shown + ".crt"), "--x509keyfile", t.cert(t.shown + ".key")]
        if t.mutual:
            arguments += ["--require-client-cert", "--verify-client-cert", "--x509cafile", t.cert("ca.crt")]
        elif not t.psk:
            arguments += ["--disable-client-cert"]
        if t.alpn:
            arguments += ["--alpn", t.alpn]
        return t.listening(t.start("stdbuf", "-oL", "gnutls-serv", *arguments))

    def says(self, t):
        return [f"- Version: {t.version.replace('v', '')}\n", *([f"CN={CLIENT}"] if t.mutual else []),
                *([f"PSK authentication. Connected as '{IDENTITY}'"] if t.psk else []),
                *([f"Application protocol: {t.alpn}\n"] if t.alpn else []),
                *(["*** This is a resumed session\n"] if t.resumed else [])]

    def call(self, t):
        arguments = ["-p", t.port]
        if t.psk:
            # Without ECDHE-PSK of TLS 1.2: gnutls-cli 3.7.9 crashes with it, also with gnutls-serv.
            arguments += ["--priority", "NORMAL:-KX-ALL:+PSK" + (":+ECDHE-PSK" if t.version == "TLSv1.3" else ""),
                          "--pskusername", IDENTITY, "--pskkey", KEY]
        else:
            arguments += ["--x509cafile", t.cert(t.root), "--verify-hostname", "localhost", "--sni-hostname",
                          "localhost"]
        if t.mutual:
            arguments += ["--x509certfile", t.cert("client.crt"), "--x509keyfile", t.cert("client.key")]
        if t.alpn:
            arguments += ["--alpn", t.alpn]
        if t.resumed:
            arguments += ["--resume", "--waitresumption"]
        process = t.start("stdbuf", "-oL", "gnutls-cli", *arguments, "127.0.0.1")
        t.echoed(process)
        t.said(process, f"- Description: ({t.version.replace('v', '')}",
               *(["This is a resumed session"] if t.resumed else []),
               *([f"Application protocol: {t.alpn}\n"] if t.alpn else []))


class CPython(Program):
    name = "CPython"
    programs = "its `ssl`"
    holes = (Hole("CPython has pre-shared keys only from 3.13 on.", columns=("psk",)),)

    def command(self, t):
        return t.python, t.programs / "cpython.py"


class Go(Program):
    name = "Go"
    programs = "its `crypto/tls`"
    needs_built = "go"
    holes = (Hole("Go's crypto/tls has no pre-shared keys.", columns=("psk",)),)
    notes = (Hole("Go before 1.20 has no extended_master_secret. With Mbed TLS the second handshake is a full one "
                  "(`resumption_without_extended_master_secret` in [known limitations](known-limitations.md)).", None, "TLSv1.2",
                  ("resumed",), "with OpenSSL"),)

    @property
    def has_extended_master_secret(self):
        version = subprocess.run(["go", "version"], check=True, capture_output=True, text=True).stdout
        return int(re.search(r" go1\.(\d+)", version)[1]) >= 20

    def command(self, t):
        return (t.built / "go",)


class Node(Program):
    name = "Node"
    programs = "its `tls`"
    needs = ("node",)
    psk_reuses = True

    def command(self, t):
        return "node", t.programs / "peer.js"


class WolfSSL(Program):
    name = "wolfSSL"
    programs = "the library"
    needs_built = "wolfssl"
    notes = (Hole("With TLS 1.2 and P-256 only. If its client has a pre-shared key and TLS 1.3 is on, it rejects TLS 1.2 "
                  "from any server. It also offers X25519, but cannot use it for ECDHE-PSK (wolfSSL 5.5).",
                  "client", "TLSv1.2", ("psk",)),)

    def command(self, t):
        return (t.built / "wolfssl",)

    def run(self, t, role, *more):
        old = t.psk and t.version == "TLSv1.2" and role == "client"
        return super().run(t, role, *more, *(("old=yes",) if old else ()))


class MbedTLS(Peer):
    name = "Mbed TLS"
    programs = "`ssl_server2`, `ssl_client2`"
    needs_built = "mbedtls"
    talk = asks = "http"
    notes = (Hole("With TLS 1.2 only. If TLS 1.3 is on, its client offers RSA-PSS, but rejects it in TLS 1.2 from any server "
                  "(against RFC 8446 §4.2.3).", "client", "TLSv1.2", ("rsa",)),)

    def common(self, t):
        own = t.shown if t.role == "server" else "client" if t.mutual else None
        out = ["server_addr=127.0.0.1", f"server_port={t.port}"]
        if own:
            out += [f"crt_file={t.cert(own + '.crt')}", f"key_file={t.cert(own + '.key')}"]
        else:
            out += ["crt_file=none", "key_file=none"]
        if t.psk:
            out += [f"psk={KEY}", f"psk_identity={IDENTITY}"]
        return out + ([f"alpn={t.alpn}"] if t.alpn else [])

    def run(self, t, program, *arguments):
        return t.start("stdbuf", "-oL", t.built / "mbedtls" / "programs" / "ssl" / program, *self.common(t), *arguments)

    def said_of(self, t):
        return [f"[ Protocol is {t.version} ]", *([f"[ Application Layer Protocol is {t.alpn} ]"] if t.alpn else [])]

    def serve(self, t):
        asking = ["auth_mode=required", f"ca_file={t.cert('ca.crt')}"] if t.mutual else ["ca_file=none"]
        return t.listening(self.run(t, "ssl_server2", "min_version=tls12", "max_version=tls13", *asking))

    def says(self, t):
        return [*self.said_of(t), f"GET /{t.line} HTTP/1.0", *([f"CN={CLIENT}"] if t.mutual else [])]

    def call(self, t):
        trusting = ["ca_file=none"] if t.psk else ["auth_mode=required", f"ca_file={t.cert(t.root)}"]
        if t.column == "rsa" and t.version == "TLSv1.2":
            trusting.append("max_version=tls12")
        process = self.run(t, "ssl_client2", "server_name=localhost", *trusting, f"reconnect={t.times - 1}",
                           "new_session_tickets=1", f"request_page=/{t.line}")
        t.ended_well(process)
        t.said(process, *self.said_of(t), "HTTP/1.0 200 OK", t.line)


class Curl(Peer):
    name = "curl"
    programs = "`curl`"
    needs = ("curl",)
    asks = "http"
    protocol = "http/1.1"
    holes = (Hole("curl is only a client.", "server"),
             Hole("curl has no pre-shared keys.", columns=("psk",)))

    def call(self, t):
        own = ["--cert", t.cert("client.crt"), "--key", t.cert("client.key")] if t.mutual else []
        process = t.start("curl", "-sSv", "--noproxy", "*", "--max-time", "20", "--resolve",
                          f"localhost:{t.port}:127.0.0.1", "--cacert", t.cert(t.root), *own,
                          *[f"https://localhost:{t.port}/{t.line}"] * t.times)
        t.ended_well(process)
        t.equal(process.output.decode(), f"{t.line}\n" * t.times)
        t.said(process, f"SSL connection using {t.version} ", *([f"ALPN: server accepted {t.alpn}"] if t.alpn else []))


class Nginx(Peer):
    name = "nginx"
    programs = "as a web server, and as a proxy"
    needs = ("nginx",)
    talk = asks = "http"
    protocol = "http/1.1"
    holes = (Hole("nginx has no pre-shared keys.", columns=("psk",)),
             Hole("As a client, nginx offers ALPN only for gRPC.", "client", columns=("alpn",)))

    def nginx(self, t, server):
        folders = "".join(f"{kind}_temp_path {t.folder}/{kind};\n"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (t.folder / "conf").write_text(f"""
            daemon off; master_process off; pid {t.folder}/pid; error_log stderr info;
            events {{}}
            http {{
                {folders}
                log_format facts "version=$ssl_protocol reused=$ssl_session_reused peer=$ssl_client_s_dn "
                                 "alpn=$ssl_alpn_protocol uri=$request_uri;";
                access_log /dev/stdout facts;
                server {{ {server} }}
            }}""")
        return t.start(t.find("nginx"), "-e", "stderr", "-c", t.folder / "conf")

    def serve(self, t):
        asking = f"ssl_verify_client on; ssl_client_certificate {t.cert('ca.crt')};" if t.mutual else ""
        return t.listening(self.nginx(t, f"""
            listen 127.0.0.1:{t.port} ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:all:1m;
            ssl_certificate {t.cert(t.shown + '.crt')}; ssl_certificate_key {t.cert(t.shown + '.key')}; {asking}
            return 200 "hello\\n";"""))

    def says(self, t):
        peer = f"CN={CLIENT},O=ussl tests" if t.mutual else "-"
        return [f"version={t.version} reused={reused} peer={peer} alpn={t.alpn or '-'} uri=/{t.line};"
                for reused in (".r" if t.resumed else ".")]

    def call(self, t):
        own = (f"proxy_ssl_certificate {t.cert('client.crt')}; proxy_ssl_certificate_key {t.cert('client.key')};"
               if t.mutual else "")
        front = t.another_port()
        t.listening(self.nginx(t, f"""
            listen 127.0.0.1:{front};
            location / {{
                proxy_pass https://127.0.0.1:{t.port}; proxy_ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_server_name on;
                proxy_ssl_name localhost; proxy_ssl_verify on; proxy_ssl_trusted_certificate {t.cert(t.root)}; {own}
            }}"""), front)
        for _ in range(t.times):
            answer = t.ask(front, f"GET /{t.line} HTTP/1.0\r\n\r\n".encode())
            t.equal(answer.decode().partition("\r\n\r\n")[2], t.line + "\n")


class Stunnel(Peer):
    name = "stunnel"
    programs = "`stunnel`"
    needs = ("stunnel",)
    holes = (Hole("stunnel has no ALPN.", columns=("alpn",)),)

    def stunnel(self, t, *lines):
        if t.psk:
            (t.folder / "psk").write_text(f"{IDENTITY}:{KEY}\n")
            (t.folder / "psk").chmod(0o600)
            lines += (f"PSKsecrets = {t.folder}/psk", "ciphers = PSK")
        (t.folder / "conf").write_text("\n".join(
            ("foreground = yes", "pid =", "debug = info", "syslog = no", "[cell]", *lines, "")))
        return t.start("stunnel", t.folder / "conf")

    def facts(self, t, done):
        # A TLS 1.3 client with a pre-shared key reports it as a session.
        reused = t.resumed or t.psk and t.version == "TLSv1.3" and t.role == "client"
        said = "previous session reused" if reused else "new session negotiated"
        if t.psk and t.role == "server":
            said = ""  # stunnel 5.74 prints "PSK" there
        return [f"TLS {done}: {said}", f"{t.version} ciphersuite: "]

    def serve(self, t):
        lines = [f"accept = 127.0.0.1:{t.port}", "exec = /bin/cat"]
        if not t.psk:
            lines += [f"cert = {t.cert(t.shown + '.crt')}", f"key = {t.cert(t.shown + '.key')}"]
        if t.mutual:
            lines += [f"CAfile = {t.cert('ca.crt')}", "verifyChain = yes", "requireCert = yes"]
        return t.listening(self.stunnel(t, *lines))

    def says(self, t):
        return self.facts(t, "accepted") + ([f"Certificate accepted at depth=0: O=ussl tests, CN={CLIENT}"] if t.mutual
                                           else [])

    def call(self, t):
        front = t.another_port()
        lines = ["client = yes", f"accept = 127.0.0.1:{front}", f"connect = 127.0.0.1:{t.port}"]
        if t.psk:
            lines += [f"PSKidentity = {IDENTITY}"]
        else:
            lines += [f"CAfile = {t.cert(t.root)}", "verifyChain = yes", "checkHost = localhost"]
        if t.mutual:
            lines += [f"cert = {t.cert('client.crt')}", f"key = {t.cert('client.key')}"]
        process = t.listening(self.stunnel(t, *lines), front)
        for _ in range(t.times):
            t.equal(t.ask(front, t.line.encode() + b"\n").decode(), t.line + "\n")
        t.said(process, *self.facts(t, "connected"))


class Socat(Peer):
    name = "socat"
    programs = "`socat`"
    needs = ("socat",)
    holes = (Hole("socat has no pre-shared keys.", columns=("psk",)),
             Hole("socat 1.7 has no ALPN.", columns=("alpn",)),
             Hole("socat connects once, and does not store a session.", "client", columns=("resumed",)))

    def own(self, t, name):
        return f",cert={t.cert(name + '.crt')},key={t.cert(name + '.key')}"

    def serve(self, t):
        asking = f",verify=1,cafile={t.cert('ca.crt')}" if t.mutual else ",verify=0"
        return t.listening(t.start("socat", "-d", "-d", f"OPENSSL-LISTEN:{t.port},bind=127.0.0.1,reuseaddr,fork"
                                   + self.own(t, t.shown) + asking, "PIPE"))

    def says(self, t):
        return [f"SSL proto version used: {t.version}", *(["trusting certificate"] if t.mutual else [])]

    def call(self, t):
        own = self.own(t, "client") if t.mutual else ""
        process = t.start("socat", "-d", "-d", "STDIO",
                          f"OPENSSL:127.0.0.1:{t.port},commonname=localhost,cafile={t.cert(t.root)}{own}")
        t.echoed(process)
        t.said(process, f"SSL proto version used: {t.version}")


class Mosquitto(Peer):
    name = "mosquitto"
    programs = "as a broker, and as a bridge to another"
    needs = ("mosquitto",)
    talk = asks = "mqtt"
    protocol = "mqtt"
    holes = (Hole("mosquitto's broker ignores ALPN.", "server", columns=("alpn",)),
             Hole("mosquitto's bridge does not store sessions.", "client", columns=("resumed",)))
    notes = (Hole("mosquitto 2.0.21 (Debian 13) has no pre-shared keys in TLS 1.3; the test is skipped there.", None, "TLSv1.3",
                  ("psk",)),)

    def mosquitto(self, t, *lines):
        if t.psk:
            t.need_mosquitto_psk(t.find("mosquitto"))
        (t.folder / "conf").write_text("\n".join((f"user {t.user}", "log_type all", *lines, "")))
        process = t.start(t.find("mosquitto"), "-c", t.folder / "conf")
        process.wait_for(" running")
        return process

    def serve(self, t):
        lines = [f"listener {t.port} 127.0.0.1"]
        if t.psk:
            (t.folder / "psk").write_text(f"{IDENTITY}:{KEY}\n")
            lines += ["psk_hint broker", f"psk_file {t.folder}/psk", "use_identity_as_username true"]
        else:
            lines += [f"certfile {t.cert(t.shown + '.crt')}", f"keyfile {t.cert(t.shown + '.key')}"]
        if t.mutual:
            lines += [f"cafile {t.cert('ca.crt')}", "require_certificate true", "use_identity_as_username true"]
        elif not t.psk:
            lines += ["allow_anonymous true"]
        return self.mosquitto(t, *lines)

    def says(self, t):
        return ["New client connected", *([f"u'{CLIENT}'"] if t.mutual else []), *([f"u'{IDENTITY}'"] if t.psk else [])]

    def call(self, t):
        lines = [f"listener {t.another_port()} 127.0.0.1", "connection cell", f"address 127.0.0.1:{t.port}",
                 "topic # out", "restart_timeout 30"]
        if t.psk:
            lines += [f"bridge_psk {KEY}", f"bridge_identity {IDENTITY}"]
        else:
            lines += [f"bridge_cafile {t.cert(t.root)}"]
        if t.mutual:
            lines += [f"bridge_certfile {t.cert('client.crt')}", f"bridge_keyfile {t.cert('client.key')}"]
        if t.alpn:
            lines += [f"bridge_alpn {t.alpn}"]
        t.said(self.mosquitto(t, *lines), "Received CONNACK")


class NSS(Peer):
    name = "NSS"
    programs = "`selfserv`, `tstclnt`"
    needs = ("selfserv", "tstclnt", "certutil")
    talk = asks = "http"
    protocol = "http/1.1"
    holes = (Hole("NSS has pre-shared keys in TLS 1.3 only.", None, "TLSv1.2", ("psk",)),
             Hole("`selfserv` sends its certificate to a client with a pre-shared key, also to `openssl s_client` "
                  "(NSS 3.87).", "server", "TLSv1.3", ("psk",)),
             Hole("`tstclnt` has no option for ALPN.", "client", columns=("alpn",)))
    SEEN = {"TLSv1.2": "SSL version 3.3", "TLSv1.3": "SSL version 3.4"}

    def database(self, t, own):
        """The roots, and a certificate with its key, under its own name."""
        folder = t.shared / f"nss-{own}"
        if not folder.exists():
            folder.mkdir()
            t.do("certutil", "-N", "--empty-password", "-d", f"sql:{folder}")
            for root in ("ca", "ca-rsa"):
                t.do("certutil", "-A", "-d", f"sql:{folder}", "-n", root, "-t", "CT,C,", "-i", t.cert(root + ".crt"))
            if own:
                t.do("openssl", "pkcs12", "-export", "-in", t.cert(own + ".crt"), "-inkey", t.cert(own + ".key"),
                     "-name", own, "-passout", "pass:x", "-out", folder / "p12")
                t.do("pk12util", "-i", folder / "p12", "-d", f"sql:{folder}", "-W", "x", "-K", "")
        return ["-d", f"sql:{folder}", "-V", "tls1.2:", "-v", *(["-z", f"0x{KEY}:{IDENTITY}"] if t.psk else [])]

    def serve(self, t):
        arguments = ["-u", "-p", t.port, *self.database(t, t.shown), "-n" if t.column == "rsa" else "-e", t.shown]
        if t.mutual:
            arguments += ["-r", "-r"]
        if t.alpn:
            arguments += ["-Q"]
        return t.listening(t.start("stdbuf", "-oL", "selfserv", *arguments))

    def says(self, t):
        return [self.SEEN[t.version], *([f"subject DN: CN={CLIENT}"] if t.mutual else [])]

    def call(self, t):
        (t.folder / "request").write_text(f"GET /{t.line} HTTP/1.0\r\n\r\n")
        process = t.start("tstclnt", "-h", "localhost", "-4", "-p", t.port, "-A", t.folder / "request", "-L", t.times,
                          *self.database(t, "client" if t.mutual else None), *(["-n", "client"] if t.mutual else []))
        t.ended_well(process)
        t.said(process, self.SEEN[t.version], t.line)


PEERS = (OpenSSL(), GnuTLS(), MbedTLS(), WolfSSL(), NSS(), Go(), Node(), CPython(), Curl(), Nginx(), Stunnel(), Socat(),
         Mosquitto())
