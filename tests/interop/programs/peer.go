// Go's crypto/tls as a peer of the interop matrix; peers.py has the arguments, and what it prints.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func roots(path string) *x509.CertPool {
	pem, err := os.ReadFile(path)
	check(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

func tell(state tls.ConnectionState, server bool) {
	version := map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[state.Version]
	alpn, reused, peer := "-", "no", ""
	if state.NegotiatedProtocol != "" {
		alpn = state.NegotiatedProtocol
	}
	if state.DidResume {
		reused = "yes"
	}
	if server {
		peer = " peer=-"
		if len(state.PeerCertificates) > 0 {
			peer = " peer=" + state.PeerCertificates[0].Subject.CommonName
		}
	}
	fmt.Printf("version=%s alpn=%s reused=%s%s\n", version, alpn, reused, peer)
}

func main() {
	server := os.Args[1] == "server"
	address := "127.0.0.1:" + os.Args[2]
	times, err := strconv.Atoi(os.Args[3])
	check(err)
	given := map[string]string{}
	for _, argument := range os.Args[4:] {
		name, value, _ := strings.Cut(argument, "=")
		given[name] = value
	}

	config := &tls.Config{ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	if given["cert"] != "" {
		pair, err := tls.LoadX509KeyPair(given["cert"], given["key"])
		check(err)
		config.Certificates = []tls.Certificate{pair}
	}
	if given["ca"] != "" {
		config.RootCAs, config.ClientCAs = roots(given["ca"]), roots(given["ca"])
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if given["alpn"] != "" {
		config.NextProtos = []string{given["alpn"]}
	}

	var listener net.Listener
	if server {
		listener, err = net.Listen("tcp", address)
		check(err)
		fmt.Println("listening")
	}
	for ; times > 0; times-- {
		var sock net.Conn
		if server {
			sock, err = listener.Accept()
		} else {
			sock, err = net.Dial("tcp", address)
		}
		check(err)
		check(sock.SetDeadline(time.Now().Add(20 * time.Second)))
		stream := tls.Client(sock, config)
		if server {
			stream = tls.Server(sock, config)
		} else {
			_, err = stream.Write([]byte(given["line"] + "\n"))
			check(err)
		}
		line, err := bufio.NewReader(stream).ReadString('\n')
		check(err)
		if server {
			_, err = stream.Write([]byte(line))
			check(err)
		} else if line != given["line"]+"\n" {
			check(fmt.Errorf("something else came back"))
		}
		tell(stream.ConnectionState(), server)
		stream.Close()
	}
}
