package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// listen accepts connections until the test ends.
func listen(t *testing.T, trusted ...string) *Listener {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	return Listen(inner, ParseProxies(trusted), time.Minute)
}

// connect returns both ends of a new connection.
func connect(t *testing.T, l *Listener) (client net.Conn, accepted *Conn) {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client, conn.(*Conn)
}

// Whoever is still sending when the server hangs up gets to read why.
func TestADrainedConnectionLosesNoAnswer(t *testing.T) {
	listener := listen(t)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("too much"))
		conn.(*Conn).DrainOnClose()
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

// Connections that send nothing make room for others; those being answered are left alone.
func TestTheConnectionAwaitedForTheLongestMakesRoom(t *testing.T) {
	listener := listen(t)
	busy, accepted := connect(t, listener)
	accepted.Answer()
	idle, given := connect(t, listener)
	for len(listener.open) < MaxConnectionsAddress {
		connect(t, listener)
	}
	connect(t, listener)
	if got := len(listener.open); got != MaxConnectionsAddress {
		t.Errorf("%d connections are open", got)
	}
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the one that is awaited for the longest: %v", err)
	}
	if err := errors.Join(given.SetReadDeadline(time.Now()), given.SetWriteDeadline(time.Now()), given.SetDeadline(time.Now())); err != nil {
		t.Errorf("its server, which does not know yet and panics: %v", err)
	}
	if _, err := accepted.Write([]byte("a")); err != nil {
		t.Errorf("the one being answered: %v", err)
	}
	if _, err := io.ReadFull(busy, make([]byte, 1)); err != nil {
		t.Errorf("the one being answered: %v", err)
	}
}

// A system without room for another connection has some later on; the server does not end for it.
func TestAcceptingGoesOnWhenTheSystemHasRoomAgain(t *testing.T) {
	inner := &crowded{errs: []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, net.ErrClosed}}
	if _, err := Listen(inner, nil, time.Minute).Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it ends with %v", err)
	}
}

// crowded accepts nothing, for one reason after the other.
type crowded struct {
	net.Listener
	errs []error
}

func (c *crowded) Accept() (net.Conn, error) {
	err := c.errs[0]
	c.errs = c.errs[1:]
	return nil, &net.OpError{Op: "accept", Err: err}
}

// Where all are being answered, one more is closed. It leaves room when it ends.
func TestNoConnectionBeingAnsweredMakesRoom(t *testing.T) {
	listener := listen(t)
	var accepted []*Conn
	for len(accepted) < MaxConnectionsAddress {
		_, conn := connect(t, listener)
		conn.Answer()
		accepted = append(accepted, conn)
	}
	next := make(chan net.Conn)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			t.Error(err)
		}
		next <- conn
	}()
	refused, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	if _, err := refused.Read(make([]byte, 1)); err == nil {
		t.Error("one more is answered")
	}
	if err := accepted[0].Close(); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if conn := <-next; conn != nil {
		defer conn.Close()
	}
}

// Who has released a connection is told of its end once, also where that came first.
func TestWhoReleasedAConnectionIsToldOfItsEnd(t *testing.T) {
	listener := listen(t)
	told := 0
	for _, released := range []bool{true, false} {
		_, conn := connect(t, listener)
		if released {
			conn.Release(func() { told++ })
			if len(listener.open) != 0 {
				t.Error("it still counts")
			}
		}
		_ = conn.Close()
		_ = conn.Close()
		if !released {
			conn.Release(func() { told++ })
		}
	}
	if told != 2 {
		t.Errorf("it was told %d times of two connections", told)
	}
}

func TestTrustedProxiesAreBoundedByNumberOnly(t *testing.T) {
	listener := listen(t, "127.0.0.0/8")
	first, _ := connect(t, listener)
	for range MaxConnectionsAddress {
		connect(t, listener)
	}
	if got := len(listener.open); got != MaxConnectionsAddress+1 {
		t.Errorf("%d connections are open", got)
	}
	for len(listener.open) < MaxConnections {
		connect(t, listener)
	}
	connect(t, listener)
	if got := len(listener.open); got != MaxConnections {
		t.Errorf("%d connections are open", got)
	}
	if _, err := first.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the one that is awaited for the longest: %v", err)
	}
}

func TestConnectionsAreCountedByNetwork(t *testing.T) {
	listener := Listen(nil, ParseProxies([]string{"10.0.0.0/8", "2001:db8::7", "no address"}), 0)
	for peer, want := range map[string]string{
		"192.0.2.7:1":          "192.0.2.7/32",
		"[::ffff:192.0.2.7]:1": "192.0.2.7/32",
		"[2001:db8::8]:1":      "2001:db8::/64",
		"[fe80::1%eth0]:1":     "fe80::/64",
		"10.1.2.3:1":           "invalid Prefix",
		"[::ffff:10.1.2.3]:1":  "invalid Prefix",
		"[2001:db8::7]:1":      "invalid Prefix",
	} {
		if got := fmt.Sprint(listener.networkOf(from(peer))); got != want {
			t.Errorf("%s counts for %s, want %s", peer, got, want)
		}
	}
}

// from is a connection from an address.
func from(peer string) net.Conn { return peerConn{peer: peer} }

type peerConn struct {
	net.Conn
	peer string
}

func (c peerConn) RemoteAddr() net.Addr { return peerAddr(c.peer) }

type peerAddr string

func (peerAddr) Network() string  { return "tcp" }
func (a peerAddr) String() string { return string(a) }
