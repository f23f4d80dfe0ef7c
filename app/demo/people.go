package demo

import (
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// person is somebody at the company.
type person struct {
	id, name, email string
	role            accounts.Role
	account         bool // may sign in to the demo; the others are only named in the log
	zone            *time.Location
	begins, ends    int     // working hours, local
	pace            float64 // pieces of work on a working day
	duties          []weighted
	ip, homeIP      string
	agent           string
	cli             bool // works from the command line too
	joined          int  // so many days before the log was filled; zero: before it begins
}

func (p *person) actor() audit.Actor {
	return audit.Actor{ID: p.id, Name: p.name, Email: p.email}
}

// entity is the person as somebody something is done to.
func (p *person) entity() entity { return entity{"user", p.id, p.name, ""} }

// facts is the person as metadata names who made a link.
func (p *person) facts() metadata { return metadata{"id": p.id, "name": p.name, "email": p.email} }

// asMember is the person as a member of the organization.
func (p *person) asMember() entity { return entity{"member", p.id, p.name, ""} }

const (
	macChrome     = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
	macSafari     = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15"
	windowsEdge   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0"
	windowsChrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
	linuxFirefox  = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
	iphoneSafari  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
)

// The e-mail addresses that stories and accounts speak of.
const (
	maya   = "admin@example.com"
	jonas  = "member@example.com"
	daniel = "daniel.kim@northwind.example"
	dkim   = "dkim@blueharbor.example" // the other Daniel Kim, a contractor
	olivia = "olivia.chen@northwind.example"
	lucas  = "lucas.moreau@northwind.example"
	tomasz = "tomasz.nowak@northwind.example"
	priya  = "priya.raman@northwind.example"
	sofia  = "sofia.almeida@northwind.example"
	amara  = "amara.okafor@northwind.example"
	grace  = "grace.thompson@northwind.example"
	kenji  = "kenji.watanabe@northwind.example"
)

// northwindPeople are the twelve people of the large organization.
func northwindPeople() []*person {
	zone := func(name string) *time.Location {
		location, err := time.LoadLocation(name)
		if err != nil {
			return time.UTC // a machine without zone data: everybody keeps UTC hours
		}
		return location
	}
	return []*person{
		{email: maya, name: "Maya Lindqvist", role: accounts.RoleAdmin, account: true,
			zone: zone("Europe/Stockholm"), begins: 8, ends: 17, pace: 4.5, duties: leading,
			ip: "203.0.113.14", homeIP: "198.51.100.23", agent: macChrome},
		{email: jonas, name: "Jonas Weber", role: accounts.RoleMember, account: true,
			zone: zone("Europe/Berlin"), begins: 9, ends: 18, pace: 6, duties: building,
			ip: "203.0.113.57", homeIP: "198.51.100.61", agent: linuxFirefox, cli: true},
		{email: daniel, name: "Daniel Kim", role: accounts.RoleAdmin, account: true,
			zone: zone("America/New_York"), begins: 9, ends: 18, pace: 6.5, duties: operating,
			ip: "203.0.113.102", homeIP: "198.51.100.144", agent: macChrome, cli: true},
		{email: dkim, name: "Daniel Kim", role: accounts.RoleMember,
			zone: zone("America/Chicago"), begins: 10, ends: 17, pace: 2.5, duties: operating,
			ip: "198.51.100.209", agent: windowsChrome},
		{email: olivia, name: "Olivia Chen", role: accounts.RoleAdmin, account: true,
			zone: zone("America/Los_Angeles"), begins: 8, ends: 17, pace: 3, duties: leading,
			ip: "203.0.113.133", homeIP: "2001:db8:41:7::1a", agent: macSafari},
		{email: lucas, name: "Lucas Moreau", role: accounts.RoleMember, account: true,
			zone: zone("Europe/Paris"), begins: 9, ends: 18, pace: 6, duties: operating,
			ip: "203.0.113.71", homeIP: "198.51.100.88", agent: linuxFirefox, cli: true},
		{email: tomasz, name: "Tomasz Nowak", role: accounts.RoleMember, account: true,
			zone: zone("Europe/Warsaw"), begins: 8, ends: 16, pace: 6, duties: building,
			ip: "203.0.113.64", homeIP: "198.51.100.17", agent: linuxFirefox, cli: true},
		{email: priya, name: "Priya Raman", role: accounts.RoleMember, account: true,
			zone: zone("Asia/Kolkata"), begins: 9, ends: 18, pace: 6.5, duties: building,
			ip: "203.0.113.180", homeIP: "2001:db8:9c:22::5", agent: macChrome, cli: true},
		{email: sofia, name: "Sofia Almeida", role: accounts.RoleMember, account: true,
			zone: zone("Europe/Lisbon"), begins: 9, ends: 18, pace: 5.5, duties: designing,
			ip: "203.0.113.39", homeIP: "198.51.100.190", agent: macSafari},
		{email: amara, name: "Amara Okafor", role: accounts.RoleMember, account: true,
			zone: zone("Africa/Lagos"), begins: 8, ends: 17, pace: 5.5, duties: building,
			ip: "203.0.113.211", agent: windowsEdge, joined: 52},
		{email: grace, name: "Grace Thompson", role: accounts.RoleMember,
			zone: zone("Europe/London"), begins: 9, ends: 17, pace: 1.2, duties: paying,
			ip: "203.0.113.90", homeIP: "198.51.100.5", agent: windowsEdge},
		{email: kenji, name: "Kenji Watanabe", role: accounts.RoleMember,
			zone: zone("Asia/Tokyo"), begins: 9, ends: 18, pace: 4, duties: guarding,
			ip: "203.0.113.245", homeIP: "2001:db8:77:b0::c4", agent: macChrome, cli: true},
	}
}

// person finds somebody by e-mail.
func (w *world) person(email string) *person {
	for _, p := range w.people {
		if p.email == email {
			return p
		}
	}
	panic("demo: nobody has the address " + email)
}

// joinedAt is the morning a person who came while the log was kept became a member.
func (w *world) joinedAt(p *person) time.Time {
	return w.dayAgo(p.joined).Add(8*time.Hour + 5*time.Minute)
}

// hasJoined reports whether the person is at the company already.
func (w *world) hasJoined(p *person) bool { return p.joined == 0 || !w.now.Before(w.joinedAt(p)) }

// workday plans a person's day, if they work on it: signing in, and pieces of work with their
// peaks before and after lunch.
func (w *world) workday(p *person, day time.Time) {
	local := time.Date(day.Year(), day.Month(), day.Day(), p.begins, 0, 0, 0, p.zone)
	if weekday := local.Weekday(); weekday == time.Saturday || weekday == time.Sunday || w.chance(0.06) {
		return // a weekend, or a day off
	}
	arrives := local.Add(w.minutes(-20, 50))
	if w.chance(0.85) {
		w.at(arrives, func() { w.signIn(p) })
	}
	if w.chance(0.15) {
		w.at(local.Add(time.Duration(p.ends-p.begins)*time.Hour+w.minutes(0, 40)), func() {
			if w.hasJoined(p) {
				w.record(w.as(p), action.UserSignOut, p.entity(), nil)
			}
		})
	}
	for range int(p.pace*(0.7+w.rng.Float64()) + 0.5) {
		middle := float64(p.ends - p.begins)
		hour := middle * 0.27
		if w.chance(0.55) {
			hour = middle * 0.72
		}
		hour += w.rng.NormFloat64() * 1.2
		moment := local.Add(time.Duration(hour * float64(time.Hour)).Truncate(time.Microsecond))
		w.at(moment, func() {
			if w.hasJoined(p) {
				w.choose(p.duties)(w, p)
			}
		})
	}
}

func (w *world) signIn(p *person) {
	if w.hasJoined(p) {
		w.record(w.as(p), action.UserSignIn, p.entity(), nil)
	}
}
