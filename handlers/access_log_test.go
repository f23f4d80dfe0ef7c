package handlers_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const accessLog = "/orgs/acme/settings/access-log"

// viewsOn are the rows of a page of the access log: who, what, of what and how often.
func viewsOn(page *apptest.Page) (rows []string) {
	page.Find("[data-view]").Each(func(_ int, row *goquery.Selection) {
		cells := row.Find("th > a, td").Map(func(_ int, cell *goquery.Selection) string { return strings.TrimSpace(cell.Text()) })
		rows = append(rows, strings.Join(slices.Delete(cells[:5], 3, 4), " | "))
	})
	return rows
}

func TestWhoReadTheLogIsKept(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, ivy := p.user("Ada"), p.user("Bob"), p.user("Ivy")
		acme := p.organization("acme", ada)
		p.join(acme, bob, accounts.RoleMember)
		p.join(acme, ivy, accounts.RoleAuditor)
		entry := logtest.Insert(t, p.Store, acme, make([]models.Entry, 120)...)[0]
		key := p.Key(t, acme, accounts.ScopeRead)
		member, auditor := p.signedIn(bob), p.signedIn(ivy)

		log := "/orgs/acme" + auditLogs
		first := member.Get(log + "?action=service:update&limit=50").Expect(200)
		member.Get(first.Find(".pages [rel=next]").AttrOr("href", "")).Expect(200) // the same view
		member.Fragment(log + "?q=svc").Expect(200)
		member.Get(log + "?q=svc&sort=bad").Expect(400)
		member.Fragment(log + "/actors?text=a").Expect(200)
		p.Clock.Advance(time.Minute)
		member.Fragment(log + "/" + entry.ID.String()).Expect(200)
		member.Get("/orgs/acme/resources/service?id=svc-1").Expect(200)
		member.Get(log + "/export?format=csv&action=service:update").Expect(200)
		member.Get(log + "/" + strings.Repeat("0", 32)).Expect(404)
		p.Clock.Advance(time.Minute)
		for _, path := range []string{"?q=svc&action=service:update", "?q=svc&action=service:update", "/" + entry.ID.String()} {
			p.Client(t).Get("/api/v1/entries"+path, "Authorization", "Bearer "+key).Expect(200)
		}

		member.Get(accessLog).Expect(403)
		denied := p.entries(acme, "access:denied")
		if len(denied) != 1 || denied[0].EntityID != accessLog || denied[0].ActorID != bob.ID {
			t.Errorf("that a member asked for the access log is recorded as %+v", denied)
		}
		// Another site's link records nothing of who follows it.
		member.Get(accessLog, "Sec-Fetch-Site", "cross-site").Expect(403)
		if n := len(p.entries(acme, "access:denied")); n != 1 {
			t.Errorf("%d refusals are recorded, want 1", n)
		}

		p.Clock.Advance(time.Minute)
		got := viewsOn(auditor.Get(accessLog).Expect(200))
		want := []string{
			"Ivy | Access log | Everything | 1",
			"The read key | Entry | " + entry.ID.String() + " | 1",
			"The read key | Search | action=service:update · q=svc | 2",
			"Bob | Entry | " + entry.ID.String() + " | 1",
			"Bob | Export | action=service:update | 1",
			"Bob | History | service · id=svc-1 | 1",
			"Bob | Search | q=svc | 1",
			"Bob | View | action=service:update | 2",
		}
		// Within a minute in no particular order.
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("the access log shows\n%s", strings.Join(got, "\n"))
		}
		for query, rows := range map[string]int{"?reader=" + bob.ID: 5, "?kind=search": 2, "?kind=search&reader=" + bob.ID: 1, "?reader=nobody": 0} {
			if got := viewsOn(p.signedIn(ada).Get(accessLog + query).Expect(200)); len(got) != rows {
				t.Errorf("%s shows %q", query, got)
			}
		}
		for _, query := range []string{"?kind=nothing", "?cursor=x", "?cursor=after.1.zz", "?reader=%ff"} {
			auditor.Get(accessLog + query).Expect(400)
		}
		// Its links lead to what was read.
		auditor.Get(accessLog).Find("[data-view] td a").Each(func(_ int, link *goquery.Selection) {
			auditor.Get(link.AttrOr("href", "")).Expect(200)
		})
	})
}

