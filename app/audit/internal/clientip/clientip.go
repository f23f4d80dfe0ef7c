// Package clientip finds the address a request came from, behind proxies. It is what the middleware
// for net/http and for Fiber have in common.
package clientip

import (
	"net/netip"
	"strings"
)

// Proxies are those that are ours: the only ones whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// ParseProxies reads addresses and ranges. What is neither is left out: nobody is trusted by mistake.
func ParseProxies(list []string) Proxies {
	var proxies Proxies
	for _, text := range list {
		if strings.Contains(text, "/") {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				proxies = append(proxies, prefix.Masked())
			}
		} else if address, err := netip.ParseAddr(text); err == nil {
			address = address.Unmap()
			proxies = append(proxies, netip.PrefixFrom(address, address.BitLen()))
		}
	}
	return proxies
}

// Trusts reports whether peer, an address with or without a port, is one of the proxies.
func (p Proxies) Trusts(peer string) bool { return p.contain(parse(peer)) }

// Of is the client's address: peer, which the connection comes from, or behind proxies the last one
// in the X-Forwarded-For headers that is no proxy of ours. What stands further left was sent by the
// client and proves nothing. It is empty where peer is no address, as on a Unix socket.
func (p Proxies) Of(peer string, forwardedFor []string) string {
	client := parse(peer)
	if !p.contain(client) {
		return text(client)
	}
	// Some proxies append a header instead of a value.
	hops := strings.Split(strings.Join(forwardedFor, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := parse(strings.TrimSpace(hops[i]))
		if !hop.IsValid() {
			break // nothing left of it can be trusted
		}
		client = hop
		if !p.contain(hop) {
			break
		}
	}
	return text(client)
}

func (p Proxies) contain(address netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// parse reads an address; the zero Addr means that text is none. Some proxies add the port.
func parse(text string) netip.Addr {
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone("")
}

// text is the one way to write an address.
func text(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	return address.String()
}
