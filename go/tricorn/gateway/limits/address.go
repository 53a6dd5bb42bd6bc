package limits

import (
	"fmt"
	"net/netip"
	"strings"
)

// Addresses says who is at the other end: the peer, or, behind a trusted proxy, the nearest address that is no trusted
// proxy.
type Addresses struct {
	trusted []netip.Prefix
}

// NewAddresses trusts the X-Forwarded-For of proxies in these networks ("10.0.0.0/8") or at these addresses.
func NewAddresses(networks []string) (*Addresses, error) {
	trusted := make([]netip.Prefix, 0, len(networks))
	for _, network := range networks {
		if prefix, err := netip.ParsePrefix(network); err == nil {
			trusted = append(trusted, prefix.Masked())
			continue
		}
		address, err := netip.ParseAddr(network)
		if err != nil {
			return nil, fmt.Errorf("trusted proxies: %q is neither an address nor a network", network)
		}
		trusted = append(trusted, netip.PrefixFrom(address, address.BitLen()))
	}
	return &Addresses{trusted}, nil
}

// Client is the address of whoever sent a request; forwarded are its X-Forwarded-For headers in the order they came.
func (a *Addresses) Client(peer string, forwarded []string) string {
	if len(forwarded) == 0 || !a.Trusts(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if _, err := netip.ParseAddr(hop); err != nil {
			return peer
		}
		peer = hop
		if !a.Trusts(hop) {
			return hop
		}
	}
	return peer
}

// Trusts reports whether an address is a trusted proxy's.
func (a *Addresses) Trusts(address string) bool {
	if len(a.trusted) == 0 {
		return false
	}
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, network := range a.trusted {
		if network.Contains(parsed) {
			return true
		}
	}
	return false
}

// Group is what of an address is limited as one: an IPv4 address, or the /64 of an IPv6 address, since one household
// owns all of it.
func Group(address string) string {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if parsed.Is4In6() {
		return parsed.Unmap().String()
	}
	if parsed.Is6() {
		prefix, err := parsed.WithZone("").Prefix(64)
		if err != nil {
			return address
		}
		return prefix.Addr().String()
	}
	return address
}
