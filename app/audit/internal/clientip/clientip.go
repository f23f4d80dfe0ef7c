package auditfiber

import (
	"net/netip"
	"strings"
)

// proxyList is a list of trusted proxies, as fiber.Config.TrustedProxies holds it: addresses and
// ranges.
type proxyList []netip.Prefix

func parseProxies(list []string) proxyList {
	var proxies proxyList
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

func (p proxyList) contain(ip string) bool {
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	for _, prefix := range p {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// canonical is the one way to write an address, or empty where text is none. Some proxies add the
// port.
func canonical(text string) string {
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return ""
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone("").String()
}
