package demo

import (
	"math/rand/v2"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// The slugs of the two organizations.
const (
	large = "northwind"
	small = "acme-labs"
)

// seed makes every demo the same, seen from the day it was filled.
const seed = 20260117

// days is how far back the log reaches.
const days = 90

// northwind is the large organization, a company that tracks freight, with its agenda filled in
// from ninety days before anchor.
func northwind(anchor time.Time) *world {
	w := newWorld(large, seed, anchor)
	w.name, w.founded, w.growth = "Northwind", w.dayAgo(412).Add(9*time.Hour), 17*24*time.Hour
	w.links = map[string]string{"service": console + "/services/{id}"}
	w.people = northwindPeople()
	for _, p := range w.people {
		p.id = w.id("usr_", 26)
	}
	w.northwindInventory()
	w.northwindKeys()
	w.stories()
	// The first day is a partial one, and people far east begin it earlier.
	for day := w.dayAgo(days + 1); day.Before(w.anchor); day = day.AddDate(0, 0, 1) {
		w.at(day, func() { w.routine(day) })
	}
	return w
}

// acmeLabs is the small organization: three people and a website.
func acmeLabs(anchor time.Time) *world {
	w := newWorld(small, seed+1, anchor)
	w.name, w.founded = "Acme Labs", w.dayAgo(45).Add(8*time.Hour)
	w.people = []*person{
		{email: maya, name: "Maya Lindqvist", role: accounts.RoleAdmin, account: true, zone: time.UTC,
			begins: 18, ends: 21, pace: 0.6, duties: tinkering, ip: "198.51.100.23", agent: macChrome},
		{email: jonas, name: "Jonas Weber", role: accounts.RoleMember, account: true, zone: time.UTC,
			begins: 17, ends: 21, pace: 1, duties: tinkering, ip: "198.51.100.61", agent: linuxFirefox},
		{email: "ines@acme-labs.example", name: "Inês Carvalho", role: accounts.RoleAdmin, account: true, zone: time.UTC,
			begins: 9, ends: 17, pace: 1.4, duties: tinkering, ip: "192.0.2.140", agent: windowsChrome},
	}
	for _, p := range w.people {
		p.id = w.id("usr_", 26)
	}
	website := w.newProject("Website")
	w.projects = []*project{website}
	for _, name := range []string{"website", "newsletter"} {
		w.services = append(w.services, w.newService(name, website))
	}
	w.workflows = []*workflow{w.newWorkflow("Publish")}
	w.channels = []*channel{w.newChannel("hello@acme-labs.example", "email")}
	w.build, w.pull = 40, 12
	for day := w.dayAgo(45); day.Before(w.anchor); day = day.AddDate(0, 0, 1) {
		w.at(day, func() {
			for _, p := range w.people {
				w.workday(p, day)
			}
			if day.Weekday() == time.Monday {
				w.at(day.Add(3*time.Hour), func() { w.scan(w.auto("scheduler"), w.service("website")) })
			}
		})
	}
	w.onDay(45, 9, 2, func() {
		founder := w.person("ines@acme-labs.example")
		w.record(w.as(founder), action.ProjectCreate, website.entity(), nil)
		for _, s := range w.services {
			w.record(w.as(founder), action.ServiceCreate, s.entity(), s.context())
		}
	})
	return w
}

var tinkering = []weighted{{4, deploy}, {2, merge}, {2, configure}, {1, editWorkflow}, {0.4, changeDomain}}

func newWorld(organization string, seed uint64, anchor time.Time) *world {
	anchor = anchor.UTC().Truncate(time.Microsecond)
	return &world{
		organization: organization,
		rng:          rand.New(rand.NewPCG(seed, seed)),
		anchor:       anchor,
		// Entries begin a little inside the retention, so that the first do not expire while
		// somebody looks at them for the first time.
		start:  anchor.AddDate(0, 0, -days).Add(time.Hour),
		end:    anchor,
		report: func(happening) {},
		decide: func(*person, models.AuditSettings) {},
	}
}

// know gives people the IDs of their accounts.
func (w *world) know(userIDs map[string]string) {
	for _, p := range w.people {
		if id, ok := userIDs[p.email]; ok {
			p.id = id
		}
	}
}
