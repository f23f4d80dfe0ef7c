package entriestest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
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

// now is the moment all tests of the log play at.
var now = logtest.Now

func newStore(t *testing.T, db *database.DB) *entries.Log {
	t.Helper()
	return entries.NewLog(logtest.Store(t, db))
}

// seekAtOnce has searches seek after a first look at one entry.
func seekAtOnce(log *entries.Log) {
	log.Limits.FirstLook, log.Limits.Worthwhile, log.Limits.Gathered = 1, 0, 1000
}

// scanInSteps has searches never seek, and look through a few entries at a time.
func scanInSteps(log *entries.Log) { log.Limits.FirstLook, log.Limits.Worthwhile = 3, 1<<40 }

// sampleLog is a few hundred entries with everything that makes order and search hard: equal
// times, namesakes, actors and resources that changed their names, one action on two types, letters
// that only fold outside ASCII, wildcards, expired entries.
func sampleLog(random *rand.Rand) []models.Entry {
	actions := []string{"deployment:create", "deployment:cancel", "service:update", "service:delete",
		"project:create", "workflow:enable", "slack:connect", "a:b"}
	actors := []models.Entry{
		{ActorID: "u1", ActorName: "Anna Álvarez", ActorEmail: "anna@example.com"},
		{ActorID: "u1", ActorName: "Anna Berg", ActorEmail: "anna@example.com"},
		{ActorID: "u2", ActorName: "anna berg", ActorEmail: "ab@example.com"},
		{ActorID: "u3", ActorName: "ÉMILE"},
		{ActorID: "u4", ActorName: "Zed"},
		{ActorID: "system", ActorName: "system", Source: "github-webhook"},
	}
	entities := []models.Entry{
		{EntityID: "svc_api%01", EntityName: "API Gateway"},
		{EntityID: "svc_api%01", EntityName: "Edge Gateway"},
		{EntityID: "svc-api-02", EntityName: "Straße Süd"},
		{EntityID: "9f86d081-884c-4d65", EntityName: ""},
		{EntityID: "ÄRGER\\x", EntityName: "100% \"quoted\" _x_"},
		{EntityID: "v2", EntityName: "create"},
		{EntityID: "日本語サービス", EntityName: "日本"},
		{EntityID: "10.0.0.12", EntityName: "checkout 1.4"},
		{EntityID: "release v2.10.1", EntityName: "दिल्ली पूर्व"},
		{EntityID: "it's:*", EntityName: "Cafe\u0301 a\u200bb"},
	}
	var stored []models.Entry
	for i := range 300 {
		e := models.Entry{Action: actions[random.IntN(len(actions))]}
		e.EntityType = strings.Split(e.Action, ":")[0]
		if random.IntN(6) == 0 {
			e.EntityType = "service"
		}
		actor := actors[random.IntN(len(actors))]
		e.ActorID, e.ActorName, e.ActorEmail, e.Source = actor.ActorID, actor.ActorName, actor.ActorEmail, actor.Source
		entity := entities[random.IntN(len(entities))]
		e.EntityID, e.EntityName = entity.EntityID, entity.EntityName
		e.IP, e.RequestID = []string{"", "192.0.2.1", "192.0.2.7"}[random.IntN(3)], []string{"", "req-1", "req-2"}[random.IntN(3)]
		e.APIKeyID = []string{"", "key_1", "key_2"}[random.IntN(3)]
		if i%10 == 0 {
			e.EntityID = fmt.Sprintf("dep-%04d", i)
		}
		at := now.Add(-time.Duration(random.IntN(100*24)) * time.Hour)
		e.OccurredAt = models.MicrosOf(at)
		e.RecordedAt = e.OccurredAt + models.Micros(random.IntN(5)*int(time.Minute/time.Microsecond))
		e.Metadata = fmt.Sprintf(`{"n":%d}`, i)
		if at.After(now.AddDate(0, 0, -89)) { // what says more is not stored where it has expired
			e.Outcome = []event.Outcome{"", "", event.OutcomeFailure, event.OutcomeDenied}[random.IntN(4)]
			e.NativeAction = []string{"", "", "Service.Updated", "iam:Größe", "Login failed"}[random.IntN(5)]
			if e.ActorID != "system" && random.IntN(4) == 0 {
				id := []string{"u1", "u2", "p1"}[random.IntN(3)]
				e.Related = []event.Resource{{Type: "subnet", ID: "sn-1", Name: "API Internal"}, {Type: "service", ID: "svc_api%01", Name: "Gateway"},
					{Type: "subnet", ID: "sn-1", Name: "", Role: "again"}, {Type: "image", ID: "größe-7"}}[random.IntN(3):][:random.IntN(2)+1]
				e.OnBehalfOf = &event.Principal{ID: id, Name: "Principal " + id}
			}
		}
		stored = append(stored, e)
	}
	return stored
}

