package intake

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Bounds of the connections that are open at once. One costs about 45 kB where the head of a request is
// coming in.
const (
	MaxConnections        = 1024
	MaxConnectionsAddress = 256 // from one address; for IPv6 from one /64, which is what one client has
)

// Listener accepts connections, as many as the bounds allow. One too many takes the place of the one that
// has been waited for the longest, all in all or from the same address: whoever opens connections and
// sends nothing keeps nobody out. Where all of them are being answered, the new one is closed.
type Listener struct {
	net.Listener
	trusted Proxies
	first   time.Duration // how long a new connection may take for its first byte

	mu   sync.Mutex
	open map[*Conn]struct{}
	by   map[netip.Prefix]int
}

// Listen accepts the connections of inner. Those of trusted proxies, each of which is many clients, are
// bounded by their number in all only. A new connection must send something within first.
func Listen(inner net.Listener, trusted Proxies, first time.Duration) *Listener {
	return &Listener{Listener: inner, trusted: trusted, first: first, open: map[*Conn]struct{}{}, by: map[netip.Prefix]int{}}
}

// retryAfter is how long nothing is accepted when the system has no room for more.
const retryAfter = 50 * time.Millisecond

// Accept waits for a connection.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM) {
			time.Sleep(retryAfter) // the server goes on when others have ended
			continue
		}
		if err != nil {
			return nil, err
		}
		conn := &Conn{Conn: inner, listener: l, network: l.networkOf(inner)}
		conn.heard.Store(time.Now().UnixNano())
		if !l.admit(conn) || inner.SetReadDeadline(time.Now().Add(l.first)) != nil {
			_ = conn.end()
			continue
		}
		return conn, nil
	}
}

// admit makes room for conn and reports whether there was any.
func (l *Listener) admit(conn *Conn) bool {
	l.mu.Lock()
	var leaves *Conn
	full := false
	switch {
	case conn.network.IsValid() && l.by[conn.network] >= MaxConnectionsAddress:
		full, leaves = true, l.longestAwaited(conn.network)
	case len(l.open) >= MaxConnections:
		full, leaves = true, l.longestAwaited(netip.Prefix{})
	}
	admitted := !full || leaves != nil
	if admitted {
		if leaves != nil {
			l.remove(leaves)
		}
		l.open[conn] = struct{}{}
		l.by[conn.network]++
		conn.waiting, conn.since = true, conn.heard.Load()
	}
	l.mu.Unlock()
	if leaves != nil {
		_ = leaves.end()
	}
	return admitted
}

// longestAwaited is the connection that is waited for the longest: from network, or of all.
func (l *Listener) longestAwaited(network netip.Prefix) (longest *Conn) {
	for conn := range l.open {
		if conn.waiting && (!network.IsValid() || conn.network == network) && (longest == nil || conn.since < longest.since) {
			longest = conn
		}
	}
	return longest
}

func (l *Listener) await(conn *Conn, since int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	conn.waiting, conn.since = true, since
}

func (l *Listener) leave(conn *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	conn.waiting = false
}

func (l *Listener) forget(conn *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(conn)
}

func (l *Listener) remove(conn *Conn) {
	if _, open := l.open[conn]; !open {
		return
	}
	delete(l.open, conn)
	if l.by[conn.network]--; l.by[conn.network] == 0 {
		delete(l.by, conn.network)
	}
}

// networkOf is what the bound of a connection is by; zero for none.
func (l *Listener) networkOf(conn net.Conn) netip.Prefix {
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || l.trusted.Trusts(peer.Addr()) {
		return netip.Prefix{}
	}
	address := peer.Addr().Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	network, _ := address.Prefix(bits) // of an address of so many bits
	return network
}

// Proxies are those of the operator's: one of them is many clients.
type Proxies []netip.Prefix

// ParseProxies reads addresses and ranges. What is neither is left out.
func ParseProxies(list []string) (proxies Proxies) {
	for _, text := range list {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			proxies = append(proxies, prefix.Masked())
		} else if address, err := netip.ParseAddr(text); err == nil {
			address = address.Unmap()
			proxies = append(proxies, netip.PrefixFrom(address, address.BitLen()))
		}
	}
	return proxies
}

// Trusts reports whether address is one of the proxies.
func (p Proxies) Trusts(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}
