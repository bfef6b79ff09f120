// Node's tls as a contestant; client.hpp explains the arguments and the answer. As always with
// Node, everything is asynchronous.
'use strict';
const fs = require('fs');
const tls = require('tls');

const [question, port, sizeText, secondsText, folder] = process.argv.slice(2);
const size = Number(sizeText);
const seconds = Number(secondsText);
const batch = Math.max(64, (1 << 20) / size);
const record = 16384;
const psk = {identity: 'bench', psk: Buffer.from('0123456789abcdef0123456789abcdef')};
const ciphers = 'TLS_AES_128_GCM_SHA256:PSK';
const [name, kind] = question.split('-');

const content = (file) => fs.readFileSync(`${folder}/${file}`);
const own = (who) => ({cert: content(`${who}.pem`), key: content(`${who}.key`)});
const negotiated = (s) => `${s.getProtocol()} ${s.getCipher().standardName}`;
const now = () => Number(process.hrtime.bigint()) / 1e9;

class Stopwatch {
    constructor() {
        this.cpu = process.cpuUsage();
        this.wall = now();
    }
    over() { return now() - this.wall >= seconds; }
    report(count, negotiated) {
        const wall = now() - this.wall;
        const used = process.cpuUsage(this.cpu);
        console.log(JSON.stringify(
            {count, seconds: wall, cpu: (used.user + used.system) / 1e6, tls: negotiated}));
        process.exit(0);
    }
}

function clientOptions() {
    if (kind === 'psk')
        return {port, pskCallback: () => psk, checkServerIdentity: () => undefined, ciphers};
    const certificate = kind === 'mutual' ? own('client') : {};
    const secureContext = tls.createSecureContext({ca: content('ca.pem'), ...certificate});
    return {port, host: '127.0.0.1', servername: 'localhost', secureContext};
}

const options = name === 'accept' || name === 'serve' ? null : clientOptions();

function connected(then) {
    const s = tls.connect(options, () => then(s));
    s.on('error', fail);
}

function fail(error) {
    console.error(error);
    process.exit(1);
}

function write() {
    connected((s) => {
        s.write('w');
        const message = Buffer.alloc(size);
        let count = 0;
        const watch = new Stopwatch();
        (function more() {
            while (!watch.over()) {
                let taken = true;
                for (let i = 0; i < batch && taken; ++i) {
                    taken = s.write(message);
                    count += size;
                }
                if (!taken)
                    return s.once('drain', more);
            }
            s.setNoDelay(true);
            s.write(Buffer.from([1]));
            s.once('data', () => watch.report(count, negotiated(s)));
        })();
    });
}

function read() {
    connected((s) => {
        let watch = null;
        let count = 0;
        s.on('data', (data) => {
            if (watch === null) {
                watch = new Stopwatch();
                return;
            }
            count += data.length;
            if (watch.over())
                watch.report(count, negotiated(s));
        });
        s.write(`r ${size}`);
    });
}

function bounce() {
    connected((s) => {
        s.setNoDelay(true);
        const message = Buffer.alloc(size);
        let watch = null;
        let held = 0;
        let count = 0;
        s.on('data', (data) => {
            if (watch === null) {
                watch = new Stopwatch();
                return s.write(message);
            }
            held += data.length;
            if (held < size)
                return;
            held = 0;
            ++count;
            if (watch.over())
                watch.report(count, negotiated(s));
            s.write(message);
        });
        s.write(`b ${size}`);
    });
}

function connect() {
    let watch = null;
    let count = 0;
    (function again() {
        connected((s) => {
            s.end();
            s.resume();
            if (watch === null)
                watch = new Stopwatch();
            else if (++count && watch.over())
                watch.report(count, negotiated(s));
            again();
        });
    })();
}

function listen(then) {
    const roots = {ca: content('ca.pem'), requestCert: true, rejectUnauthorized: true};
    const serverOptions = kind === 'psk'
        ? {pskCallback: () => psk.psk, ciphers}
        : {...own('server'), ...(kind === 'mutual' ? roots : {})};
    tls.createServer(serverOptions, then).on('tlsClientError', () => {}).listen(
        {port, host: '127.0.0.1', backlog: 1000}, () => console.log('listening'));
}

function accept() {
    let watch = null;
    let count = 0;
    listen((s) => {
        s.on('error', () => {});
        const found = negotiated(s);
        s.end();
        if (watch === null)
            watch = new Stopwatch();
        else if (++count && watch.over())
            watch.report(count, found);
    });
}

function serve() {
    listen((s) => {
        s.setNoDelay(true);
        s.on('error', () => {});
        s.on('data', (data) => s.write(data));
    });
}

function memoryNow() {
    global.gc();
    return process.memoryUsage().rss;
}

function memory() {
    const things = [];
    let before = 0;
    const made = (thing) => {
        things.push(thing);
        if (things.length === 10)
            before = memoryNow();
        if (things.length < size + 10)
            return false;
        console.log(JSON.stringify({bytes: (memoryNow() - before) / size}));
        process.exit(0);
    };
    (function again() {
        if (kind === 'context')
            options.secureContext = tls.createSecureContext({ca: content('ca.pem')});
        connected((s) => {
            if (kind === 'context') {
                s.end();
                s.resume();
                return made(options.secureContext) || again();
            }
            s.setNoDelay(true);
            s.once('readable', () => {
                s.read(1);
                made(s) || again();
            });
            s.write(`h ${kind === 'idle' ? 1 : record}`);
        });
    })();
}

({write, read, bounce, connect, accept, serve, memory})[name]();
