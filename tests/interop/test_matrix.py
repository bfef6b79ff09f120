"""ussl and every peer of peers.py: each cell of the matrix, except holes."""

import pwd
import shutil

import peers
from harness import *

BUILT = pathlib.Path(os.environ["USSL_PEERS"])  # where the programs that have to be built are


def found(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class Cell:
    """The settings of a started peer."""

    def __init__(self, case, peer, role, version, column):
        self.case, self.peer, self.role, self.version, self.column = case, peer, role, version, column
        self.port = free_port()
        self.line = "a-line-of-300-bytes-" + "0123456789" * 28
        self.python, self.programs, self.built = sys.executable, PROGRAMS, BUILT
        self.cert, self.user = cert, pwd.getpwuid(os.getuid()).pw_name
        self.folder = case.folder / f"{role}-{version}-{column}"
        self.folder.mkdir()
        self.shared = case.folder

        self.psk, self.mutual, self.resumed = column == "psk", column == "mutual", column == "resumed"
        self.alpn = peer.protocol if column == "alpn" else None
        self.times = 2 if self.resumed else 1
        self.shown = None if self.psk else "server-rsa" if column == "rsa" else "server"
        self.root = None if self.psk else "ca-rsa.crt" if column == "rsa" else "ca.crt"

    def resumes(self, number):
        """Whether that connection resumes the first."""
        if (self.version == "TLSv1.2" and not self.peer.has_extended_master_secret
                and lacks("resumption_without_extended_master_secret")):
            return False
        return self.resumed and number > 0

    def start(self, *command, **options):
        return self.case.start(*command, **options)

    def listening(self, process, port=None):
        self.case.await_port(port or self.port, process)
        return process

    def another_port(self):
        return free_port()

    def find(self, program):
        """The path of a program, also in the folders for system programs; None if it is not installed."""
        return found(program)

    def need_mosquitto_psk(self, program):
        self.case.need_mosquitto_psk(program, self.user, self.version)

    def ask(self, port, question):
        """The answer at that port, without TLS, to the end of the stream or to our line."""
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
            sock.sendall(question)
            answer = b""
            while not answer.endswith(self.line.encode() + b"\n") and (more := sock.recv(10000)):
                answer += more
            return answer

    def do(self, *command):
        """Something that has to be done first."""
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT)

    def equal(self, one, other):
        self.case.assertEqual(one, other)

    def said(self, process, *words):
        for word in words:
            process.wait_for(word)

    def ended_well(self, process):
        process.end_input()
        self.equal(process.wait(), 0)

    def echoed(self, process):
        """It sends a line from its input, and prints the answer."""
        process.send(self.line.encode() + b"\n")
        process.wait_for(self.line)

    # --- our end

    def ours(self):
        us = "server" if self.role == "client" else "client"
        own, root = None, self.root
        if us == "server":
            own, root = self.shown, "ca.crt" if self.mutual else None
        elif self.mutual:
            own = "client"
        talk = self.peer.talk if us == "client" else self.peer.asks
        return self.case.run_program(
            "matrix.py", role=us, port=self.port, version=self.version, times=self.times, line=self.line, talk=talk,
            own=[cert(own + ".crt"), cert(own + ".key")] if own else None, root=cert(root) if root else None,
            psk=[peers.IDENTITY, peers.KEY] if self.psk else None, alpn=self.alpn,
            ends=us == "client" and self.peer.ends)

    def check(self, told):
        """Of each connection."""
        self.case.assertEqual(len(told), self.times)
        for number, one in enumerate(told):
            self.case.assert_done(one, self.version)
            self.equal(one["reused"], self.resumes(number))
            self.equal(one["alpn"], self.alpn)
            suite = {"psk": "_PSK_", "rsa": "_ECDHE_RSA_"}.get(self.column, "_ECDSA_")
            self.case.assertRegex(one["cipher"], "^TLS_" if self.version == "TLSv1.3" else suite)
            if self.role == "server":
                self.equal(one["peer"], None if self.psk else "localhost")
            else:
                self.equal(one["peer"], peers.CLIENT if self.mutual else None)

    def run(self):
        if self.role == "server":
            process = self.peer.serve(self)
            self.check(self.case.told_all(self.ours()))
            self.said(process, *self.peer.says(self))
        else:
            server = self.ours()
            server.wait_for("listening")
            self.peer.call(self)
            self.check(self.case.told_all(server))


class Matrix(Case):
    def try_all(self, peer):
        missing = [program for program in peer.needs if not found(program)]
        if peer.needs_built and not (BUILT / peer.needs_built).exists():
            missing.append(peer.needs_built)
        if missing:
            self.skipTest(f"no {', '.join(missing)}: the rows of {peer.name}")
        for role in peers.ROLES:
            for version in peers.VERSIONS:
                for column in peers.COLUMNS:
                    if not peer.hole(role, version, column):
                        with self.subTest(peer=peer.name, role=role, version=version, column=column):
                            Cell(self, peer, role, version, column).run()


for peer in peers.PEERS:
    def test(self, peer=peer):
        self.try_all(peer)
    setattr(Matrix, "test_" + re.sub(r"\W", "_", peer.name.lower()), test)


if __name__ == "__main__":
    main(verbosity=2)
