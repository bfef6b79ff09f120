// Go's crypto/tls as a contestant; client.hpp says what the arguments and the answer mean.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const record = 16384

var (
	address string
	size    int
	seconds float64
	folder  string
)

func need(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cpu() float64 {
	var used syscall.Rusage
	need(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

type stopwatch struct {
	wall time.Time
	cpu  float64
}

func start() stopwatch { return stopwatch{time.Now(), cpu()} }

func (s stopwatch) over() bool { return time.Since(s.wall).Seconds() >= seconds }

func (s stopwatch) report(count int, tls string) {
	text, err := json.Marshal(map[string]any{
		"count": count, "seconds": time.Since(s.wall).Seconds(), "cpu": cpu() - s.cpu, "tls": tls})
	need(err)
	fmt.Println(string(text))
}

func negotiated(c *tls.Conn) string {
	state := c.ConnectionState()
	version := "TLSv1.2"
	if state.Version == tls.VersionTLS13 {
		version = "TLSv1.3"
	}
	return version + " " + tls.CipherSuiteName(state.CipherSuite)
}

func roots() *x509.CertPool {
	pem, err := os.ReadFile(folder + "/ca.pem")
	need(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

func own(who string) []tls.Certificate {
	pair, err := tls.LoadX509KeyPair(folder+"/"+who+".pem", folder+"/"+who+".key")
	need(err)
	return []tls.Certificate{pair}
}

func client(kind string) *tls.Config {
	config := &tls.Config{RootCAs: roots(), ServerName: "localhost"}
	if kind == "mutual" {
		config.Certificates = own("client")
	}
	return config
}

func server(kind string) *tls.Config {
	config := &tls.Config{Certificates: own("server"), SessionTicketsDisabled: true}
	if kind == "mutual" {
		config.ClientCAs = roots()
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config
}

// Go sends at once unless told otherwise; nobody else does.
func connected(config *tls.Config, atOnce bool) *tls.Conn {
	c, err := net.Dial("tcp", address)
	need(err)
	need(c.(*net.TCPConn).SetNoDelay(atOnce))
	t := tls.Client(c, config)
	need(t.Handshake())
	return t
}

func send(c *tls.Conn, message []byte) {
	_, err := c.Write(message)
	need(err)
}

func receive(c *tls.Conn, into []byte) int {
	n, err := c.Read(into)
	need(err)
	return n
}

func batch() int {
	if n := (1 << 20) / size; n > 64 {
		return n
	}
	return 64
}

func write() {
	c := connected(client(""), false)
	send(c, []byte("w"))
	message := make([]byte, size)
	count := 0
	watch := start()
	for !watch.over() {
		for i := 0; i < batch(); i++ {
			send(c, message)
		}
		count += batch() * size
	}
	need(c.NetConn().(*net.TCPConn).SetNoDelay(true))
	send(c, []byte{1})
	receive(c, message)
	watch.report(count, negotiated(c))
}

func read() {
	c := connected(client(""), false)
	send(c, []byte(fmt.Sprintf("r %d", size)))
	message := make([]byte, size)
	receive(c, message)
	count := 0
	watch := start()
	for !watch.over() {
		for i := 0; i < batch(); i++ {
			count += receive(c, message)
		}
	}
	watch.report(count, negotiated(c))
}

func bounce() {
	c := connected(client(""), true)
	send(c, []byte(fmt.Sprintf("b %d", size)))
	message := make([]byte, size)
	receive(c, message[:1])
	count := 0
	watch := start()
	for !watch.over() {
		send(c, message)
		_, err := io.ReadFull(c, message)
		need(err)
		count++
	}
	watch.report(count, negotiated(c))
}

func many(once func() *tls.Conn) {
	warm := once()
	tls := negotiated(warm)
	warm.Close()
	count := 0
	watch := start()
	for !watch.over() {
		once().Close()
		count++
	}
	watch.report(count, tls)
}

func connect(kind string) {
	config := client(kind)
	many(func() *tls.Conn { return connected(config, false) })
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", address)
	need(err)
	fmt.Println("listening")
	return listener
}

func accept(kind string) {
	config := server(kind)
	listener := listen()
	many(func() *tls.Conn {
		c, err := listener.Accept()
		need(err)
		t := tls.Server(c, config)
		need(t.Handshake())
		return t
	})
}

func serve() {
	config := server("")
	listener := listen()
	for {
		c, err := listener.Accept()
		need(err)
		go func() {
			t := tls.Server(c, config)
			defer t.Close()
			buffer := make([]byte, 64)
			for {
				n, err := t.Read(buffer)
				if err != nil {
					return
				}
				if _, err := t.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func resident() int {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	need(err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	need(err)
	return pages * os.Getpagesize()
}

func grow(make func() any) {
	things := []any{}
	for i := 0; i < 10; i++ {
		things = append(things, make())
	}
	before := resident()
	for i := 0; i < size; i++ {
		things = append(things, make())
	}
	fmt.Printf("{\"bytes\": %d}\n", (resident()-before)/size)
	runtime.KeepAlive(things)
}

func memory(kind string) {
	if kind == "context" {
		grow(func() any {
			config := client("")
			connected(config, false).Close()
			return config
		})
		return
	}
	message := 1
	if kind == "active" {
		message = record
	}
	config := client("")
	grow(func() any {
		c := connected(config, true)
		send(c, []byte(fmt.Sprintf("h %d", message)))
		receive(c, make([]byte, 1))
		return c
	})
}

func main() {
	if len(os.Args) != 6 {
		os.Exit(2)
	}
	name, kind, _ := strings.Cut(os.Args[1], "-")
	address = "127.0.0.1:" + os.Args[2]
	var err error
	size, err = strconv.Atoi(os.Args[3])
	need(err)
	seconds, err = strconv.ParseFloat(os.Args[4], 64)
	need(err)
	folder = os.Args[5]
	switch name {
	case "write":
		write()
	case "read":
		read()
	case "bounce":
		bounce()
	case "connect":
		connect(kind)
	case "accept":
		accept(kind)
	case "serve":
		serve()
	case "memory":
		memory(kind)
	default:
		os.Exit(2)
	}
}