// expected answers q the plain way: look at every entry, sort, cut. It is what the store must
// agree with.
func expected(stored []models.Entry, org models.Organization, q entries.Query) []models.Entry {
	var found []models.Entry
	for _, e := range stored {
		if e.OccurredAt < org.KeptSince(now) || e.OccurredAt < q.From || q.To != 0 && e.OccurredAt >= q.To ||
			len(q.Actions) > 0 && !slices.Contains(q.Actions, e.Action) && !slices.Contains(q.Actions, strings.Split(e.Action, ":")[0]+":*") &&
				!slices.Contains(q.Actions, e.NativeAction) ||
			len(q.Actors) > 0 && !slices.Contains(q.Actors, e.ActorID) &&
				!(e.OnBehalfOf != nil && slices.Contains(q.Actors, e.OnBehalfOf.ID)) ||
			len(q.Outcomes) > 0 && !slices.Contains(q.Outcomes, cmp.Or(e.Outcome, event.OutcomeSuccess)) ||
			q.EntityType != "" && q.EntityID == "" && e.EntityType != q.EntityType ||
			q.EntityID != "" && !slices.ContainsFunc(resourcesOf(e), func(r event.Resource) bool { return r.Type == q.EntityType && r.ID == q.EntityID }) ||
			q.IP != "" && e.IP != q.IP || q.RequestID != "" && e.RequestID != q.RequestID ||
			q.APIKey != "" && e.APIKeyID != q.APIKey || q.Source != "" && e.Source != q.Source || !matches(q.Search, e) ||
			slices.ContainsFunc(q.Terms, func(term entries.Term) bool { return !holds(term, e) }) {
			continue
		}
		found = append(found, e)
	}
	column := func(e models.Entry) string {
		switch q.Sort {
		case entries.SortAction:
			return e.Action
		case entries.SortEntityType:
			return e.EntityType
		case entries.SortUser:
			return models.Fold(e.ActorName)
		default:
			return ""
		}
	}
	slices.SortFunc(found, func(a, b models.Entry) int {
		byColumn := cmp.Compare(column(a), column(b))
		byTime := cmp.Compare(b.ID.String(), a.ID.String())
		if !q.Ascending {
			byColumn = -byColumn
		} else if q.Sort == entries.SortTimestamp || q.Sort == "" {
			byTime = -byTime
		}
		return cmp.Or(byColumn, byTime)
	})
	return found
}

func resourcesOf(e models.Entry) []event.Resource {
	return append([]event.Resource{{Type: e.EntityType, ID: e.EntityID, Name: e.EntityName}}, e.Related...)
}

func matches(search string, e models.Entry) bool {
	return slices.ContainsFunc(resourcesOf(e), func(r event.Resource) bool { return matchesOf(search, e, r) })
}

func matchesOf(search string, e models.Entry, resource event.Resource) bool {
	id, name, native := models.Fold(resource.ID), models.Fold(resource.Name), models.Fold(e.NativeAction)
	for _, word := range strings.Fields(models.Fold(search)) {
		found := strings.Contains(id, word) || strings.Contains(name, word) || strings.Contains(e.Action, word) || strings.Contains(native, word)
		if !found {
			return false
		}
	}
	return true
}

