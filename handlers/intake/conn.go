package intake

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	// Prefetched is how much of a body has come in before its handler runs, where its length is known. It is
	// bounded with the connections and needs no room of its own.
	Prefetched = 8 << 10
	// drainTime is how long the rest of a refused body is awaited.
	drainTime = 2 * time.Second
	// drainBytes is the most that is read of it.
	drainBytes = 64 << 20
)

// Conn is a connection that a Listener accepted. The server waits for its client, which sends a request or the
// body of one or reads an answer, or it works on the answer: what is waited for may be given up in favour of
// others.
type Conn struct {
	net.Conn
	listener *Listener
	network  netip.Prefix // that its bound is by; zero for none
	drain    atomic.Bool
	closed   atomic.Pointer[func()] // who is to be told of that
	left     atomic.Bool            // it has been closed

	ended atomic.Bool
	heard atomic.Int64 // when something came last, in nanoseconds since 1970

	waiting bool // guarded by the listener's mutex, like since
	since   int64
}

// Await notes that the server waits for the client to send, and has since something came last: a client with many
// requests in one go is not new after each.
func (c *Conn) Await() { c.listener.await(c, c.heard.Load()) }

// Send notes that the server waits for the client to read, from now on.
func (c *Conn) Send() { c.listener.await(c, time.Now().UnixNano()) }

// Answer notes that the server works on an answer: the connection is left alone.
func (c *Conn) Answer() { c.listener.leave(c) }

// Release takes the connection out of the bounds: who answers on it has bounds of its own, and is told when it has been
// closed, by whomever.
func (c *Conn) Release(closed func()) {
	c.listener.forget(c)
	if c.closed.Store(&closed); c.left.Load() {
		c.tell()
	}
}

// tell tells who has released the connection that it has been closed, once.
func (c *Conn) tell() {
	if closed := c.closed.Swap(nil); closed != nil {
		(*closed)()
	}
}

// Read reads what comes from the other side.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	if err == io.EOF {
		c.ended.Store(true)
	}
	return n, err
}

// Ended reports whether the server has come to the end of what the other side sends. Where it needed more, a
// body in chunks is not whole: fasthttp takes the end of the connection between two of them for its own.
func (c *Conn) Ended() bool { return c.ended.Load() }

// DrainOnClose keeps the connection open, when it is to be closed, until its client has read the answer or a
// moment has passed: for requests whose body was refused before it was read. A connection that is closed
// while the other side is sending is reset, and the other side never sees why.
func (c *Conn) DrainOnClose() { c.drain.Store(true) }

// Close ends the connection.
func (c *Conn) Close() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if ok && c.drain.CompareAndSwap(true, false) && half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(drainTime)) == nil {
		c.Await()
		_, _ = io.CopyN(io.Discard, c.Conn, drainBytes)
	}
	return c.end()
}

// SetReadDeadline, SetWriteDeadline and SetDeadline succeed on a connection that has been closed in favour of
// others: fasthttp panics where they fail, and finds out when it reads or writes.

// SetReadDeadline sets when reading is given up.
func (c *Conn) SetReadDeadline(at time.Time) error { return unlessClosed(c.Conn.SetReadDeadline(at)) }

// SetWriteDeadline sets when writing is given up.
func (c *Conn) SetWriteDeadline(at time.Time) error { return unlessClosed(c.Conn.SetWriteDeadline(at)) }

// SetDeadline sets both.
func (c *Conn) SetDeadline(at time.Time) error { return unlessClosed(c.Conn.SetDeadline(at)) }

func unlessClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// end closes the connection at once, also while its server reads from it.
func (c *Conn) end() error {
	if c.left.CompareAndSwap(false, true) {
		c.listener.forget(c)
	}
	err := c.Conn.Close()
	c.tell()
	return err
}
