package benchdata

import (
	"context"
	"encoding/json"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/actors"
	"github.com/auditlogs/auditlogs/models/counts"
	"github.com/auditlogs/auditlogs/models/entries"
)

// Question is one that people ask of a log.
type Question struct {
	Name string
	// Query is the page asked for, or what is counted; zero where Ask is something else.
	Query entries.Query
	// Sparse says that the search finds hardly anything; Rare, that it finds a few in a thousand.
	Sparse, Rare bool
	// Further says that it asks for what no filled log holds.
	Further bool
	// Counts says that it asks how many there are, of what the follower keeps.
	Counts bool
	// Facet is the filter of which it asks so for each value.
	Facet counts.Facet
	// Buffers bounds how many buffers of PostgreSQL answering it may touch, in a log of any size.
	Buffers int

	ask func(ctx context.Context, store *entries.Log, org models.Organization) (rows int, err error)
}

// Names of the questions that are not pages of the log.
const (
	ActionMenu   = "dropdown: actions and types"
	ActorMenu    = "dropdown: users"
	ActorNames   = "names of users"
	CappedCount  = "count behind the retention question"
	DeepPage     = "page 100,000"
	NothingFound = "search: nothing found"
	ActionText   = "search: action text"
	ByActionAsc  = "sort by action, A to Z"
	Commit       = "terms: a commit in metadata"
	PartOfCommit = "terms: part of a commit in metadata"
	Among        = "live: the newest that answer"
)

// NamedActors are those that ActorNames asks for.
var NamedActors = []string{"usr_0000", "usr_0199", "usr_9999", models.SystemActorID}

// What no filled log holds, but some questions ask for.
const (
	NativeAction = "iam:CreateRole"
	Principal    = "usr_principal"
)

// IsPage reports whether the question asks for a page of the log.
func (q Question) IsPage() bool { return q.ask == nil }

// Ask asks the question and answers how many rows there were.
func (q Question) Ask(ctx context.Context, store *entries.Log, org models.Organization) (rows int, err error) {
	if q.ask != nil {
		return q.ask(ctx, store, org)
	}
	page, err := store.Page(ctx, org, q.Query)
	return len(page.Entries), err
}

// PageSize is how many entries the questions ask for.
const PageSize = 50

// CountedEntries is up to how many entries are counted before retention is lowered.
const CountedEntries = 10_000

// maxPage is the page that DeepPage asks for, where there are that many before the middle.
const maxPage = 100_000

// counting asks how many entries answer and when they occurred, as the page does above its table.
func counting(name string, query entries.Query) Question {
	return Question{Name: name, Query: query, Counts: true, ask: func(ctx context.Context, store *entries.Log, org models.Organization) (int, error) {
		answer, err := counts.Of(ctx, store, org, query)
		return len(answer.Buckets), err
	}}
}

// faceting asks how many entries each value of a filter lets through, as its menu does: of users, those that it offers.
func faceting(name string, of counts.Facet, query entries.Query) Question {
	return Question{Name: name, Query: query, Facet: of, ask: func(ctx context.Context, store *entries.Log, org models.Organization) (int, error) {
		var ids []string
		if of == counts.FacetActor {
			latest, _, err := actors.Latest(ctx, store.Store, org, 20)
			if err != nil {
				return 0, err
			}
			for _, actor := range latest {
				ids = append(ids, actor.ID)
			}
		}
		numbers, err := counts.Facets(ctx, store, org, query, of, ids)
		return len(numbers), err
	}}
}

