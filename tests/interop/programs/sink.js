// Node's tls as a server that only reads; sink.go has the explanation.
"use strict";
const fs = require("fs");
const tls = require("tls");

const [port, cert, key, pause] = process.argv.slice(2);
const options = { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
let received = 0;

function done(ended) {
    console.log(`received=${received} end=${ended}`);
    process.exit();
}

const listener = tls.createServer(options, (stream) => {
    stream.setTimeout(25000, () => done(false));
    stream.on("error", (error) => {
        console.log(error);
        done(false);
    });
    stream.on("end", () => done(true));
    function take() {
        // null: fewer bytes were received, or the end
        const data = stream.read(Math.min(8192, stream.readableLength)) || stream.read();
        received += data ? data.length : 0;
        if (data) {
            setTimeout(take, Number(pause));
        } else {
            stream.once("readable", take);
        }
    }
    take();
});
listener.on("tlsClientError", (error) => {
    console.error(error);
    process.exit(1);
});
listener.listen(port, "127.0.0.1", () => console.log("listening"));
