// Package benchdata fills databases with logs of any size for benchmarks, the same each time, much
// faster than recording would. Benchmarks and their tools use it, never the server.
package benchdata

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

const (
	// Days is how long a time the log covers.
	Days = 90
	// People is how many act, besides system.
	People = 200
	// SmallOrganizations share the entries that Large does not have.
	SmallOrganizations = 100
	// Large is the slug of the organization with nine entries of ten.
	Large = "large"
	// rowsPerEntity is how many entries there are of one entity, on average.
	rowsPerEntity = 10
	// largeShare is how much of the log is the large organization's.
	largeShare = 0.9
)

// Small is the slug of one of the SmallOrganizations, from 0.
func Small(n int) string { return fmt.Sprintf("small-%03d", n+1) }

// Spec says what a log holds. Equal specs give equal logs.
type Spec struct {
	// Rows is how many entries there are.
	Rows int
	// Seed makes them others.
	Seed uint64
	// Until is when the log ends, cut to the second; it begins Days before.
	Until time.Time
}

// Event is the n-th event of the log, from 0, in order of time. The n may exceed Rows: that is how
// the log would go on.
func (s Spec) Event(n int) audit.Event {
	h := s.happening(n)
	e := audit.Event{
		Organization: slugOf(h.org),
		Action:       h.action,
		EntityID:     h.entityID(),
		EntityName:   h.entityName(),
		Actor:        audit.System(h.source()),
		OccurredAt:   h.at,
		Metadata:     json.RawMessage(h.metadata()),
	}
	if h.person >= 0 {
		e.Actor = audit.Actor{ID: h.actorID(), Name: h.actorName(), Email: h.actorEmail()}
		e.Request = audit.Request{IP: h.ip(), UserAgent: userAgent, ID: h.requestID()}
	}
	return e
}

// APIKey is the key that the n-th event was sent with; empty for none.
func (s Spec) APIKey(n int) models.OriginalAPIKey { return s.happening(n).apiKey() }

// happening is an event in numbers.
type happening struct {
	at     time.Time
	random uint64
	org    int // 0 is the large one
	action action.Action
	entity int // among those of its organization and type
	person int // -1 is system
}

func (s Spec) happening(n int) happening {
	random := rand.New(rand.NewPCG(s.Seed, uint64(n)))
	step := Days * 24 * time.Hour / time.Duration(max(s.Rows, 1))
	h := happening{
		at: s.Until.Truncate(time.Second).Add(-Days*24*time.Hour + time.Duration(n)*step +
			time.Duration(random.Int64N(max(int64(step), 1)))).Truncate(time.Microsecond),
		action: pick(actions(), random.Float64()),
		person: -1,
		random: random.Uint64(),
	}
	share := largeShare
	if random.Float64() >= share {
		h.org = 1 + random.IntN(SmallOrganizations)
		share = (1 - largeShare) / SmallOrganizations
	}
	h.entity = random.IntN(max(1, int(float64(s.Rows)/rowsPerEntity*share*typeShares()[h.action.Entity()])))
	if random.Float64() >= 0.2 {
		// A few people do most.
		h.person = int(People * math.Pow(random.Float64(), 2))
	}
	return h
}

func slugOf(org int) string {
	if org == 0 {
		return Large
	}
	return Small(org - 1)
}

func (h happening) key() uint64 {
	var text [24]byte
	binary.BigEndian.PutUint64(text[:], uint64(h.org))
	binary.BigEndian.PutUint64(text[8:], uint64(h.entity))
	copy(text[16:], h.action.Entity())
	sum := uint64(14695981039346656037) // FNV-1a
	for _, c := range text {
		sum = (sum ^ uint64(c)) * 1099511628211
	}
	return sum
}

// Of so many entities, one has an ID or a name of its own kind, which questions ask for.
const kindsOfEntities = 997

func (h happening) entityID() string {
	if h.key()%kindsOfEntities == 1 {
		return fmt.Sprintf("10.0.0.12:%d", h.entity)
	}
	return fmt.Sprintf("%.3s_%016x%04x", h.action.Entity(), h.key(), h.entity&0xffff)
}