// Questions are asked of the organization with slug, Large or a Small one.
func (s Spec) Questions(slug string) []Question {
	middle := s.eventOf(slug, s.Rows/2)
	at := models.MicrosOf(middle.OccurredAt)
	deep := func(sort entries.Sort, value string) *entries.Cursor {
		return &entries.Cursor{Value: value, ID: models.FirstEntryID(at)}
	}
	const common, rare = string(action.DeploymentCreate), string(action.SubscriptionCancel)
	const busy, idle, nobody = "usr_0000", "usr_0199", "usr_9999"
	hour := func(from time.Time) entries.Query {
		return entries.Query{From: models.MicrosOf(from), To: models.MicrosOf(from.Add(time.Hour))}
	}
	end := s.Until.Truncate(time.Second)

	questions := []Question{
		{Name: "newest page"},
		{Name: DeepPage, Query: entries.Query{Cursor: &entries.Cursor{ID: s.deepID(slug)}}},
		{Name: "oldest first", Query: entries.Query{Ascending: true}},
		{Name: "oldest first, deep", Query: entries.Query{Ascending: true, Cursor: deep(entries.SortTimestamp, "")}},
	}
	for _, sorted := range []struct {
		sort                    entries.Sort
		name, ascending, middle string
	}{
		{entries.SortAction, "sort by action", ByActionAsc, string(action.ServiceUpdate)},
		{entries.SortEntityType, "sort by entity type", "sort by entity type, A to Z", "service"},
		{entries.SortUser, "sort by user", "sort by user, A to Z", models.Fold(happening{person: 57}.actorName())},
	} {
		for _, ascending := range []bool{true, false} {
			name := sorted.ascending
			if !ascending {
				name = sorted.name + ", Z to A"
			}
			q := entries.Query{Sort: sorted.sort, Ascending: ascending}
			questions = append(questions, Question{Name: name, Query: q})
			q.Cursor = deep(sorted.sort, sorted.middle)
			questions = append(questions, Question{Name: name + ", deep", Query: q})
		}
	}
	sparse := func(name string, q entries.Query) {
		questions = append(questions, Question{Name: name, Query: q, Sparse: true})
	}
	pages := func(name string, q entries.Query) { questions = append(questions, Question{Name: name, Query: q}) }
	pages("action: common", entries.Query{Actions: []string{common}})
	pages("action: rare", entries.Query{Actions: []string{rare}})
	pages("user: busy", entries.Query{Actors: []string{busy}})
	pages("user: idle", entries.Query{Actors: []string{idle}})
	pages("user: system", entries.Query{Actors: []string{models.SystemActorID}})
	pages("action and user: common", entries.Query{Actions: []string{common}, Actors: []string{busy}})
	pages("action and user: rare", entries.Query{Actions: []string{rare}, Actors: []string{idle}})
	pages("action and user: nothing", entries.Query{Actions: []string{common}, Actors: []string{nobody}})
	pages("three actions", entries.Query{Actions: []string{common, string(action.ServiceUpdate), rare}})
	pages("outcome: success", entries.Query{Outcomes: []event.Outcome{event.OutcomeSuccess}})
	sparse("outcome: denied", entries.Query{Outcomes: []event.Outcome{event.OutcomeDenied}})
	further := func(name string, q entries.Query) {
		questions = append(questions, Question{Name: name, Query: q, Sparse: true, Further: true})
	}
	further("action: native", entries.Query{Actions: []string{NativeAction}})
	further("search: native action", entries.Query{Search: "iam:cre"})
	further("user: on their behalf", entries.Query{Actors: []string{Principal}})
	further("user: on their behalf, sorted by user", entries.Query{Actors: []string{Principal}, Sort: entries.SortUser, Ascending: true})
	further("user: on their behalf, sorted by action", entries.Query{Actors: []string{Principal, busy}, Sort: entries.SortAction})
	pages("one hour, old", hour(middle.OccurredAt.Add(-Days/3*24*time.Hour)))
	pages("one hour, new", hour(end.Add(-time.Hour)))

	id := middle.EntityID
	sparse("search: exact ID", entries.Query{Search: id})
	sparse("search: rare part", entries.Query{Search: id[7:15]})
	questions = append(questions, Question{Name: "search: a few in a thousand", Query: entries.Query{Search: "billing-media"}, Rare: true})
	sparse("search: a few in ten thousand", entries.Query{Search: id[7:11]})
	pages("search: very common part", entries.Query{Search: "dep_"})
	pages("search: two characters", entries.Query{Search: "de"})
	sparse("search: two characters, nothing found", entries.Query{Search: "#!"})
	pages(ActionText, entries.Query{Search: "rollback"})
	sparse(NothingFound, entries.Query{Search: "no-such-thing"})
	together := hour(end.Add(-30 * 24 * time.Hour))
	together.To = models.MicrosOf(end)
	together.Actions, together.Actors, together.Search = []string{common}, []string{busy}, "billing"
	pages("search, action, user and range: common", together)
	together.Search = id[7:11]
	sparse("search, action, user and range: rare", together)
	sorted := entries.Query{Search: "billing", Sort: entries.SortUser, Ascending: true}
	pages("search, sorted by user", sorted)
	sorted.Sort = entries.SortAction
	pages("search, sorted by action", sorted)

	for _, kind := range []struct{ name, search string }{
		{"an address", "10.0.0.12"}, {"a version", "v2.10.1"}, {"a name and a number", "checkout 1.4"},
		{"two letters", "zq"}, {"two letters of Chinese", "本社"},
	} {
		sparse("search: "+kind.name, entries.Query{Search: kind.search})
	}
	pages("search: two letters of very many entities", entries.Query{Search: "9f"})
	sparse("search: two letters, sorted by user", entries.Query{Search: "zq", Sort: entries.SortUser, Ascending: true})

	for _, asked := range []struct {
		name   string
		query  entries.Query
		sparse bool
	}{
		{"IP: common", entries.Query{IP: commonIP}, false}, {"IP: rare", entries.Query{IP: rareIP}, true},
		{"request ID", entries.Query{RequestID: s.requestID(slug)}, true},
		{"API key: common", entries.Query{APIKey: commonAPIKey}, false}, {"API key: rare", entries.Query{APIKey: rareAPIKey}, true},
		{"source: common", entries.Query{Source: commonSource}, false}, {"source: rare", entries.Query{Source: rareSource}, true},
	} {
		questions = append(questions, Question{Name: asked.name, Query: asked.query, Sparse: asked.sparse})
		asked.query.Sort, asked.query.Ascending = entries.SortUser, true
		questions = append(questions, Question{Name: asked.name + ", sorted by user", Query: asked.query, Sparse: asked.sparse})
	}

	terms := func(name string, sparse bool, all ...entries.Term) {
		questions = append(questions, Question{Name: "terms: " + name, Query: entries.Query{Terms: all}, Sparse: sparse})
	}
	except := entries.Term{Field: entries.FieldAction, Values: []string{common, "service:*"}, Not: true}
	terms("actions by pattern", false, entries.Term{Field: entries.FieldAction, Values: []string{"*:delete", "deployment:*"}})
	terms("not some actions", false, except)
	pages("terms: not some actions, sorted by action", entries.Query{Terms: []entries.Term{except}, Sort: entries.SortAction})
	terms("not the system", false, entries.Term{Field: entries.FieldActor, Values: []string{models.SystemActorID}, Not: true})
	found := func(name string, all ...entries.Term) {
		questions = append(questions, Question{Name: "terms: " + name, Query: entries.Query{Terms: all}, Sparse: true, Further: true})
	}
	found("an idle user by ID", entries.Term{Field: entries.FieldActor, Values: []string{idle}})
	found("nobody", entries.Term{Field: entries.FieldActor, Values: []string{nobody + "@example.com"}})
	found("a resource by ID", entries.Term{Field: entries.FieldID, Values: []string{id}})
	found("resources by part of an ID", entries.Term{Field: entries.FieldID, Values: []string{"*" + id[7:15] + "*"}})
	found("two IPs", entries.Term{Field: entries.FieldIP, Values: []string{rareIP, "192.0.2.250"}})
	terms("users by name", false, entries.Term{Field: entries.FieldActor, Values: []string{"anna *"}})
	terms("resources by name", false, entries.Term{Field: entries.FieldName, Values: []string{"billing*"}})
	terms("a range of IPs", false, entries.Term{Field: entries.FieldIP, Values: []string{"198.51.100.0/24"}})
	terms("a range of IPs that nobody has", true, entries.Term{Field: entries.FieldIP, Values: []string{"10.0.0.0/8"}})
	terms("common in metadata", false, entries.Term{Field: entries.FieldMetadata, Path: []string{"service_name"}, Values: []string{"billing*"}})
	terms("nowhere in metadata", true, entries.Term{Field: entries.FieldMetadata, Values: []string{"no-such-thing"}})
	commit := s.Commit(slug)
	sparse(Commit, entries.Query{Terms: []entries.Term{{Field: entries.FieldMetadata, Values: []string{commit}}}})
	sparse(PartOfCommit, entries.Query{Terms: []entries.Term{{Field: entries.FieldMetadata, Values: []string{commit[5:15]}}}})
	terms("not in metadata", false, entries.Term{Field: entries.FieldMetadata, Values: []string{"billing"}, Not: true})

	pages("one resource's history", entries.Query{EntityType: middle.Action.Entity(), EntityID: id})
	questions = append(questions,
		Question{Name: ActionMenu, ask: func(ctx context.Context, store *entries.Log, org models.Organization) (int, error) {
			kinds, _, err := store.ActionMenu(ctx, org)
			return len(kinds), err
		}},
		Question{Name: ActorMenu, ask: func(ctx context.Context, store *entries.Log, org models.Organization) (int, error) {
			latest, _, err := actors.Latest(ctx, store.Store, org, 20)
			return len(latest), err
		}},
		Question{Name: ActorNames, ask: func(ctx context.Context, store *entries.Log, org models.Organization) (int, error) {
			found, err := actors.ByID(ctx, store.Store, org, NamedActors)
			return len(found), err
		}},
		Question{Name: Among, ask: func(ctx context.Context, store *entries.Log, org models.Organization) (int, error) {
			page, err := store.Page(ctx, org, entries.Query{Limit: 5})
			if err != nil {
				return 0, err
			}
			ids := make([]models.EntryID, len(page.Entries))
			for i := range page.Entries {
				ids[i] = page.Entries[i].ID
			}
			found, err := store.Among(ctx, org, entries.Query{}, ids)
			return len(found), err
		}},
		counting("counts: everything", entries.Query{}),
		counting("counts: an action", entries.Query{Actions: []string{common}}),
		counting("counts: a user", entries.Query{Actors: []string{busy}}),
		counting("counts: an action and a user", entries.Query{Actions: []string{common}, Actors: []string{busy}}),
		counting("counts: a resource", entries.Query{EntityType: middle.Action.Entity(), EntityID: id}),
		faceting("numbers in the menus: actions", counts.FacetAction, entries.Query{}),
		faceting("numbers in the menus: users", counts.FacetActor, entries.Query{}),
		faceting("numbers in the menus: outcomes", counts.FacetOutcome, entries.Query{}),
		faceting("numbers in the menus: types, a week", counts.FacetEntityType, entries.Query{From: models.MicrosOf(end.Add(-7 * 24 * time.Hour))}),
		faceting("numbers in the menus: actions, an idle user", counts.FacetAction, entries.Query{Actors: []string{idle}}),
		counting("counts: a group of actions, a week", entries.Query{Actions: []string{"service:*"}, From: models.MicrosOf(end.Add(-7 * 24 * time.Hour))}),
		Question{Name: CappedCount, ask: func(ctx context.Context, store *entries.Log, org models.Organization) (int, error) {
			return store.CountBefore(ctx, org, at, CountedEntries+1)
		}},
	)
	for i := range questions {
		questions[i].Query.Limit = PageSize
		questions[i].Buffers = questions[i].buffers()
	}
	return questions
}