// queries are every kind of question, alone and together.
func queries(random *rand.Rand) []entries.Query {
	searches := []string{"", "", "", "api", "API gate", "svc_api%01", "%", "_", "_x_", "100% create", "straSSE", "ärger\\",
		"create", "v2", "de", "deployment v2", "update svc", "日本語", "日本", "本", "ービ", "nothing at all", "-api-", "\"quoted\"", "se cr", "dep-00",
		"0.0", "10.0.0.12", "out 1.4", "checkout 1.4 e", "v2.10.1", "दि", "दिल्ली", "ल्ली पू", "é", "ü", "x", "\"", "'", "\\", ":*", "service.upd", "login", "login v2", "größ update", "iam:gr", "updated svc", "failed se", "sn-1", "internal", "sn-1 update", "größe-7", "-7", "gateway sn-1", "internal se", "q", "zq", "ß", "ss", "u s"}
	pick := func(values []string) []string {
		if random.IntN(2) == 0 {
			return nil
		}
		return values[:1+random.IntN(len(values))]
	}
	var all []entries.Query
	for range 540 {
		q := entries.Query{
			Actions: pick([][]string{{"deployment:create", "service:update", "never:recorded", "a:b"}, {"deployment:*", "never:*", "a:b", "service:delete", "service:*"},
				{"Login failed", "deployment:create", "Service.Updated", "nobody.Calls it so"}, {"nobody.Calls it so", "service:*", "iam:Größe"}}[random.IntN(4)]),
			Actors:    pick([][]string{{"u1", "u2", "system", "nobody"}, {"p1", "u3", "u2"}, {"u4", "system"}}[random.IntN(3)]),
			Search:    searches[random.IntN(len(searches))],
			Sort:      []entries.Sort{"", entries.SortTimestamp, entries.SortAction, entries.SortEntityType, entries.SortUser}[random.IntN(5)],
			Ascending: random.IntN(2) == 0,
			Limit:     []int{7, 30, 100}[random.IntN(3)],
		}
		if random.IntN(4) == 0 {
			q.EntityType = []string{"service", "deployment", "unknown", "subnet"}[random.IntN(4)]
			if random.IntN(2) == 0 {
				q.EntityID = []string{"svc_api%01", "sn-1"}[random.IntN(2)]
			}
		}
		if random.IntN(4) == 0 {
			q.From = models.MicrosOf(now.AddDate(0, 0, -random.IntN(120)))
		}
		if random.IntN(4) == 0 {
			q.To = models.MicrosOf(now.AddDate(0, 0, -random.IntN(60)))
		}
		if random.IntN(4) == 0 {
			q.Outcomes = [][]event.Outcome{{event.OutcomeSuccess}, {event.OutcomeDenied}, {event.OutcomeSuccess, event.OutcomeFailure}}[random.IntN(3)]
		}
		switch random.IntN(12) {
		case 0:
			q.IP = "192.0.2.1"
		case 1:
			q.RequestID = "req-2"
		case 2:
			q.APIKey = []string{"key_1", "key_none"}[random.IntN(2)]
		case 3:
			q.Source = "github-webhook"
		}
		all = append(all, q)
	}
	return all
}

func TestEntriesAnswersLikeAPlainScan(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		random := rand.New(rand.NewPCG(1, 2))
		store := newStore(t, db)
		org, other := logtest.Organization(t, store.Store, "acme"), logtest.Organization(t, store.Store, "other")
		stored := logtest.Insert(t, store.Store, org, sampleLog(random)...)
		logtest.Insert(t, store.Store, other, sampleLog(random)...)
		ctx := t.Context()
		seeking, scanning := newStore(t, db), newStore(t, db)
		narrow, narrower := newStore(t, db), newStore(t, db)
		narrow.Limits.Runs, narrow.Limits.Rows = 6, 120
		narrower.Limits.Runs, narrower.Limits.Rows = 3, 60
		seekAtOnce(narrower)
		seekAtOnce(seeking)
		scanInSteps(scanning)
		for i, q := range queries(random) {
			store := []*entries.Log{store, seeking, scanning, narrow, seeking, narrower}[i%6]
			want := expected(stored, org, q)
			checkForward(ctx, t, store, org, q, want)
			checkBackward(ctx, t, store, org, q, want)
			checkEach(ctx, t, store, org, q, want)
			checkAmong(ctx, t, store, org, q, stored, want)
			if t.Failed() {
				t.Fatalf("query %d, log %d: %+v", i, i%6, q)
			}
		}
	})
}