func TestTheAccessLogIsReadPageByPage(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme, zoo := p.organization("acme", ada), p.organization("zoo", ada)
		log := accesslog.New(p.Store, nil)
		var want []string
		for i := range 120 {
			log.Note(acme.ID, accesslog.Reader{ID: bob.ID, Name: bob.Name, Email: bob.Email}, accesslog.KindSearch, fmt.Sprintf("/orgs/acme%s?q=%d", auditLogs, i), "192.0.2.1")
			log.Note(zoo.ID, accesslog.Reader{ID: bob.ID, Name: bob.Name, Email: bob.Email}, accesslog.KindSearch, "/orgs/zoo"+auditLogs+"?q=zoo", "192.0.2.1")
			want = append(want, fmt.Sprintf("Bob | Search | q=%d | 1", i))
			if i%7 == 0 {
				p.Clock.Advance(time.Minute)
			}
		}
		if err := log.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
		admin := p.signedIn(ada)
		var got []string
		pages, address := 0, accessLog+"?kind=search"
		for ; address != ""; pages++ {
			page := admin.Get(address).Expect(200)
			rows := viewsOn(page)
			got = append(got, rows...)
			address = page.Find(".pages [rel=next]").AttrOr("href", "")
			if back := page.Find(".pages [rel=prev]").AttrOr("href", ""); back != "" {
				before := viewsOn(admin.Get(back).Expect(200))
				if !slices.Equal(before, got[len(got)-len(rows)-len(before):len(got)-len(rows)]) {
					t.Errorf("back from page %d is another page", pages)
				}
			}
		}
		slices.Sort(got)
		if slices.Sort(want); pages != 3 || !slices.Equal(got, want) {
			t.Errorf("%d pages show %d rows, want 3 with 120", pages, len(got))
		}
	})
}