// buffers is about twice what answering takes before PostgreSQL has vacuumed the log, when an entry that
// an index names is looked up to see whether it is there.
func (q Question) buffers() int {
	switch query := q.Query; {
	case q.Name == ActionMenu:
		return 800
	case q.Name == ActorMenu, q.Name == ActorNames:
		return 300
	case q.Name == Among:
		return 200
	case q.Name == Commit, q.Name == PartOfCommit:
		return 2500
	case q.Name == CappedCount:
		return 1500
	case q.Facet != "":
		return 5000 // as many counts, of all values
	case q.Counts && query.Actions != nil && query.Actors != nil:
		return 12_000 // entries themselves, as many as are counted one by one
	case q.Counts:
		return 2000 // 8,640 quarters of an hour; which actions a group has
	case query.Outcomes != nil && q.Sparse:
		return 120_000 // looked through as far as a page may
	case query.Outcomes != nil:
		return 600
	case query.Terms != nil && q.Sparse && !q.Further:
		return 120_000 // looked through as far as a page may
	case query.Terms != nil && !q.Further:
		return 3000
	case q.Further:
		return 6000 // those of an actor gathered in another order, each looked up
	case query.IP+query.RequestID+query.APIKey+query.Source != "":
		if query.Sort != entries.SortTimestamp && !q.Sparse {
			return 70_000 // looked through as far as a page may: nobody else's entries have them but system's
		}
		return 5000 // a seek in the index of each day
	case query.Search != "" && (query.Actors != nil || query.Sort != ""):
		return 6500 // as many entries looked up as a scan reads, through an index other than that of time
	case q.Rare:
		return 3000 // many are looked through before it is sought
	case query.Search != "" || query.Sort != "":
		return 1500
	case query.Actions != nil || query.Actors != nil || query.EntityID != "":
		return 600
	default:
		return 60
	}
}

