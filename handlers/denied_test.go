package handlers_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestWhatAMemberIsRefusedIsRecorded(t *testing.T) { testRefusals(t, accounts.RoleMember) }

func TestWhatAnAuditorIsRefusedIsRecorded(t *testing.T) { testRefusals(t, accounts.RoleAuditor) }

func testRefusals(t *testing.T, role accounts.Role) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme := p.organization("acme", ada)
		p.join(acme, bob, role)
		member := p.signedIn(bob)

		// Whatever it is: every form of the organization that answers 403.
		parameter := regexp.MustCompile(`:[a-z]+`)
		var refused []string
		for _, route := range p.App.Routes() {
			rest, ok := strings.CutPrefix(route.Path, "/orgs/:slug")
			if !ok || route.Method != http.MethodPost {
				continue
			}
			path := "/orgs/acme" + parameter.ReplaceAllString(rest, ada.ID)
			p.Clock.Advance(time.Hour) // each counts
			if member.Post(path, "confirm", "yes").Status == 403 {
				refused = append(refused, path)
			}
		}
		entries := p.entries(acme, "access:denied")
		if len(entries) != len(refused) || len(refused) < 12 {
			t.Fatalf("%d refusals were recorded of %d", len(entries), len(refused))
		}
		for i, e := range entries {
			m := metadataOf(t, e)
			if e.EntityID != refused[i] || e.EntityType != "access" || e.ActorID != bob.ID || e.ActorName != "Bob" || e.IP != "127.0.0.1" ||
				m["method"] != "POST" || m["role"] != string(role) || m["count_this_hour"] != 1.0 {
				t.Errorf("the refusal of %s is recorded as %+v with %v", refused[i], e, m)
			}
		}

		// What is refused for another reason is none of it.
		before := len(entries)
		member.Do("POST", "/orgs/acme/settings/delete", nil, "Sec-Fetch-Site", "cross-site").Expect(403)
		member.Get("/orgs/nowhere/settings/members").Expect(404)
		member.Get("/orgs/acme/settings/organization").Expect(200)
		for _, reader := range []*apptest.Client{member, p.signedIn(ada)} { // the link of another site
			reader.Get("/orgs/acme"+auditLogs+"/export?format=csv", "Sec-Fetch-Site", "cross-site").Expect(403)
		}
		if after := len(p.entries(acme, "access:denied")); after != before {
			t.Errorf("%d more were recorded", after-before)
		}
	})
}

func TestRefusalsOfOnePersonAreBounded(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, eve := p.user("Ada"), p.user("Bob"), p.user("Eve")
		acme, zoo := p.organization("acme", ada), p.organization("zoo", ada)
		p.join(acme, bob, accounts.RoleMember)
		p.join(acme, eve, accounts.RoleMember)
		p.join(zoo, bob, accounts.RoleMember)
		member := p.signedIn(bob)
		for range 120 {
			member.Post("/orgs/acme/settings/delete", "confirm", "acme").Expect(403)
		}
		counts := func() (counts []string) {
			for _, e := range p.entries(acme, "access:denied") {
				counts = append(counts, fmt.Sprint(metadataOf(t, e)["count_this_hour"]))
			}
			return counts
		}
		if got := strings.Join(counts(), " "); got != "1 2 3 4 5 6 7 8 9 10 100" {
			t.Errorf("of 120 in an hour those were recorded: %s", got)
		}
		// Others, other organizations and the next hour are counted by themselves.
		p.signedIn(eve).Post("/orgs/acme/settings/delete").Expect(403)
		member.Post("/orgs/zoo/settings/delete").Expect(403)
		p.Clock.Advance(time.Hour)
		member.Post("/orgs/acme/settings/delete").Expect(403)
		if got := counts(); len(got) != 13 || got[11] != "1" || got[12] != "1" || len(p.entries(zoo, "access:denied")) != 1 {
			t.Errorf("recorded afterwards: %v", got)
		}
		// A long address is cut.
		member.Post("/orgs/acme/settings/members/" + strings.Repeat("x", 5000) + "/role").Expect(403)
		all := p.entries(acme, "access:denied")
		if got := all[len(all)-1].EntityID; len(got) > 210 || !strings.HasSuffix(got, "…") {
			t.Errorf("it is recorded of %d bytes: %.20s", len(got), got)
		}
	})
}