func TestReadingGoesOnWhereTheAccessLogCannotBeWritten(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		logtest.Insert(t, p.Store, acme, make([]models.Entry, 3)...)
		admin := p.signedIn(ada)
		var refuses atomic.Bool
		refuses.Store(true)
		err := p.DB.Write.Callback().Create().Before("gorm:create").Register("test:refuse", func(db *gorm.DB) {
			if db.Statement.Table == "audit_access_log" && refuses.Load() {
				_ = db.AddError(errors.New("takes no changes"))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		admin.Get("/orgs/acme" + auditLogs + "?q=svc").Expect(200)
		if got := viewsOn(admin.Get(accessLog).Expect(200)); len(got) != 0 {
			t.Errorf("it shows %q", got)
		}
		refuses.Store(false)
		got := viewsOn(admin.Get(accessLog).Expect(200))
		if slices.Sort(got); !slices.Equal(got, []string{"Ada | Access log | Everything | 2", "Ada | Search | q=svc | 1"}) {
			t.Errorf("afterwards it shows %q", got)
		}
	})
}

// Whoever reads as fast as a program does not fill the database with it.
func TestTheAccessLogKeepsAHundredViewsOfAReaderAndAMinute(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme := p.organization("acme", ada)
		log := accesslog.New(p.Store, nil)
		for i := range 1000 {
			reader := accesslog.Reader{ID: bob.ID, Name: bob.Name, Email: bob.Email}
			log.Note(acme.ID, reader, accesslog.KindEntry, fmt.Sprintf("/orgs/acme%s/%d", auditLogs, i), fmt.Sprintf("2001:db8::%d", i))
			log.Note(acme.ID, accesslog.Reader{ID: ada.ID, Name: ada.Name, Email: ada.Email}, accesslog.KindView, "/orgs/acme"+auditLogs, "192.0.2.1")
			if i%100 == 0 {
				if err := log.Write(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := log.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
		var rows []accesslog.View
		if err := p.Store.Reader(t.Context()).Order("times DESC").Find(&rows, "org_id = ?", acme.ID).Error; err != nil {
			t.Fatal(err)
		}
		if len(rows) != 102 || rows[0].Times != 1000 || rows[1].Times != 900 || rows[1].Address+rows[1].IP != "" || rows[2].Times != 1 {
			t.Fatalf("%d rows: %+v", len(rows), rows[:min(3, len(rows))])
		}
		p.Clock.Advance(time.Minute)
		log.Note(acme.ID, accesslog.Reader{ID: "usr_c", Name: "Cy"}, accesslog.KindEntry, "", "")
		if err := log.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := viewsOn(p.signedIn(ada).Get(accessLog + "?reader=usr_c").Expect(200)); len(got) != 1 || !strings.Contains(got[0], "Further views of this minute") {
			t.Errorf("the page shows %q", got)
		}
	})
}

func TestAnAccessLogThatCannotBeWrittenKeepsNoOtherFromIt(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme, zoo := p.organization("acme", ada), p.organization("zoo", ada)
		err := p.DB.Write.Callback().Create().Before("gorm:create").Register("test:refuse", func(db *gorm.DB) {
			if views, ok := db.Statement.Dest.(*[]accesslog.View); ok && slices.ContainsFunc(*views, func(v accesslog.View) bool { return v.OrgID == zoo.ID }) {
				_ = db.AddError(errors.New("the node is down"))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		log := accesslog.New(p.Store, nil)
		reader := accesslog.Reader{ID: ada.ID, Name: ada.Name, Email: ada.Email}
		for _, org := range []models.Organization{acme, zoo} {
			log.Note(org.ID, reader, accesslog.KindView, "/orgs/"+org.Slug+auditLogs, "192.0.2.1")
		}
		if err := log.Write(t.Context()); err == nil {
			t.Error("what was refused is held for written")
		}
		var n int64
		if err := p.Store.Reader(t.Context()).Model(&accesslog.View{}).Where("org_id = ?", acme.ID).Count(&n).Error; err != nil || n != 1 {
			t.Errorf("%d rows of the other organization, want 1 (%v)", n, err)
		}
	})
}

func TestTheAccessLogIsWrittenWhenTheServerStops(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		admin := p.signedIn(ada)
		for i := range 20 {
			admin.Get(fmt.Sprintf("/orgs/acme%s?q=%d", auditLogs, i)).Expect(200)
		}
		p.Stop()
		var n int64
		if err := p.Store.Reader(t.Context()).Model(&accesslog.View{}).Where("org_id = ?", acme.ID).Count(&n).Error; err != nil || n != 20 {
			t.Errorf("%d rows are there, want 20 (%v)", n, err)
		}
	})
}

func TestAnAuditorReadsEverythingAndChangesNothing(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, ivy, bob := p.user("Ada"), p.user("Ivy"), p.user("Bob")
		acme := p.organization("acme", ada)
		p.join(acme, bob, accounts.RoleMember)
		p.join(acme, ivy, accounts.RoleMember)
		admin := p.signedIn(ada)
		admin.Post("/orgs/acme/settings/members/"+ivy.ID+"/role", "role", "auditor").Expect(303)
		admin.Post("/orgs/acme/settings/members/invitations", "role", "auditor", "email", "eve@example.com").Expect(200)
		admin.Post("/orgs/acme/settings/members/" + bob.ID + "/reset-link").Expect(200)
		admin.Post("/orgs/acme/settings/audit", "enabled", "on", "retention_days", "100").Expect(303)
		auditor, member := p.signedIn(ivy), p.signedIn(bob)

		const links = "[data-invitation-id], [data-reset-link-id]"
		members := auditor.Get("/orgs/acme/settings/members").Expect(200)
		if members.Find(links).Length() != 2 || members.Find("form[action*='members']:not([action$='/"+ivy.ID+"/remove'])").Length() != 0 {
			t.Error("an auditor is shown fewer links than there are, or more than to leave")
		}
		if got := members.Text("[data-invitation-id] [data-label=Role]"); got != "Auditor" {
			t.Errorf("the invitation is for %q", got)
		}
		if member.Get("/orgs/acme/settings/members").Expect(200).Find(links).Length() != 0 {
			t.Error("a member is shown open links")
		}
		if auditor.Get("/orgs/acme/settings/organization").Expect(200).Find("[data-settings-change]").Length() != 1 {
			t.Error("an auditor is not shown the settings history")
		}
		if n := auditor.Get("/orgs/acme" + auditLogs).Expect(200).Find(`.side a[href="` + accessLog + `"]`).Length(); n != 1 {
			t.Error("no link leads an auditor to the access log")
		}
		if n := member.Get("/orgs/acme" + auditLogs).Expect(200).Find(`.side a[href="` + accessLog + `"]`).Length(); n != 0 {
			t.Error("a link leads a member to the access log")
		}

		// The organization needs an admin, whatever else there is.
		admin.Post("/orgs/acme/settings/members/"+ada.ID+"/role", "role", "auditor").Expect(422)
		// Of one that was deleted an auditor reads on, a member does not.
		admin.Post("/orgs/acme/settings/delete", "confirm", "acme").Expect(303)
		auditor.Get("/orgs/acme" + auditLogs).Expect(200)
		auditor.Get(accessLog).Expect(200)
		member.Get("/orgs/acme" + auditLogs).Expect(404)
	})
}
