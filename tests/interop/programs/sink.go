// Go's crypto/tls as a server that only reads: PORT CERT KEY PAUSE (milliseconds after each read of at most 8 KB).
// Prints how many bytes one connection has brought, and whether close_notify was their end.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	pair, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	check(err)
	pause, err := strconv.Atoi(os.Args[4])
	check(err)
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	listener, err := tls.Listen("tcp", "127.0.0.1:"+os.Args[1], config)
	check(err)
	fmt.Println("listening")
	stream, err := listener.Accept()
	check(err)
	check(stream.SetDeadline(time.Now().Add(25 * time.Second)))
	buffer := make([]byte, 8192)
	received := 0
	// Go sends its tickets before the client's Finished, and the client may have them: something else to leave unread.
	_, err = stream.Write([]byte("unread"))
	for err == nil {
		var count int
		count, err = stream.Read(buffer)
		received += count
		time.Sleep(time.Duration(pause) * time.Millisecond)
	}
	if err != io.EOF { // Go has another error for an end without close_notify
		fmt.Println(err)
	}
	fmt.Printf("received=%d end=%t\n", received, err == io.EOF)
	stream.Close()
}
