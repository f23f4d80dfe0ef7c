package app

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
)

const (
	// lingerTime is how long the rest of a refused body is awaited.
	lingerTime = 2 * time.Second
	// lingerBytes is the most that is read of it.
	lingerBytes = 64 << 20
)

// lingeringListener accepts connections that can be closed without losing the last answer.
type lingeringListener struct{ net.Listener }

func (l lingeringListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lingeringConn{Conn: conn}, nil
}

// lingeringConn is a connection that reads on for a moment before it is closed, where it was asked
// to. A connection that is closed while the other side is sending is reset, and the other side never
// sees why.
type lingeringConn struct {
	net.Conn
	linger atomic.Bool
}

// Close ends the connection.
func (c *lingeringConn) Close() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if ok && c.linger.CompareAndSwap(true, false) && half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
	return c.Conn.Close()
}

// lingerOn keeps the connection of a request open until its client has read the answer, or a moment
// has passed: for requests whose body was refused before it was read.
func lingerOn(c *fiber.Ctx) {
	if conn, ok := c.Context().Conn().(*lingeringConn); ok {
		conn.linger.Store(true)
	}
}
