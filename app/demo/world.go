package demo

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

// happening is an event and the moment it was written down.
type happening struct {
	audit.Event
	recorded time.Time
	key      models.OriginalAPIKey // it was sent with; zero for none
}

// metadata is what an event's metadata is made of.
type metadata = map[string]any

// changes is the metadata key of the same name.
type changes map[string]audit.Change

// world is a company at one moment: its people, what it runs, and what will happen next. Things
// happen in the order of time, so every "before" is the "after" of an earlier change.
type world struct {
	organization string // slug
	name         string
	founded      time.Time
	growth       time.Duration     // between one of the first people and the next
	links        map[string]string // URL templates by entity type
	rng          *rand.Rand
	start, end   time.Time // what happens in between is reported
	anchor       time.Time // when the log was filled: stories count their days from here
	now          time.Time // the moment being lived through
	agenda       agenda
	report       func(happening)
	decide       func(*person, models.AuditSettings) // somebody changes the settings of the log

	people   []*person
	projects []*project
	services []*service
	retired  []deployment // preview deployments that are still up
	pull     int          // the latest pull request
	build    int          // the latest build

	workflows    []*workflow
	channels     []*channel
	subscription *subscription
	keys         []*apiKey
	releaseKey   *apiKey // with which the release train records
}

// entity is what an event is about.
type entity struct {
	kind, id, name, url string
}

// hand is who does something, and from where. An event sent with a key names that, too.
type hand struct {
	actor   audit.Actor
	request audit.Request
	key     *apiKey
}

// at puts something on the agenda.
func (w *world) at(moment time.Time, do func()) {
	heap.Push(&w.agenda, appointment{moment, w.agenda.count(), do})
}

// after puts something on the agenda, a while from now. The while varies by up to a third.
func (w *world) after(while time.Duration, do func()) {
	w.at(w.now.Add(time.Duration(float64(while)*(0.67+0.66*w.rng.Float64()))), do)
}

// liveUntil does what the agenda says up to a moment.
func (w *world) liveUntil(moment time.Time) {
	for w.agenda.Len() > 0 && w.agenda.items[0].at.Before(moment) {
		next := heap.Pop(&w.agenda).(appointment)
		w.now = next.at
		next.do()
	}
	w.now = moment
}

// next does the first thing on the agenda at now, whatever moment it was put down for.
func (w *world) next(now time.Time) {
	next := heap.Pop(&w.agenda).(appointment)
	w.now = now
	next.do()
}

// record reports that by did action to about, and what more there is to say of it.
func (w *world) record(by hand, action action.Action, about entity, details metadata, more ...func(*audit.Event)) {
	w.recordLate(0, by, action, about, details, more...)
}

// recordLate is record for an event that was written down a while after it happened.
func (w *world) recordLate(late time.Duration, by hand, action action.Action, about entity, details metadata, more ...func(*audit.Event)) {
	if w.now.Before(w.start) || !w.now.Add(late).Before(w.end) {
		return
	}
	event := audit.Event{
		Organization: w.organization,
		Action:       action,
		EntityType:   about.kind,
		EntityID:     about.id,
		EntityName:   about.name,
		Actor:        by.actor,
		OccurredAt:   w.now,
		URL:          about.url,
		Request:      by.request,
	}
	if len(details) > 0 {
		event.Metadata = details
	}
	for _, say := range more {
		say(&event)
	}
	h := happening{Event: event, recorded: w.now.Add(late)}
	if by.key != nil {
		h.key = models.OriginalAPIKey{ID: by.key.id, Name: by.key.name}
		by.key.used = h.recorded
	}
	w.report(h)
}

// recordChange is record for an update: what changed goes into the metadata the way the log
// expects it.
func (w *world) recordChange(by hand, action action.Action, about entity, what changes, details metadata) {
	fields := make([]string, 0, len(what))
	for field := range what {
		fields = append(fields, field)
	}
	slices.Sort(fields)
	all := metadata{"changes": what, "changed_fields": fields}
	for key, value := range details {
		all[key] = value
	}
	w.record(by, action, about, all)
}

// as is a person at their desk.
func (w *world) as(p *person) hand {
	ip, agent := p.ip, p.agent
	if p.homeIP != "" && w.chance(0.3) {
		ip = p.homeIP
	}
	if p.cli && w.chance(0.35) {
		agent = "northwind-cli/2.14.0 (linux; amd64)"
	}
	return hand{actor: p.actor(), request: audit.Request{IP: ip, UserAgent: agent, ID: w.id("req_", 20)}}
}

// auto is an automation. What comes over HTTP has an address too.
func (w *world) auto(source string) hand {
	by := hand{actor: audit.System(source)}
	if source == "github-webhook" {
		by.request = audit.Request{
			IP:        fmt.Sprintf("192.0.2.%d", 16+w.rng.IntN(8)),
			UserAgent: "GitHub-Hookshot/" + w.hex(7),
			ID:        w.hex(8) + "-" + w.hex(4) + "-11f0-" + w.hex(4) + "-" + w.hex(12),
		}
	}
	return by
}

// rngAt makes the chance of a moment.
func rngAt(moment time.Time) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(moment.UnixNano()), seed))
}

func (w *world) chance(probability float64) bool { return w.rng.Float64() < probability }

// between is a number from low to high, both included.
func (w *world) between(low, high int) int { return low + w.rng.IntN(high-low+1) }

// minutes is a span of so many minutes, to the microsecond.
func (w *world) minutes(low, high float64) time.Duration {
	return time.Duration((low + (high-low)*w.rng.Float64()) * float64(time.Minute)).Truncate(time.Microsecond)
}

// id makes an identifier such as svc_7h2k9m.
func (w *world) id(prefix string, length int) string {
	return prefix + w.letters("0123456789abcdefghjkmnpqrstvwxyz", length)
}

func (w *world) hex(length int) string { return w.letters("0123456789abcdef", length) }

func (w *world) letters(alphabet string, length int) string {
	var b strings.Builder
	for range length {
		b.WriteByte(alphabet[w.rng.IntN(len(alphabet))])
	}
	return b.String()
}

// pick chooses one of many.
func pick[T any](w *world, many []T) T { return many[w.rng.IntN(len(many))] }

// weighted is one of several things that may happen, and how often.
type weighted struct {
	weight float64
	do     func(w *world, p *person)
}

// choose picks by weight.
func (w *world) choose(among []weighted) func(*world, *person) {
	total := 0.0
	for _, one := range among {
		total += one.weight
	}
	left := w.rng.Float64() * total
	for _, one := range among {
		if left -= one.weight; left < 0 {
			return one.do
		}
	}
	return among[len(among)-1].do
}

// appointment is something that will happen.
type appointment struct {
	at  time.Time
	seq int // of two at the same moment the one put down first comes first
	do  func()
}

// agenda is a heap of appointments, the next one on top.
type agenda struct {
	items []appointment
	seq   int
}

func (a *agenda) count() int { a.seq++; return a.seq }

func (a *agenda) Len() int { return len(a.items) }

func (a *agenda) Less(i, j int) bool {
	if a.items[i].at.Equal(a.items[j].at) {
		return a.items[i].seq < a.items[j].seq
	}
	return a.items[i].at.Before(a.items[j].at)
}

func (a *agenda) Swap(i, j int) { a.items[i], a.items[j] = a.items[j], a.items[i] }

func (a *agenda) Push(x any) { a.items = append(a.items, x.(appointment)) }

func (a *agenda) Pop() any {
	last := a.items[len(a.items)-1]
	a.items = a.items[:len(a.items)-1]
	return last
}
