package entriestest

import (
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// holds says what a term means, without regard to how the store finds it.
func holds(term entries.Term, e models.Entry) bool {
	var exact, folded []string
	is := func(value, text string) bool { return expression(value, false).MatchString(text) }
	switch anything := []event.Principal{{}}; term.Field {
	case entries.FieldText:
		folded = []string{e.Action, e.NativeAction}
		for _, r := range resourcesOf(e) {
			folded = append(folded, r.ID, r.Name)
		}
	case entries.FieldAction:
		exact = []string{e.Action, e.NativeAction}
	case entries.FieldActor:
		if e.OnBehalfOf != nil {
			anything[0] = *e.OnBehalfOf
		}
		exact = []string{e.ActorID, anything[0].ID}
		folded = []string{e.ActorName, e.ActorEmail, anything[0].Name, anything[0].Email}
	case entries.FieldType, entries.FieldID, entries.FieldName:
		for _, r := range resourcesOf(e) {
			switch term.Field {
			case entries.FieldType:
				exact = append(exact, r.Type)
			case entries.FieldID:
				exact = append(exact, r.ID)
			default:
				folded = append(folded, r.Name)
			}
		}
	case entries.FieldIP:
		exact = []string{e.IP}
		is = func(value, text string) bool {
			network, err := netip.ParsePrefix(value)
			if err != nil {
				return expression(value, false).MatchString(text)
			}
			ip, err := netip.ParseAddr(text)
			return err == nil && network.Contains(ip.Unmap())
		}
	case entries.FieldRequest:
		exact = []string{e.RequestID}
	case entries.FieldSource:
		exact = []string{e.Source}
	case entries.FieldKey:
		exact = []string{e.APIKeyID, e.APIKeyName}
	case entries.FieldOutcome:
		exact = []string{string(e.Outcome)}
		if e.Outcome == "" {
			exact = []string{"success"}
		}
	case entries.FieldBy:
		exact = []string{string(e.ActorType)}
		if e.ActorType == "" {
			exact = []string{map[bool]string{true: "system", false: "user"}[e.ActorID == "system"]}
		}
	case entries.FieldHours: // of two values, by tables of their own
		berlin, _ := time.LoadLocation("Europe/Berlin")
		local := e.OccurredAt.Time().In(berlin)
		if weekday := local.Weekday(); weekday != time.Saturday && weekday != time.Sunday && local.Hour() >= 8 && local.Hour() < 18 {
			exact = append(exact, "mon-fri/08:00-18:00/Europe/Berlin")
		}
		utc := e.OccurredAt.Time()
		if weekday := utc.Weekday(); (weekday == time.Saturday || weekday == time.Sunday || weekday == time.Monday) && (utc.Hour() > 6 || utc.Hour() == 6 && utc.Minute() >= 30) {
			exact = append(exact, "sat-mon/06:30-24:00/UTC")
		}
	case entries.FieldMetadata:
		folded = leaves(json.NewDecoder(strings.NewReader(e.Metadata)), nil, term.Path)
	}
	found := false
	for _, value := range term.Values {
		for _, text := range exact {
			found = found || text != "" && is(value, text)
		}
		for _, text := range folded {
			around := term.Field == entries.FieldText || term.Path == nil && term.Field == entries.FieldMetadata
			found = found || (text != "" || term.Field == entries.FieldMetadata) && expression(models.Fold(value), around).MatchString(models.Fold(text))
		}
	}
	return found != term.Not
}

// expression is a value of a term as a regular expression.
func expression(value string, around bool) *regexp.Regexp {
	quoted := regexp.QuoteMeta(strings.NewReplacer(`\\`, "\x01", `\*`, "\x02", `*`, "\x03").Replace(value))
	quoted = strings.NewReplacer("\x01", `\\`, "\x02", `\*`, "\x03", `.*`).Replace(quoted)
	if !around {
		quoted = "^(" + quoted + ")$"
	}
	return regexp.MustCompile("(?s)" + quoted)
}

// leaves are the texts of the values at a path, of all without one.
func leaves(d *json.Decoder, at, path []string) (texts []string) {
	d.UseNumber()
	token, err := d.Token()
	if err == io.EOF {
		return nil
	}
	switch token {
	case json.Delim('['):
		for d.More() {
			texts = append(texts, leaves(d, at, path)...)
		}
		_, _ = d.Token()
		return texts
	case json.Delim('{'):
		for d.More() {
			key, _ := d.Token()
			texts = append(texts, leaves(d, append(slices.Clone(at), key.(string)), path)...)
		}
		_, _ = d.Token()
		return texts
	}
	if path != nil && !slices.Equal(at, path) {
		return nil
	}
	if text, ok := token.(string); ok {
		return []string{text}
	}
	text, _ := json.Marshal(token)
	return []string{string(text)}
}

// values of each field, those with * and of what nobody recorded among them.
var termValues = map[entries.Field][]string{
	entries.FieldText: {"api gate", "API Internal", "gate*01", "update", "login f", "straSSE s", "größe", "日本", "_x_", `\*`, `r\\x`, "nowhere", "iam:g", "100% ", "a*b", "dep-00*0", "été"},
	entries.FieldAction: {"service:update", "deployment:*", "*:create", "*:*e*", "Login failed", "iam:*", "Service.Updated", "never:recorded", "*", "service:*",
		"serv*e:up*", "a:b", "Service:Update"},
	entries.FieldActor:   {"u1", "u*", "anna berg", "ANNA*", "*@example.com", "ab@EXAMPLE.com", "émile", "system", "p1", "Principal u2", "principal*", "nobody", "U1", "Anna Álvarez"},
	entries.FieldType:    {"service", "subnet", "serv*", "*t", "image", "unknown", "a", "Service"},
	entries.FieldID:      {"svc_api%01", "svc*", "sn-1", "v2", "dep-00*", "größe-7", "SVC-API-02", "日本語サービス", `ÄRGER\\x`, `it's:\*`, "*", "nothing"},
	entries.FieldName:    {"api gateway", "*gateway", "STRASSE süd", "Gateway", "日本", "create", "café ab", "API*", "*", "none", `100\% "quoted" _x_`, `100% "quoted" _x_`},
	entries.FieldIP:      {"192.0.2.1", "10.0.0.0/8", "10.0.0.8/29", "192.0.2.*", "2001:db8::/32", "*", "::/0", "0.0.0.0/0", "172.16.0.0/12", "2001:*", "10.200.0.1", "10.200.0.1/32"},
	entries.FieldRequest: {"req-1", "req-*", "req-3", "*", "REQ-1"},
	entries.FieldSource:  {"github-webhook", "github*", "*", "cron"},
	entries.FieldKey:     {"key_1", "Deploy*", "Deploy key", "key_*", "*", "deploy key"},
	entries.FieldOutcome: {"success", "failure", "denied", "*e*"},
	entries.FieldBy:      {"user", "service", "agent", "system", "anonymous"},
	entries.FieldHours:   {"mon-fri/08:00-18:00/Europe/Berlin", "sat-mon/06:30-24:00/UTC"},
	entries.FieldMetadata: {"stratus", "STRATUS*1.0", "Stratus/1.0 \"x\"", "admin", "ärger", "12", "1.5", "1.50", "true", "null", "*", "b*r", "", "größe\\*", "akia", "v", "nowhere",
		"line\nbreak", "role", "back\\\\slash", "ok"},
}

// paths in the sample's metadata, and beside it.
var termPaths = [][]string{{"userAgent"}, {"changes", "role", "before"}, {"changes", "role", "after"}, {"tags"}, {"tags", "k"}, {"n"}, {"a.b", "c d"}, {"changes"}, {"nothing"}, {"useragent"}}

func randomTerm(random *rand.Rand) entries.Term {
	fields := []entries.Field{entries.FieldText, entries.FieldAction, entries.FieldActor, entries.FieldType, entries.FieldID, entries.FieldName, entries.FieldIP,
		entries.FieldRequest, entries.FieldSource, entries.FieldKey, entries.FieldOutcome, entries.FieldBy, entries.FieldHours, entries.FieldMetadata, entries.FieldMetadata}
	term := entries.Term{Field: fields[random.IntN(len(fields))], Not: random.IntN(3) == 0}
	if term.Field == entries.FieldMetadata && random.IntN(2) == 0 {
		term.Path = termPaths[random.IntN(len(termPaths))]
	}
	values := termValues[term.Field]
	for range 1 + random.IntN(3)*random.IntN(2) {
		term.Values = append(term.Values, values[random.IntN(len(values))])
	}
	return term
}

// withTerms are questions with one to three terms, alone and beside others.
func withTerms(random *rand.Rand) []entries.Query {
	all := queries(random)[:500]
	for i := range all {
		q := &all[i]
		if random.IntN(3) != 0 { // what most questions find nothing with
			q.Search, q.EntityID, q.IP, q.RequestID, q.APIKey, q.Source = "", "", "", "", "", ""
		}
		if random.IntN(3) != 0 {
			q.Actions, q.Actors, q.Outcomes, q.EntityType, q.EntityID, q.From, q.To = nil, nil, nil, "", "", 0, 0
		}
		for range 1 + random.IntN(3)*random.IntN(2) {
			q.Terms = append(q.Terms, randomTerm(random))
		}
	}
	return all
}

// withMore gives entries of the sample more for terms to look at.
func withMore(random *rand.Rand, stored []models.Entry) []models.Entry {
	for i := range stored {
		e := &stored[i]
		e.Metadata = []string{e.Metadata, "", `{"userAgent":"Stratus/1.0 \"x\"","n":1.50,"ok":true,"none":null}`,
			`{"changes":{"role":{"after":"größe*","before":"Admin"}},"n":12}`, `{"tags":["a","Ärger",{"k":"V"},[["bar",12]]],"userAgent":""}`,
			`{"a.b":{"c d":"AKIA1234"},"n":-7e2,"text":"line\nbreak","path":"back\\slash","seen":"a` + "\x7f" + `kia"}`,
			`{"changes":{"role":{"after":"viewer","before":null}},"userAgent":"aws-cli/2"}`}[random.IntN(7)]
		e.IP = []string{e.IP, e.IP, "10.0.0.9", "10.200.0.1", "::1", "2001:db8::5", "::ffff:10.0.0.9", "not an address", "10.0.0.9:443", "110.0.0.1"}[random.IntN(10)]
		e.APIKeyName = map[string]string{"key_1": "Deploy key", "key_2": "CI"}[e.APIKeyID]
	}
	return stored
}

func TestTermsAnswerLikeAPlainScan(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		random := rand.New(rand.NewPCG(3, 4))
		store := newStore(t, db)
		org, other := logtest.Organization(t, store.Store, "acme"), logtest.Organization(t, store.Store, "other")
		stored := logtest.Insert(t, store.Store, org, withMore(random, sampleLog(random))...)
		logtest.Insert(t, store.Store, other, withMore(random, sampleLog(random))...)
		seeking, scanning, narrow := newStore(t, db), newStore(t, db), newStore(t, db)
		seekAtOnce(seeking)
		scanInSteps(scanning)
		narrow.Limits.Runs, narrow.Limits.Rows = 6, 120
		answered := map[entries.Field]int{}
		for i, q := range withTerms(random) {
			store := []*entries.Log{store, seeking, scanning, narrow}[i%4]
			want := expected(stored, org, q)
			checkForward(t.Context(), t, store, org, q, want)
			checkBackward(t.Context(), t, store, org, q, want)
			checkEach(t.Context(), t, store, org, q, want)
			checkAmong(t.Context(), t, store, org, q, stored, want)
			if t.Failed() {
				t.Fatalf("question %d, log %d: %+v", i, i%4, q)
			}
			for _, term := range q.Terms {
				if len(want) > 0 {
					answered[term.Field]++
				}
			}
		}
		for field := range termValues {
			if answered[field] < 5 {
				t.Errorf("%d questions with %q are answered with anything", answered[field], field)
			}
		}
	})
}

