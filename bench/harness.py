"""The tools of bench/run: the contestants, the counterpart, certificates, and one measurement."""

import concurrent.futures
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
BUILD = ROOT / "build" / "bench"
PYTHON = "/usr/bin/python3"

PLAIN = "plain C++, OpenSSL"
USSL = "MicroPython + ussl, OpenSSL"
CPYTHON = "CPython `ssl`"
NODE = "Node `tls`"
GO = "Go `crypto/tls`"
PLAIN_MBEDTLS = "plain C++, Mbed TLS"
USSL_MBEDTLS = "MicroPython + ussl, Mbed TLS"
OWN = "MicroPython's own `tls`"

TLS13 = "TLSv1.3 TLS_AES_128_GCM_SHA256"
TLS12 = {
    "": "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "rsa": "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
}

# The unsupported questions of each contestant, with reasons.
LACKS = {
    (CPYTHON, "psk"): "CPython 3.11's `ssl` has no pre-shared keys",
    (GO, "psk"): "Go's `crypto/tls` has no pre-shared keys",
    (OWN, "psk"): "MicroPython's options for Mbed TLS have no pre-shared keys",
}


class Failure(Exception):
    pass


def say(*words):
    print("bench:", *words, file=sys.stderr, flush=True)


def progress(text):
    """One line that changes; where it cannot change, nothing."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        print("\r\033[K" + text[: width - 1], end="", file=sys.stderr, flush=True)


def output(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout.strip()


# ---------------------------------------------------------------- set-up


def older(product, *sources):
    return not product.exists() or product.stat().st_mtime < max(file.stat().st_mtime for file in sources)


def build(name, *options):
    """A C++ program, by one call of the compiler."""
    source, program = BENCH / f"{name}.cpp", BUILD / name
    if older(program, source, *BENCH.glob("*.hpp")):
        say("compiling", source.name)
        BUILD.mkdir(parents=True, exist_ok=True)
        options = options or ("-lssl", "-lcrypto")
        output("g++", "-std=c++23", "-O2", "-Wall", "-Wextra", "-o", program, source, *options)
    return program


def build_mbedtls():
    """The plain program over Mbed TLS, and that library as ussl configures it, without patches."""
    source = pathlib.Path(output(ROOT / "tools/deps", "source", "mbedtls-unpatched"))
    config = ROOT / "src/mbedtls"
    options = [f"-I{source / 'include'}", f"-I{config}", '-DMBEDTLS_CONFIG_FILE="ussl_mbedtls_config.h"']
    folder = BUILD / "mbedtls"
    archive, stamp = folder / "libmbedtls.a", folder / "source"
    known = f"{source} {(source / 'library/version.c').stat().st_mtime}"
    if (older(archive, config / "ussl_mbedtls_config.h", config / "ussl_mbedtls_platform.h")
            or not stamp.exists() or stamp.read_text() != known):  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        say("compiling Mbed TLS, once")
        files = sorted((source / "library").glob("*.c"))

        def compiled(file):
            product = folder / (file.stem + ".o")
            output("gcc", "-O3", "-w", *options, f"-I{source / 'library'}", "-c", "-o", product, file)
            return product

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            products = []
            for product in pool.map(compiled, files):
                products.append(product)
                progress(f"bench: compiling Mbed TLS, {100 * len(products) // len(files)} %")
        progress("")
        output("ar", "crs", archive, *products)
        stamp.write_text(known)
        (BUILD / "client_mbedtls").unlink(missing_ok=True)
    return build("client_mbedtls", *options, archive)


def build_go():
    source, program = BENCH / "client.go", BUILD / "client_go"
    if older(program, source):
        say("compiling", source.name)
        # No module: nothing is fetched.
        environment = {**os.environ, "GO111MODULE": "off", "CGO_ENABLED": "0", "GOCACHE": str(BUILD / "go-cache")}
        output("go", "build", "-o", program, source, env=environment)
    return program


def make_identities(folder, *key):
    """A root, and a server's and a client's certificate, with SHA-256; also in DER, all that MicroPython reads."""
    folder.mkdir(exist_ok=True)

    def openssl(*arguments):
        output("openssl", *arguments, cwd=folder, stderr=subprocess.DEVNULL)

    new_key = ("-newkey", *key, "-nodes", "-sha256")
    openssl("req", "-x509", *new_key, "-subj", "/CN=bench root", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("x509", "-in", "ca.pem", "-outform", "DER", "-out", "ca.der")
    for who, name in (("server", "localhost"), ("client", "client")):
        (folder / "extensions").write_text(f"subjectAltName=DNS:{name}\nextendedKeyUsage={who}Auth\n")
        openssl("req", *new_key, "-subj", f"/CN={name}", "-keyout", f"{who}.key", "-out", f"{who}.csr")
        openssl("x509", "-req", "-in", f"{who}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-sha256", "-CAcreateserial",
                "-days", "2", "-extfile", "extensions", "-out", f"{who}.pem")  # fmt: skip
        openssl("x509", "-in", f"{who}.pem", "-outform", "DER", "-out", f"{who}.der")
        openssl("pkey", "-in", f"{who}.key", "-outform", "DER", "-out", f"{who}.key.der")


def make_bundle(folder, count):
    """As many roots as a system has, P-256."""
    with open(folder / "bundle.pem", "wb") as bundle:
        for i in range(count):
            bundle.write(subprocess.run(
                ["openssl", "req", "-x509", "-key", "ca.key", "-sha256", "-subj", f"/CN=bench root {i}", "-days", "2"],
                cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)  # fmt: skip


def pinned(cpu):
    """Returns a function for a child process: contestant and counterpart each get a processor of their own."""
    cpus = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cpus[cpu]}) if len(cpus) > 1 else None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bench:
    """The counterpart, the contestants, and a folder for certificates."""

    def __init__(self, folder, micropython=None):
        if not shutil.which("openssl"):
            sys.exit("bench: needs the command `openssl`, to make certificates")
        self.folder = folder
        self.peers = {}
        self.peer = build("peer")
        self.micropython = micropython or output(ROOT / "tools/micropython", "ussl")
        self.over_mbedtls = output(
            ROOT / "tools/micropython", "ussl", env={**os.environ, "USSL_ENGINE": "mbedtls"})  # fmt: skip
        self.own = output(ROOT / "tools/micropython", "stock")
        self.missing = []
        self.contestants = {
            PLAIN: [build("client")],
            USSL: [self.micropython, BENCH / "client_micropython.py"],
            CPYTHON: [PYTHON, "-B", BENCH / "client_cpython.py"],
            NODE: ["node", "--expose-gc", BENCH / "client.js"],
            GO: [],
            PLAIN_MBEDTLS: [build_mbedtls()],
            USSL_MBEDTLS: [self.over_mbedtls, BENCH / "client_micropython.py"],
            OWN: [self.own, BENCH / "client_micropython_own.py"],
        }
        for name, program in ((NODE, "node"), (GO, "go")):
            if not shutil.which(program):
                del self.contestants[name]
                self.missing.append(f"{name} is left out: there is no program `{program}`")
                say(self.missing[-1])
        if GO in self.contestants:
            self.contestants[GO] = [build_go()]
        make_identities(folder, "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        make_identities(folder / "rsa", "rsa:2048")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process, _ in self.peers.values():
            process.kill()
            process.wait()

    def serving(self, keys, *options):
        """The port of a counterpart that has these certificates and options."""
        if (keys, *options) in self.peers and self.peers[keys, *options][0].poll() is not None:
            self.forget(keys, *options)
        if (keys, *options) not in self.peers:
            process = subprocess.Popen([self.peer, "serve", self.folder / keys, *options],
                                       stdout=subprocess.PIPE, text=True, preexec_fn=pinned(-1))  # fmt: skip
            self.peers[keys, *options] = process, int(process.stdout.readline())
        return self.peers[keys, *options][1]

    def forget(self, keys, *options):
        """Ends the counterpart for these certificates and options, with its open connections."""
        process, _ = self.peers.pop((keys, *options))
        process.kill()
        process.wait()

    def command(self, name, question):
        program, *rest = self.contestants[name]
        # MicroPython's heap does not grow by itself: a thousand connections need a larger one.
        heap = ["-X", "heapsize=64m"] if name in (USSL, USSL_MBEDTLS, OWN) and question[0] in "ms" else []
        return [program, *heap, *rest]

    def measure(self, name, question, size, seconds, keys="", before=()):
        """Asks one contestant; returns its answer. `before`: a program to run it with."""
        what, _, kind = question.partition("-")
        options = [kind] if kind in ("mutual", "psk", "one", "idle", "flood") else ["tickets"] if what == "reconnect" else []
        options += ["tls1.2"] if name == OWN else []
        accepts = what in ("accept", "serve")
        port = free_port() if accepts else self.serving(keys, *options, *(["kept"] if what == "memory" else []))
        ask = what if what == "serve" else question  # which connections are active is for the driver only
        command = [*before, *self.command(name, question), ask, str(port), str(size), str(seconds)]
        contestant = subprocess.Popen([*command, self.folder / keys], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, preexec_fn=pinned(0))  # fmt: skip
        other_end = None
        # Slow is a result; stuck is not.
        processes = [contestant]
        patience = seconds + 60 + (size / 10 if what == "serve" else 0)
        limit = threading.Timer(patience, lambda: [process.kill() for process in processes])
        limit.start()
        try:
            if accepts:
                if contestant.stdout.readline() != "listening\n":
                    raise Failure(f"{name}, {question}: {last_line(contestant.stderr.read())}")
                job = ["connect", str(port)] if what == "accept" else ["load", str(port), str(size), str(seconds)]
                other_end = subprocess.Popen([self.peer, *job, self.folder / keys, *options], stdout=subprocess.PIPE,
                                             stderr=subprocess.PIPE, text=True, preexec_fn=pinned(-1))  # fmt: skip
                processes.append(other_end)
            if what == "serve":
                result = self.load(contestant, other_end)
            else:
                answer, errors = contestant.communicate()
                if contestant.returncode != 0:
                    raise Failure(f"{name}, {question}: status {contestant.returncode}, {last_line(errors)}")
                result = json.loads(answer)
        finally:
            limit.cancel()
            for process in processes:
                process.kill()
                process.wait()
                for stream in (process.stdout, process.stderr):
                    stream.close()
            if what == "memory":
                self.forget(keys, *options, "kept")
        expected = TLS12[keys] if name == OWN else TLS13
        if result.get("tls", expected) != expected:
            raise Failure(f"{name}, {question}: negotiated {result['tls']}, and not {expected}")
        return result

    def load(self, server, driver):
        """Makes many connections to a server. Returns the counts of the driver and the server's processor time."""
        if driver.stdout.readline() != "connected\n":
            raise Failure(f"the driver of the server: {last_line(driver.stderr.read())}")
        begin = cpu_of(server.pid)
        answer = driver.stdout.readline()
        used = cpu_of(server.pid) - begin
        if not answer:
            raise Failure(f"the driver of the server: {last_line(driver.stderr.read())}")
        return {**json.loads(answer), "cpu": max(used, 0.01)}

    def versions(self):
        micropython = "import sys{}; print(sys.version.split('MicroPython ')[-1].split(' on ')[0], '{} over', {})"
        with_ussl = micropython.format(", ussl", "+ ussl", "ussl.ENGINE")
        header = "\n".join(file.read_text() for file in sorted((ROOT / "include/ussl").glob("*.hpp")))
        own = re.search(r'"(\d+\.\d+\.\d+[^"]*)"', header)
        compiler = f"g++ {output('g++', '-dumpfullversion')} over "
        cpython = "import platform, ssl; print(platform.python_version(), 'over', ssl.OPENSSL_VERSION)"
        found = {
            "ussl": own.group(1) if own else "unreleased",
            PLAIN: compiler + output(self.contestants[PLAIN][0], "version"),
            USSL: output(self.micropython, "-c", with_ussl),
            CPYTHON: output(PYTHON, "-c", cpython),
        }
        if NODE in self.contestants:
            found[NODE] = output("node", "-p", "`${process.version} over OpenSSL ${process.versions.openssl}`")
        if GO in self.contestants:
            found[GO] = output("go", "version").removeprefix("go version ")
        found[PLAIN_MBEDTLS] = compiler + output(self.contestants[PLAIN_MBEDTLS][0], "version")
        found[USSL_MBEDTLS] = output(self.over_mbedtls, "-c", with_ussl)
        found[OWN] = output(self.own, "-c", micropython.format(", tls", "", "tls.MBEDTLS_VERSION")).replace("  ", " ")
        model = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
        system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
        processor = model.group(1) if model else platform.machine()
        found["machine"] = f"{processor}, {os.cpu_count()} processors, {system}, Linux {platform.release()}"
        return found


def last_line(text):
    return (text.strip().splitlines() or ["without a word"])[-1][:200]


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
