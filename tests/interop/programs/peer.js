// Node's tls as a peer of the interop matrix; peers.py has the arguments and the output.
"use strict";
const fs = require("fs");
const tls = require("tls");

const [role, port, times, ...rest] = process.argv.slice(2);
const server = role === "server";
const given = Object.fromEntries(rest.map((argument) => {
    const at = argument.indexOf("=");
    return [argument.slice(0, at), argument.slice(at + 1)];
}));
let left = Number(times);

function die(error) {
    console.error(error);
    process.exit(1);
}

const options = {};
if (given.cert) {
    options.cert = fs.readFileSync(given.cert);
    options.key = fs.readFileSync(given.key);
}
if (given.ca) {
    options.ca = fs.readFileSync(given.ca);
    options.requestCert = options.rejectUnauthorized = true;
}
if (given.alpn) {
    options.ALPNProtocols = [given.alpn];
}
if (given.psk) {
    const [identity, hex] = given.psk.split(":");
    const psk = Buffer.from(hex, "hex");
    options.pskCallback = server ? (stream, id) => (id === identity ? psk : null) : () => ({ psk, identity });
    options.checkServerIdentity = () => undefined;  // there is no certificate
    options.ciphers = "TLS_AES_128_GCM_SHA256:PSK+AESGCM";  // the defaults have none for TLS 1.2
}

function tell(stream) {
    let told = `version=${stream.getProtocol()} alpn=${stream.alpnProtocol || "-"} ` +
        `reused=${stream.isSessionReused() ? "yes" : "no"}`;
    if (server) {
        const subject = stream.getPeerCertificate().subject;
        told += ` peer=${subject ? subject.CN : "-"}`;
    }
    console.log(told);
}

// Calls back with the first line, once.
function onLine(stream, then) {
    let heard = "";
    stream.setTimeout(20000, () => die("it takes too long"));
    stream.on("data", (data) => {
        const before = heard.includes("\n");
        heard += data;
        if (!before && heard.includes("\n")) {
            then(heard);
        }
    });
    stream.on("error", die);
}

function connect(session) {
    const stream = tls.connect({ ...options, host: "127.0.0.1", port, servername: "localhost", session });
    let ticket;
    stream.on("session", (got) => { ticket = got; });
    stream.write(given.line + "\n");
    onLine(stream, (line) => {
        if (line !== given.line + "\n") {
            die("something else came back");
        }
        tell(stream);
        stream.end();
    });
    stream.on("close", () => {
        left -= 1;
        if (left) {
            connect(ticket);
        }
    });
}

if (server) {
    const listener = tls.createServer(options, (stream) => {
        onLine(stream, (line) => {
            tell(stream);
            stream.end(line);
        });
        stream.on("close", () => {
            left -= 1;
            if (!left) {
                listener.close();
            }
        });
    });
    listener.on("tlsClientError", die);
    listener.listen(port, "127.0.0.1", () => console.log("listening"));
} else {
    connect();
}