// An index of the metadata changes no answer: where it holds half of the entries, some of them waiting for more, and where
// it holds all.
func TestIndexedTermsAnswerLikeAPlainScan(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		random := rand.New(rand.NewPCG(7, 8))
		store := newStore(t, db)
		org, other := logtest.Organization(t, store.Store, "acme"), logtest.Organization(t, store.Store, "other")
		stored := logtest.Insert(t, store.Store, org, withMore(random, sampleLog(random))...)
		logtest.Insert(t, store.Store, other, withMore(random, sampleLog(random))...)
		seeking, narrow := newStore(t, db), newStore(t, db)
		seekAtOnce(seeking)
		seekAtOnce(narrow)
		narrow.Limits.Runs, narrow.Limits.Rows = 6, 120
		answered := 0
		for _, indexed := range []int{len(stored)/2 + 7, 1 << 30} {
			logtest.Index(t, store.Store, 1+random.IntN(100), indexed)
			for i, q := range withTerms(random)[:125] {
				values := []string{"stratus", "STRATUS*1.0", "admin", "ärger", "größe\\*", "kia1", "akia", "viewer", "line\nb", "ws-c", "nowhere"}
				term := entries.Term{Field: entries.FieldMetadata, Values: []string{values[random.IntN(len(values))]}}
				if random.IntN(3) == 0 {
					term.Values = append(term.Values, values[random.IntN(len(values))])
				}
				if random.IntN(4) == 0 {
					term.Path, term.Values = termPaths[random.IntN(len(termPaths))], []string{values[random.IntN(len(values))] + "*"}
				}
				q.Terms[0] = term
				store := []*entries.Log{seeking, narrow}[i%2]
				want := expected(stored, org, q)
				checkForward(t.Context(), t, store, org, q, want)
				checkBackward(t.Context(), t, store, org, q, want)
				checkEach(t.Context(), t, store, org, q, want)
				if t.Failed() {
					t.Fatalf("question %d, log %d: %+v", i, i%2, q)
				}
				if len(want) > 0 {
					answered++
				}
			}
		}
		if answered < 50 {
			t.Errorf("%d questions are answered with anything", answered)
		}
	})
}

