package handlers_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const (
	deviceCookie = "audit_device"
	newPassword  = "wet llama sings"
)

// signInFrom signs in with headers, such as those of a proxy.
func signInFrom(client *apptest.Client, email, password string, headers ...string) *apptest.Page {
	body := strings.NewReader("email=" + strings.ReplaceAll(email, "@", "%40") + "&password=" + strings.ReplaceAll(password, " ", "+"))
	return client.Do("POST", "/login", body, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

func TestRightPasswordsDoNotCount(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		p.organization("acme", p.user("Ada"))
		// More at once than wrong ones are allowed for an account, from a browser nobody knows.
		var together sync.WaitGroup
		for range 25 {
			client := p.Client(t)
			together.Go(func() {
				if page := signInFrom(client, "ada@example.com", password); page.Status != 303 {
					t.Errorf("a right password is answered %d: %s", page.Status, page.Text("main"))
				}
			})
		}
		together.Wait()
		// And as many wrong ones at once are let through as one by one.
		var mutex sync.Mutex
		statuses := map[int]int{}
		for range 25 {
			client := p.Client(t)
			together.Go(func() {
				status := signInFrom(client, "ada@example.com", "wrong horse").Status
				mutex.Lock()
				statuses[status]++
				mutex.Unlock()
			})
		}
		together.Wait()
		if statuses[422] != 10 || statuses[429] != 15 {
			t.Errorf("25 wrong passwords at once are answered %v, want 10 of them looked at", statuses)
		}
	})
}

func TestAKnownBrowserSignsInWhileOthersTryTheAccount(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		p.organization("acme", ada, bob)
		owner := p.signedIn(ada)
		owner.Post("/logout").Expect(303)
		attacker, guest := p.Client(t), p.signedIn(bob)
		for range 10 {
			signInFrom(attacker, ada.Email, "wrong horse").Expect(422)
		}
		signInFrom(attacker, ada.Email, "wrong horse").Expect(429)
		signInFrom(attacker, ada.Email, password).Expect(429)
		// A browser that is known for somebody else, or claims to be known, is none of Ada's.
		guest.Post("/logout").Expect(303)
		signInFrom(guest, ada.Email, password).Expect(429)
		signInFrom(p.Client(t), ada.Email, password, "Cookie", deviceCookie+"="+strings.Repeat("a", 43)).Expect(429)

		before := owner.Cookie(deviceCookie)
		owner.SignIn(ada.Email, password)
		if after := owner.Cookie(deviceCookie); after == "" || after == before {
			t.Error("the browser is known by the same token as before")
		}
		owner.Post("/logout").Expect(303)

		// Its own wrong passwords are bounded, too, and its former token is worth nothing.
		signInFrom(p.Client(t), ada.Email, password, "Cookie", deviceCookie+"="+before).Expect(429)
		for range 10 {
			signInFrom(owner, ada.Email, "wrong horse").Expect(422)
		}
		signInFrom(owner, ada.Email, password).Expect(429)
		p.Clock.Advance(15 * time.Minute)
		owner.SignIn(ada.Email, password)

		var stored []accounts.KnownDevice
		if err := p.Store.Reader(t.Context()).Where("user_id = ?", ada.ID).Find(&stored).Error; err != nil {
			t.Fatal(err)
		}
		if len(stored) != 1 || strings.Contains(string(stored[0].TokenHash), owner.Cookie(deviceCookie)) {
			t.Errorf("stored: %v", stored)
		}
	})
}

func TestABrowserIsNoLongerKnownAfterAReset(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme := p.organization("acme", ada)
		p.join(acme, bob, accounts.RoleMember)
		thief := p.signedIn(bob)
		link := shownLink(t, p, p.signedIn(ada).Post("/orgs/acme"+members+"/"+bob.ID+"/reset-link").Expect(200))
		p.Client(t).Post(link, "password", newPassword).Expect(303)
		for range 10 {
			signInFrom(p.Client(t), bob.Email, "wrong horse").Expect(422)
		}
		signInFrom(thief, bob.Email, "wrong horse").Expect(429)
	})
}

func TestFewBrowsersOfAnAccountAreKnown(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		for range 25 {
			p.Clock.Advance(time.Second)
			p.signedIn(ada)
		}
		var known int64
		if err := p.Store.Reader(t.Context()).Model(&accounts.KnownDevice{}).Count(&known).Error; err != nil || known != 20 {
			t.Errorf("%d browsers are known: %v", known, err)
		}
		p.Clock.Advance(accounts.KnownDeviceLifetime)
		p.signedIn(ada)
		if err := p.Store.Reader(t.Context()).Model(&accounts.KnownDevice{}).Count(&known).Error; err != nil || known != 1 {
			t.Errorf("%d browsers are known after their time: %v", known, err)
		}
	})
}

// Without --trusted-proxies everybody behind a proxy has its address.
func TestNobodyIsShutOutWithAllBehindAProxyThatIsNotTrusted(t *testing.T) {
	wrong := func(t *testing.T, p *town, headers ...string) (last *apptest.Page) {
		for wave := range 11 {
			var together sync.WaitGroup
			for i := range 10 {
				client := p.Client(t)
				together.Go(func() { signInFrom(client, fmt.Sprintf("user%d-%d@example.com", wave, i), "wrong horse", headers...) })
			}
			together.Wait()
		}
		return signInFrom(p.Client(t), "somebody@example.com", "wrong horse", headers...)
	}
	proxied := []string{"X-Forwarded-For", "198.51.100.7"}
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		wrong(t, p, proxied...).Expect(422)
		signInFrom(p.Client(t), ada.Email, password, proxied...).Expect(303)
		for range 10 { // the account itself is bounded all the same
			signInFrom(p.Client(t), ada.Email, "wrong horse", proxied...).Expect(422)
		}
		signInFrom(p.Client(t), ada.Email, password, proxied...).Expect(429)
	})
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		wrong(t, p, proxied...).Expect(429)
		signInFrom(p.Client(t), ada.Email, password, proxied...).Expect(429)
		signInFrom(p.Client(t), ada.Email, password, "X-Forwarded-For", "198.51.100.8").Expect(303)
	}, func(c *app.Config) { c.TrustedProxies = []string{"127.0.0.1"} })
}
