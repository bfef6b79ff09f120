"""MicroPython's own tls as a contestant; questions.py has its tasks. It only accepts DER."""

import questions
import tls


class Own:
    receive, send = "readinto", "write"

    @staticmethod
    def context(server=False, kind=""):
        made = tls.SSLContext(tls.PROTOCOL_TLS_SERVER if server else tls.PROTOCOL_TLS_CLIENT)
        if server or kind == "mutual":
            who = "server" if server else "client"
            made.load_cert_chain(questions.content(who + ".der"), questions.content(who + ".key.der"))
        if not server or kind == "mutual":
            made.verify_mode = tls.CERT_REQUIRED
            made.load_verify_locations(questions.content("ca.der"))
        return made

    @classmethod
    def client(cls, kind):
        wrap = cls.context(False, kind).wrap_socket
        return lambda sock: wrap(sock, server_hostname="localhost")

    @classmethod
    def server(cls, kind):
        wrap = cls.context(True, kind).wrap_socket
        return lambda sock: wrap(sock, server_side=True)


questions.answer(Own)