// What terms look at and lists do not show is not left in pages.
func TestPagesOfTermsShowWhatListsDo(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		logtest.Insert(t, store.Store, org, models.Entry{Metadata: `{"a":1}`, IP: "192.0.2.1", RequestID: "r-1"})
		page, err := store.Page(t.Context(), org, entries.Query{Terms: []entries.Term{
			{Field: entries.FieldMetadata, Values: []string{"1"}}, {Field: entries.FieldIP, Values: []string{"192.0.0.0/16"}}, {Field: entries.FieldRequest, Values: []string{"r*"}},
		}})
		if err != nil || len(page.Entries) != 1 {
			t.Fatalf("%d entries, %v", len(page.Entries), err)
		}
		if e := page.Entries[0]; e.Metadata+e.IP+e.RequestID != "" {
			t.Errorf("the page has %q, %q and %q", e.Metadata, e.IP, e.RequestID)
		}
	})
}

// What is folded is composed: of an accent that a pattern leaves to * nothing else may depend.
func TestPatternsEndWithinALetter(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		stored := logtest.Insert(t, store.Store, org, models.Entry{
			ActorID: "rene\u0301e", ActorName: "Renée", EntityID: "cafe\u0302\u0301-7", OnBehalfOf: &event.Principal{ID: "zoe\u0308"},
		})
		seeking := newStore(t, db)
		seekAtOnce(seeking)
		for field, values := range map[entries.Field][]string{
			entries.FieldActor: {"rene*", "*\u0301e", "rene\u0301*", "zoe*"},
			entries.FieldID:    {"cafe*", "cafe\u0302*", "*\u0301-7", "*\u0302\u0301-7", "cafe\u0302\u0301-7", "c*-7"},
		} {
			for _, value := range values {
				term := entries.Term{Field: field, Values: []string{value}}
				if !term.Holds(&stored[0]) {
					t.Fatalf("%s:%s does not hold", field, value)
				}
				for _, log := range []*entries.Log{store, seeking} {
					page, err := log.Page(t.Context(), org, entries.Query{Terms: []entries.Term{term}})
					if err != nil || len(page.Entries) != 1 {
						t.Errorf("%s:%+q finds %d entries, %v", field, value, len(page.Entries), err)
					}
				}
			}
		}
	})
}

