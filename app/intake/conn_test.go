package app

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// Whoever is still sending when the server hangs up gets to read why.
func TestALingeringConnectionLosesNoAnswer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := lingeringListener{listener}.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("too much"))
		conn.(*lingeringConn).linger.Store(true)
		_ = conn.Close()
	}()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write(bytes.Repeat([]byte("a"), 16<<20)); err != nil {
		t.Errorf("sending: %v", err)
	}
	if answer, err := io.ReadAll(client); err != nil || string(answer) != "too much" {
		t.Errorf("read %q: %v", answer, err)
	}
}
