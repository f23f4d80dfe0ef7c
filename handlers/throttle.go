package handlers

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/models"
)

// How many wrong passwords may be tried in throttleWindow: for one account from one address, with one
// browser that is known for the account, and from one address altogether. An account is never closed
// to other addresses, so nobody can lock somebody else out, and whoever tries it from the same address
// does not keep out the browsers its owner has signed in with.
const (
	throttleWindow     = 15 * time.Minute
	triesPerAccount    = 10
	triesPerDevice     = 10
	triesPerAddress    = 100
	triesPerCrowd      = 1000 // where the address seems to be that of a proxy, and many clients'
	throttleMaxEntries = 10_000
	throttlePatience   = 5 * time.Second
)

// throttle counts wrong passwords in memory. Right ones do not count, however many come at once. The
// zero value is ready to use.
type throttle struct {
	mu    sync.Mutex
	tries map[throttleKey]*tries
}

// throttleKey is what wrong passwords are counted of.
type throttleKey struct {
	address string // of the client, by networkOf; empty: from anywhere
	account string // the folded e-mail; empty: of any
	device  string // that is known for the account; empty: of any
}

// bound is how many wrong passwords are allowed of a key.
type bound struct {
	key   throttleKey
	limit int
}

type tries struct {
	wrong   int
	since   time.Time // of the first wrong one
	pending int       // passwords being looked at
	settled chan struct{}
}

// atSignIn bounds sign-ins to an account. What counts is the browser alone where it is known for the
// account. crowd reports whether many clients seem to stand behind the address: it is allowed more, and not any
// number, since any client can make it seem so.
func atSignIn(ip, email, device string, crowd bool) []bound {
	address, account := networkOf(ip), models.Fold(email)
	switch {
	case device != "":
		return []bound{{throttleKey{account: account, device: device}, triesPerDevice}}
	case crowd:
		return []bound{
			{throttleKey{address: address, account: account}, triesPerAccount},
			{throttleKey{address: address}, triesPerCrowd},
		}
	default:
		return []bound{
			{throttleKey{address: address, account: account}, triesPerAccount},
			{throttleKey{address: address}, triesPerAddress},
		}
	}
}

// atPasswordChange bounds how often somebody who is signed in is asked for their password.
func atPasswordChange(userID string) []bound {
	return []bound{{throttleKey{account: userID}, triesPerAccount}}
}

// attempt is a password being looked at.
type attempt struct {
	throttle *throttle
	bounds   []bound
	now      time.Time
}

// begin is called before a password is looked at, and end of what it returns after. It returns how long
// to wait instead where there were too many wrong ones. Where there would be too many if those being
// looked at now were wrong, it waits for them for a while. Errors: models.ErrBusy after that, or that
// of ctx.
func (t *throttle) begin(ctx context.Context, now time.Time, bounds []bound) (*attempt, time.Duration, error) {
	patience := time.NewTimer(throttlePatience)
	defer patience.Stop()
	for {
		wait, settled := t.take(now, bounds)
		switch {
		case wait > 0:
			return nil, wait, nil
		case settled == nil:
			return &attempt{t, bounds, now}, 0, nil
		}
		select {
		case <-settled:
		case <-patience.C:
			return nil, 0, passwords.ErrBusy
		case <-ctx.Done():
			return nil, 0, fmt.Errorf("wait to try a password: %w", ctx.Err())
		}
	}
}

// take takes a place of each bound. Where one has none left it takes nothing and returns how long to
// wait, or what will tell that another place may be free.
func (t *throttle) take(now time.Time, bounds []bound) (wait time.Duration, settled <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range bounds {
		e := t.tries[b.key]
		if e == nil {
			continue
		}
		if e.over(now) {
			e.wrong = 0
		}
		if e.wrong >= b.limit {
			return e.since.Add(throttleWindow).Sub(now), nil
		}
		if e.wrong+e.pending >= b.limit {
			return 0, e.settled
		}
	}
	for _, b := range bounds {
		e := t.tries[b.key]
		if e == nil {
			t.makeRoom(now)
			e = &tries{settled: make(chan struct{})}
			t.tries[b.key] = e
		}
		e.pending++
	}
	return 0, nil
}

// outcome is how a password was.
type outcome int

const (
	unknown outcome = iota // something else went wrong: it does not count
	wrong
	right // forgives the wrong ones before, but for the address altogether
)

// end notes how the password was.
func (a *attempt) end(as outcome) {
	t := a.throttle
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range a.bounds {
		e := t.tries[b.key]
		e.pending--
		switch {
		case as == wrong:
			if e.wrong == 0 {
				e.since = a.now
			}
			e.wrong++
		case as == right && b.key.account != "":
			e.wrong = 0
		}
		close(e.settled)
		e.settled = make(chan struct{})
		if e.wrong == 0 && e.pending == 0 {
			delete(t.tries, b.key)
		}
	}
}

func (e *tries) over(now time.Time) bool { return !now.Before(e.since.Add(throttleWindow)) }

// makeRoom keeps the table bounded: what is over goes first, and then what was tried least, so that
// nobody gets rid of a count by trying other accounts. What is being looked at stays.
func (t *throttle) makeRoom(now time.Time) {
	if t.tries == nil {
		t.tries = map[throttleKey]*tries{}
	}
	if len(t.tries) < throttleMaxEntries {
		return
	}
	type candidate struct {
		key throttleKey
		*tries
	}
	var left []candidate
	for key, e := range t.tries {
		switch {
		case e.pending > 0:
		case e.over(now):
			delete(t.tries, key)
		default:
			left = append(left, candidate{key, e})
		}
	}
	slices.SortFunc(left, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.wrong, b.wrong), a.since.Compare(b.since))
	})
	for _, c := range left {
		if len(t.tries) < throttleMaxEntries*9/10 {
			return
		}
		delete(t.tries, c.key)
	}
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
