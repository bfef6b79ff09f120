"""CPython's ssl as a contestant; questions.py has its tasks."""

import ssl

import questions


class CPython:
    receive, send = "recv_into", "send"

    @staticmethod
    def context(server=False, kind=""):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        if server:
            made.num_tickets = 0
        if server or kind == "mutual":
            who = "server" if server else "client"
            made.load_cert_chain(f"{questions.folder}/{who}.pem", f"{questions.folder}/{who}.key")
        if not server or kind == "mutual":
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_verify_locations(questions.folder + "/ca.pem")
        return made

    @staticmethod
    def client(kind):
        wrap = CPython.context(False, kind).wrap_socket
        return lambda sock: wrap(sock, server_hostname="localhost")

    @staticmethod
    def server(kind):
        wrap = CPython.context(True, kind).wrap_socket
        return lambda sock: wrap(sock, server_side=True)

    @staticmethod
    def reconnect(resumption):
        wrap = CPython.context().wrap_socket
        session = None
        count = 0

        def once(session):
            tls = wrap(questions.connected(), server_hostname="localhost", session=session)
            tls.send(b"e")
            assert tls.recv(1) == b"e"
            return tls

        warm = once(None)
        tls = questions.negotiated(warm)
        session = warm.session
        warm.close()
        watch = questions.Stopwatch()
        while not watch.over():
            one = once(session if resumption else None)
            assert one.session_reused == resumption
            session = one.session
            one.close()
            count += 1
        watch.report(count, tls)


questions.answer(CPython)