// Page is which page DeepPage asks for.
func (s Spec) Page(slug string) int {
	return min(maxPage, int(float64(s.Rows)*shareOf(slug))/PageSize/2)
}

// deepID is the place before that page.
func (s Spec) deepID(slug string) models.EntryID {
	before := float64(s.Page(slug)-1) * PageSize / shareOf(slug)
	return models.FirstEntryID(models.MicrosOf(s.happening(s.Rows - int(before)).at))
}

func shareOf(slug string) float64 {
	if slug == Large {
		return largeShare
	}
	return (1 - largeShare) / SmallOrganizations
}

// requestID is that of a request of an organization, in the middle of the log.
func (s Spec) requestID(slug string) string {
	for n := s.Rows / 2; ; n++ {
		if e := s.Event(n); e.Organization == slug && e.Request.ID != "" {
			return e.Request.ID
		}
	}
}

// Commit is one that stands in the metadata of an event of an organization, in the middle of the log.
func (s Spec) Commit(slug string) string {
	for n := s.Rows / 2; ; n++ {
		if e := s.Event(n); e.Organization == slug {
			var metadata struct{ Commit string }
			if err := json.Unmarshal(e.Metadata.(json.RawMessage), &metadata); err == nil && metadata.Commit != "" {
				return metadata.Commit
			}
		}
	}
}

// eventOf is the first event of an organization from the n-th of the log on.
func (s Spec) eventOf(slug string, n int) audit.Event {
	for slugOf(s.happening(n).org) != slug {
		n++
	}
	return s.Event(n)
}