// Entries that are asked about by their IDs may have more metadata than a server has memory for.
func TestMetadataAmongEntriesIsBounded(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		var all []models.Entry
		for range 110 {
			all = append(all, models.Entry{Metadata: `{"key":"` + strings.Repeat("x", 100_000) + `"}`})
		}
		stored := logtest.Insert(t, store.Store, org, all...)
		var ids []models.EntryID
		for _, e := range stored {
			ids = append(ids, e.ID)
		}
		held := entries.Query{Terms: []entries.Term{{Field: entries.FieldMetadata, Values: []string{"x"}}}}
		found, err := store.Among(t.Context(), org, held, ids)
		if err != nil || len(found) != len(ids) || !slices.IsSortedFunc(found, func(a, b models.Entry) int { return b.ID.Compare(a.ID) }) {
			t.Errorf("%d of %d entries, %v", len(found), len(ids), err)
		}
		shown := entries.Query{Also: []entries.Field{entries.FieldMetadata}}
		if found, err := store.Among(t.Context(), org, shown, ids); !errors.Is(err, entries.ErrTooLong) {
			t.Errorf("%d entries with their metadata, %v", len(found), err)
		}
		if found, err := store.Among(t.Context(), org, shown, ids[:50]); err != nil || len(found) != 50 || found[0].Metadata == "" {
			t.Errorf("%d entries, %v", len(found), err)
		}
	})
}