func checkForward(ctx context.Context, t *testing.T, store *entries.Log, org models.Organization, q entries.Query, want []models.Entry) {
	t.Helper()
	var got []models.Entry
	for pages := 0; ; pages++ {
		page, err := store.Page(ctx, org, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		got = append(got, page.Entries...)
		if page.Looked != nil && page.Next == nil {
			t.Fatal("what was not looked at cannot be asked for")
		}
		if (page.Previous != nil) != (pages > 0) && len(page.Entries) > 0 {
			t.Errorf("page %d: link to the previous page: %v", pages, page.Previous)
		}
		if q.Cursor = page.Next; q.Cursor == nil {
			break
		}
		if page.Looked == nil && len(page.Entries) != q.Limit || pages > 1000 {
			t.Fatalf("page %d has %d entries and a next page: %+v", pages, len(page.Entries), q)
		}
	}
	compare(t, "forward", got, want)
}

func checkBackward(ctx context.Context, t *testing.T, store *entries.Log, org models.Organization, q entries.Query, want []models.Entry) {
	t.Helper()
	if len(want) == 0 {
		return
	}
	q.Cursor = entries.CursorBefore(q.Sort, &want[len(want)-1])
	got := want[len(want)-1:]
	for len(got) <= len(want) {
		page, err := store.Page(ctx, org, q)
		if err != nil {
			t.Fatal(err)
		}
		if page.Previous == nil { // the first page is always whole, and may overlap
			page.Entries = page.Entries[:min(len(page.Entries), len(want)-len(got))]
		}
		got = append(slices.Clone(page.Entries), got...)
		if q.Cursor = page.Previous; q.Cursor == nil {
			break
		}
	}
	compare(t, "backward", got, want)
}

func checkEach(ctx context.Context, t *testing.T, store *entries.Log, org models.Organization, q entries.Query, want []models.Entry) {
	t.Helper()
	var got []models.Entry
	err := store.Each(ctx, org, q, func(stored []models.Entry) error {
		got = append(got, stored...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "each", got, want)
	for i := range min(len(got), len(want)) {
		if got[i].Metadata != want[i].Metadata {
			t.Errorf("metadata of %d: %q, want %q", i, got[i].Metadata, want[i].Metadata)
		}
	}
}

// checkAmong asks of every second entry, by ID.
func checkAmong(ctx context.Context, t *testing.T, store *entries.Log, org models.Organization, q entries.Query, stored, want []models.Entry) {
	t.Helper()
	var asked []models.EntryID
	for i := 0; i < len(stored); i += 2 {
		asked = append(asked, stored[i].ID)
	}
	among := slices.DeleteFunc(slices.Clone(want), func(e models.Entry) bool { return !slices.Contains(asked, e.ID) })
	slices.SortFunc(among, func(a, b models.Entry) int { return b.ID.Compare(a.ID) })
	got, err := store.Among(ctx, org, q, asked)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "among", got, among)
}

func compare(t *testing.T, what string, got, want []models.Entry) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d entries, want %d", what, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i].ID != want[i].ID {
			t.Errorf("%s: entry %d is %s %s %s, want %s %s %s", what, i, got[i].ID, got[i].Action, got[i].ActorName,
				want[i].ID, want[i].Action, want[i].ActorName)
			return
		}
	}
}

func TestEntryIsRead(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org, other := logtest.Organization(t, store.Store, "acme"), logtest.Organization(t, store.Store, "other")
		want := models.Entry{Action: "service:update", EntityType: "svc", EntityID: "s1", EntityName: "API", ActorID: "u1",
			ActorName: "Anna", ActorEmail: "a@example.com", Source: "cli", IP: "::1", UserAgent: "ua", RequestID: "r1",
			URL: "https://example.com", Metadata: `{"a":1}`, OccurredAt: models.MicrosOf(now.Add(-time.Hour)), RecordedAt: models.MicrosOf(now),
			Outcome: event.OutcomeFailure, Reason: "why", NativeAction: "svc.Update", ActorType: event.ActorAgent, Masked: 2,
			Related:    []event.Resource{{Type: "subnet", ID: "sn-1", Name: "internal", Role: "network"}, {Type: "image", ID: "im-1"}},
			OnBehalfOf: &event.Principal{Type: event.ActorService, ID: "ci", Name: "CI", Email: "ci@example.com", Session: "s-1"}}
		want = logtest.Insert(t, store.Store, org, want)[0]
		want.Parts = len(want.Related) + 1 // and for whom
		got, err := store.FindEntry(t.Context(), org, want.ID)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		if page, err := store.PageWithMetadata(t.Context(), org, entries.Query{}); err != nil || !reflect.DeepEqual(page.Entries, []models.Entry{want}) {
			t.Errorf("a page with metadata is %+v, %v", page.Entries, err)
		}
		listed := want
		listed.IP, listed.UserAgent, listed.RequestID, listed.Metadata, listed.Reason, listed.Masked = "", "", "", "", "", 0
		if page, err := store.Page(t.Context(), org, entries.Query{}); err != nil || !reflect.DeepEqual(page.Entries, []models.Entry{listed}) {
			t.Errorf("a page is %+v, %v", page.Entries, err)
		}
		err = store.Each(t.Context(), org, entries.Query{}, func(got []models.Entry) error {
			if !reflect.DeepEqual(got, []models.Entry{want}) {
				t.Errorf("one of all is %+v", got)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if _, err := store.FindEntry(t.Context(), other, want.ID); err == nil {
			t.Error("another organization reads the entry")
		}
		expired := logtest.Insert(t, store.Store, org, models.Entry{OccurredAt: models.MicrosOf(now.AddDate(0, 0, -91))})[0]
		if _, err := store.FindEntry(t.Context(), org, expired.ID); err == nil {
			t.Error("an expired entry can be read")
		}
	})
}
