package handlers

import (
	"net/netip"
	"sync"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// How many wrong passwords may be tried in throttleWindow: for one account from one address, and
// from one address altogether. An account is never closed to other addresses, so nobody can lock
// somebody else out.
const (
	throttleWindow     = 15 * time.Minute
	triesPerAccount    = 10
	triesPerAddress    = 100
	throttleMaxEntries = 10_000
)

// throttle counts failed sign-ins in memory. The zero value is ready to use.
type throttle struct {
	mu    sync.Mutex
	tries map[throttleKey]tries
}

type throttleKey struct {
	address string // of the client, by networkOf
	account string // the folded e-mail; empty for all of the address
}

type tries struct {
	count int
	since time.Time
}

// begin counts a try before its password is looked at, so that many at once are counted, too. It
// answers how long to wait instead, when there were too many.
func (t *throttle) begin(now time.Time, ip, email string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := throttleKeys(ip, email)
	for i, key := range keys {
		limit := [...]int{triesPerAccount, triesPerAddress}[i]
		if e, ok := t.tries[key]; ok && e.count >= limit && now.Before(e.since.Add(throttleWindow)) {
			return e.since.Add(throttleWindow).Sub(now)
		}
	}
	for _, key := range keys {
		e, ok := t.tries[key]
		if !ok || !now.Before(e.since.Add(throttleWindow)) {
			if !ok {
				t.makeRoom(now)
			}
			e = tries{since: now}
		}
		e.count++
		t.tries[key] = e
	}
	return 0
}

// succeeded takes back what begin counted: the password was right.
func (t *throttle) succeeded(ip, email string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := throttleKeys(ip, email)
	delete(t.tries, keys[0])
	if e, ok := t.tries[keys[1]]; ok {
		e.count--
		t.tries[keys[1]] = e
	}
}

// makeRoom keeps the table bounded: what is over goes first, and then any.
func (t *throttle) makeRoom(now time.Time) {
	if t.tries == nil {
		t.tries = map[throttleKey]tries{}
	}
	if len(t.tries) < throttleMaxEntries {
		return
	}
	for key, e := range t.tries {
		if !now.Before(e.since.Add(throttleWindow)) {
			delete(t.tries, key)
		}
	}
	for key := range t.tries {
		if len(t.tries) < throttleMaxEntries {
			return
		}
		delete(t.tries, key)
	}
}

func throttleKeys(ip, email string) [2]throttleKey {
	address := networkOf(ip)
	return [2]throttleKey{{address, models.Fold(email)}, {address, ""}}
}

// networkOf is the address of a client; for IPv6 its /64, which is what one client has.
func networkOf(ip string) string {
	if parsed, err := netip.ParseAddr(ip); err == nil && parsed.Unmap().Is6() {
		if network, err := parsed.Prefix(64); err == nil {
			return network.String()
		}
	}
	return ip
}