func (h happening) entityName() string {
	if kind := h.key() % kindsOfEntities; kind >= 2 && kind <= 5 {
		return fmt.Sprintf([...]string{"checkout 1.4 %d", "release v2.10.1 %d", "本社 %d", "zq %d"}[kind-2], h.entity)
	}
	words := [...]string{"billing", "search", "Größe", "checkout", "media", "auth", "ledger", "mail", "edge", "Import", "report", "queue"}
	key := h.key()
	return words[key%12] + "-" + words[key/12%12] + fmt.Sprintf(" %d", h.entity)
}

func (h happening) actorID() string { return fmt.Sprintf("usr_%04d", h.person) }

func (h happening) actorName() string {
	first := [...]string{"Anna", "Björn", "Chloé", "David", "Elif", "Farah", "Gita", "Hugo", "Inês", "Jonas"}
	last := [...]string{"Álvarez", "Berg", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Hansen", "Ito", "Jensen",
		"Keller", "López", "Meyer", "Novák", "Okafor", "Patel", "Quinn", "Rossi", "Schmidt", "Tanaka"}
	return first[h.person%10] + " " + last[h.person/10%20]
}

func (h happening) actorEmail() string { return fmt.Sprintf("person%d@example.com", h.person) }

func (h happening) source() string {
	if h.person >= 0 {
		return ""
	}
	if h.random%2000 == 1 {
		return rareSource
	}
	return [...]string{commonSource, "nightly-backup", "autoscaler"}[h.random%3]
}

// A value of each provenance that much of the log has, and one that hardly any of it has.
const (
	commonSource, rareSource = "github-webhook", "quarterly-report"
	commonIP, rareIP         = "198.51.100.7", "198.51.100.99"
	commonAPIKey, rareAPIKey = "key_common", "key_rare"
)

// apiKey is the key that some of the automated events are sent with; empty for none.
func (h happening) apiKey() models.OriginalAPIKey {
	switch {
	case h.person >= 0, h.random>>32%4 != 0, h.action == action.OrganizationAuditConfigUpdate: // which no key may send
		return models.OriginalAPIKey{}
	case h.random>>32%2000 == 4:
		return models.OriginalAPIKey{ID: rareAPIKey, Name: "rare"}
	default:
		return models.OriginalAPIKey{ID: commonAPIKey, Name: "common"}
	}
}

const userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

func (h happening) ip() string {
	switch {
	case h.random>>16%5000 == 0:
		return rareIP
	case h.random>>16%4 == 1: // an office
		return commonIP
	}
	return fmt.Sprintf("203.0.%d.%d", h.random>>8&0xff, h.random&0xff)
}

func (h happening) requestID() string { return fmt.Sprintf("req-%016x", h.random) }

// metadata has its keys in order, as it is stored.
func (h happening) metadata() string {
	if strings.HasSuffix(string(h.action), ":update") {
		return fmt.Sprintf(`{"changes":{"replicas":{"after":%d,"before":%d}},"service_name":"%s"}`, h.random%9, h.random/9%9, h.entityName())
	}
	return fmt.Sprintf(`{"commit":"%016x","service_name":"%s"}`, h.random, h.entityName())
}

// weighted are choices with the sum of the shares up to and including each; the last is 1.
type weighted []struct {
	action action.Action
	upTo   float64
}

func pick(w weighted, at float64) action.Action {
	n := sort.Search(len(w), func(i int) bool { return w[i].upTo > at })
	return w[min(n, len(w)-1)].action
}

// actions are the tracked ones, the n-th 1/n times as often as the first.
var actions = sync.OnceValue(func() (all weighted) {
	total := 0.0
	for _, group := range action.Catalogue() {
		if group.Name == action.Access {
			continue
		}
		for _, act := range group.Actions {
			total += 1 / float64(len(all)+1)
			all = append(all, struct {
				action action.Action
				upTo   float64
			}{act, total})
		}
	}
	for i := range all {
		all[i].upTo /= total
	}
	return all
})

// typeShares is how much of the log each entity type has.
var typeShares = sync.OnceValue(func() map[string]float64 {
	shares, before := map[string]float64{}, 0.0
	for _, a := range actions() {
		shares[a.action.Entity()] += a.upTo - before
		before = a.upTo
	}
	return shares
})
