"""MicroPython with ussl as a contestant; questions.py has its tasks."""

import questions
import ussl


class Ussl:
    receive, send = "readinto", "write"

    @staticmethod
    def context(server=False):
        made = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER if server else ussl.PROTOCOL_TLS_CLIENT)
        if server:
            made.resumption = False
            made.load_cert_chain(questions.folder + "/server.pem", questions.folder + "/server.key")
        else:
            made.load_verify_locations(cafile=questions.folder + "/ca.pem")
        return made

    @staticmethod
    def own(who):
        return {"certfile": questions.content(who + ".pem"), "keyfile": questions.content(who + ".key")}

    @staticmethod
    def roots():
        return {"ca_certs": questions.content("ca.pem"), "cert_reqs": ussl.CERT_REQUIRED}

    @staticmethod
    def client(kind, resumption=False):
        options = {"resumption": resumption}
        if kind == "psk":
            options["psk_ident"], options["psk_key"] = questions.PSK
        else:
            options["server_hostname"] = "localhost"
            options.update(Ussl.roots())
        if kind == "mutual":
            options.update(Ussl.own("client"))
        return lambda sock: ussl.wrap_socket(sock, **options)

    @staticmethod
    def server(kind):
        options = {"server_side": True, "resumption": False}
        if kind == "psk":
            options["psk_keys"] = dict([questions.PSK])
        else:
            options.update(Ussl.own("server"))
        if kind == "mutual":
            options.update(Ussl.roots())
        return lambda sock: ussl.wrap_socket(sock, **options)

    @staticmethod
    def reconnect(resumption):
        wrap = Ussl.client("", resumption)

        def once():
            tls = wrap(questions.connected())
            tls.write(b"e")
            assert tls.read(1) == b"e"
            return tls

        warm = once()
        tls = questions.negotiated(warm)
        warm.close()
        count = 0
        watch = questions.Stopwatch()
        while not watch.over():
            one = once()
            assert one.session_reused == resumption
            one.close()
            count += 1
        watch.report(count, tls)


questions.answer(Ussl)
