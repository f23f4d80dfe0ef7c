package handlers

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/question"
	"github.com/auditlogs/auditlogs/models/entries"
)

// Filter is what the query of the log's address says: which entries, in which order, and which
// page of them. It prints the address it came from in one canonical form, in which whatever has
// its default value is left out, and the addresses of its neighbours: without one part, sorted by
// another column, one page on.
type Filter struct {
	Actions    []string
	Actors     []string
	Outcomes   []event.Outcome
	EntityType string
	IP         string
	RequestID  string
	APIKey     string // by ID
	Source     string
	Search     string         // words
	Terms      []entries.Term // what the question asks beyond the words and what has a field here
	From, To   Bound
	Zone       *time.Location // what days From and To mean
	Sort       entries.Sort
	Ascending  bool
	Limit      int
	Columns    []string // of the table, besides alwaysColumns; nil for defaultColumns
	Cursor     *entries.Cursor

	// Problems are the parts of the question that were not understood: the rest is in the other fields.
	Problems []question.Problem

	// DefaultView has the address say so where it restricts nothing: without a parameter it would show the reader's default view.
	DefaultView bool

	inAPI   bool   // addresses say the question as the API has it
	refused string // the value that could not be used, as it was sent

	seal        *cursorSeal // of its cursors; nil where they are sent as they are
	cursorAsked string      // the cursor as it was sent
}

// The parameters that hold a question: of the pages, and of the API, where q is plain words.
const (
	pageQuestion = "q"
	apiQuestion  = "query"
)

// everything is the value of the parameter view that has the address show all entries, whatever the reader's default is.
const everything = "all"

// Page sizes the address may ask for; the default is left out of it.
var pageSizes = []int{25, defaultPageSize, 100}

// sortedColumns are those that the table can be sorted by.
var sortedColumns = []entries.Sort{entries.SortTimestamp, entries.SortAction, entries.SortEntityType, entries.SortUser}

const (
	defaultPageSize = 50
	maxSearchBytes  = 1000
	maxRepeats      = 200 // values of one repeated parameter
	maxActorBytes   = 512
	// maxAddress is how long the log's address may become by ticking, in bytes: servers and proxies in
	// between may take no more.
	maxAddress = 4096
)

// provenance are the filters by where an event was sent from, each by exact value: their names in the address and
// in words, the longest value that is stored, in bytes, and where the filter keeps it.
var provenance = []struct {
	name, kind string
	longest    int
	of         func(f *Filter) *string
}{
	{"ip", "IP", 64, func(f *Filter) *string { return &f.IP }},
	{"request_id", "Request ID", 200, func(f *Filter) *string { return &f.RequestID }},
	{"api_key", "API key", 100, func(f *Filter) *string { return &f.APIKey }},
	{"source", "Source", 100, func(f *Filter) *string { return &f.Source }},
}

var provenanceNames = func() (names []string) {
	for _, p := range provenance {
		names = append(names, p.name)
	}
	return names
}()

// filterParameters are the names the log's address knows, in the order it writes them.
var filterParameters = slices.Concat([]string{"action", "actor", "outcome", "entity_type"}, provenanceNames,
	[]string{"q", "from", "to", "tz", "sort", "dir", "limit", "cursor"})

var (
	apiFilterParameters  = append(slices.Clip(filterParameters), apiQuestion)
	pageFilterParameters = append(slices.Clip(filterParameters), "column", "view")
)

// Reading is what the meaning of an address depends on besides the address.
type Reading struct {
	Zone    *time.Location  // the reader's: what dates mean where the query has no tz
	Now     time.Time       // what relative times count from
	Actions func() []string // the recorded actions (question.Env)
	InAPI   bool
	// DefaultView reports whether the reader has one: see Filter.DefaultView.
	DefaultView bool
	seal        *cursorSeal // see Filter.seal
}

// ParseFilter reads the query of an address of the log's page, where no recorded actions are known.
func ParseFilter(query string, zone *time.Location, now time.Time) (Filter, error) {
	return Reading{Zone: zone, Now: now}.Filter(query)
}

// wholeLog is the filter of an address without a query.
func wholeLog(zone *time.Location) Filter {
	return Filter{Zone: zone, Sort: entries.SortTimestamp, Limit: defaultPageSize}
}

// Filter reads the query of an address.
//
// Empty values are absent, unknown names are ignored. A malformed value of a known name gives a
// *fault.Field that names it; the filter then holds everything else. Of several values of a name that
// is not repeated the last one counts, so that a control can override what a form carries along.
func (r Reading) Filter(query string) (Filter, error) {
	f := wholeLog(r.Zone)
	f.DefaultView, f.inAPI, f.seal = r.DefaultView, r.InAPI, r.seal
	var bad error
	refuse := func(name string, code fault.Code, value, reason string) {
		if bad == nil {
			bad, f.refused = badParameter(name, code, "%s", reason), value
		}
	}
	known := pageFilterParameters
	if r.InAPI {
		known = apiFilterParameters
	}

	values := url.Values{}
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || !slices.Contains(known, name) {
			continue
		}
		text, err := url.QueryUnescape(value)
		switch {
		case err != nil:
			refuse(name, fault.Malformed, value, "is not encoded as an address should be")
		case !isText(text):
			refuse(name, fault.Malformed, strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "�"), "�"), "is not text")
		case strings.TrimSpace(text) != "":
			values[name] = append(values[name], text)
		}
	}

	// Zone, sort and direction come first: others are read by them.
	for _, name := range slices.Concat([]string{"tz", "sort", "dir"}, known) {
		for _, value := range values[name] {
			if reason := f.set(name, value, r.Now); reason != "" {
				refuse(name, fault.Invalid, value, reason)
			}
		}
		if name == "dir" && len(values["dir"]) == 0 {
			f.Ascending = f.Sort != entries.SortTimestamp
		}
	}
	f.arrange()
	if texts := values[f.questionName()]; len(texts) > 0 {
		text := texts[len(texts)-1]
		if reason := f.ask(text, r); reason != "" {
			refuse(f.questionName(), fault.Invalid, text, reason)
		}
	}
	if bad != nil {
		f.Cursor = nil
		return f, bad
	}
	return f, nil
}

// set reads one value and returns why it cannot, or "".
func (f *Filter) set(name, value string, now time.Time) string {
	switch name {
	case "action":
		entity, whole := strings.CutSuffix(value, entries.AnyVerb)
		switch {
		case entries.IsNative(value):
			if len(value) > event.MaxNativeAction {
				return fmt.Sprintf("is longer than %d bytes, which no action is", event.MaxNativeAction)
			}
		case whole:
			f.Actions = slices.DeleteFunc(f.Actions, func(action string) bool {
				return action != value && !entries.IsNative(action) && ofEntity(action) == entity
			})
		case slices.Contains(f.Actions, ofEntity(value)+entries.AnyVerb):
			return ""
		}
		return addOnce(&f.Actions, value)
	case "actor":
		if len(value) > maxActorBytes {
			return fmt.Sprintf("is longer than %d bytes", maxActorBytes)
		}
		return addOnce(&f.Actors, value)
	case "outcome":
		if !slices.Contains(question.Outcomes, event.Outcome(value)) {
			return "must be success, failure or denied"
		}
		return addOnce(&f.Outcomes, event.Outcome(value))
	case "entity_type":
		if !action.ValidEntityType(value) {
			return "must be lower case letters, digits and _, such as notification_channel"
		}
		f.EntityType = value
	case "column":
		return f.setColumn(strings.TrimSpace(value))
	case "view":
		if value != everything {
			return "must be all; a view has an address of its own"
		}
	case apiQuestion: // read at the end
	case "q":
		switch {
		case !f.inAPI: // read at the end
		case len(value) > maxSearchBytes:
			return fmt.Sprintf("is longer than %d bytes", maxSearchBytes)
		default:
			f.Search = strings.Join(strings.Fields(value), " ")
		}
	case "tz":
		zone, ok := zoneOf(value)
		if !ok {
			return "is not the name of a time zone, such as Europe/Berlin"
		}
		f.Zone = zone
	case "from", "to":
		bound, ok := parseBound(value, f.Zone, now, name == "to")
		if !ok {
			return "must be a date (2026-11-20), a time (2026-11-20T14:03, or 2026-11-20T14:03:22Z) or how long ago (-24h, -7d)"
		}
		if name == "from" {
			f.From = bound
		} else {
			f.To = bound
		}
	case "sort":
		sort := entries.Sort(value)
		if !slices.Contains(sortedColumns, sort) {
			return "must be timestamp, action, entity_type or user"
		}
		f.Sort = sort
	case "dir":
		if value != "asc" && value != "desc" {
			return "must be asc or desc"
		}
		f.Ascending = value == "asc"
	case "limit":
		limit, err := strconv.Atoi(value)
		if err != nil || strconv.Itoa(limit) != value || !slices.Contains(pageSizes, limit) {
			return "must be 25, 50 or 100"
		}
		f.Limit = limit
	case "cursor":
		cursor, ok := f.readCursor(value)
		if !ok {
			return "does not belong to this list; begin again at its first page"
		}
		f.Cursor, f.cursorAsked = &cursor, value
	default:
		for _, p := range provenance {
			if p.name == name && len(value) > p.longest {
				return fmt.Sprintf("is longer than %d bytes, which no entry has", p.longest)
			}
		}
		*f = f.With(name, value)
	}
	return ""
}

// isText reports whether s can be looked for in a database: PostgreSQL takes neither other bytes than
// UTF-8 nor NUL.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// ofEntity is the part of an action before the colon.
func ofEntity(action string) string {
	entity, _, _ := strings.Cut(action, ":")
	return entity
}

func addOnce[T comparable](list *[]T, value T) string {
	if slices.Contains(*list, value) {
		return ""
	}
	if len(*list) == maxRepeats {
		return fmt.Sprintf("is given more than %d times", maxRepeats)
	}
	*list = append(*list, value)
	return ""
}

// Query is the question to the log.
func (f Filter) Query() entries.Query {
	return entries.Query{
		Actions: f.Actions, Actors: f.Actors, Outcomes: f.Outcomes, EntityType: f.EntityType, Search: f.Search, Terms: f.Terms,
		IP: f.IP, RequestID: f.RequestID, APIKey: f.APIKey, Source: f.Source,
		From: f.From.At, To: f.To.At,
		Sort: f.Sort, Ascending: f.Ascending, Cursor: f.Cursor, Limit: f.Limit, Also: f.also(),
	}
}

// Narrows reports whether some entries may be left out.
func (f Filter) Narrows() bool { return f.Parts() > 0 }

// Parts counts what is on: as many as there are chips.
func (f Filter) Parts() int {
	texts := []string{f.EntityType, f.Search, f.From.Text, f.To.Text}
	texts = slices.DeleteFunc(texts, func(text string) bool { return text == "" })
	return len(f.Actions) + len(f.Actors) + len(f.Outcomes) + len(f.Provenance()) + len(f.Terms) + len(texts)
}

// parameter is one value of the address, and what it is called in words.
type parameter struct{ Name, Kind, Value string }

// Provenance returns those of its filters that are on.
func (f Filter) Provenance() (on []parameter) {
	for _, p := range provenance {
		if value := *p.of(&f); value != "" {
			on = append(on, parameter{p.name, p.kind, value})
		}
	}
	return on
}

// DefaultOrder reports whether newest is first: the order in which pages are called newer and older.
func (f Filter) DefaultOrder() bool { return f.Sort == entries.SortTimestamp && !f.Ascending }

// ZoneName is the name of the zone that From and To are meant in.
func (f Filter) ZoneName() string { return f.Zone.String() }

// All is the filter without any restriction, in the same order.
func (f Filter) All() Filter {
	return Filter{Zone: f.Zone, Sort: f.Sort, Ascending: f.Ascending, Limit: f.Limit, Columns: f.Columns, DefaultView: f.DefaultView, inAPI: f.inAPI}
}

// Without leaves out one value: of action, actor and outcome the one given, of q the term given or
// the words, of the others the one there is.
// What remains begins at its first page.
func (f Filter) Without(name, value string) Filter {
	f.Cursor = nil
	drop := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == value })
	}
	switch name {
	case "action":
		f.Actions = drop(f.Actions)
	case "actor":
		f.Actors = drop(f.Actors)
	case "outcome":
		f.Outcomes = slices.DeleteFunc(slices.Clone(f.Outcomes), func(outcome event.Outcome) bool { return string(outcome) == value })
	case "entity_type":
		f.EntityType = ""
	case "q":
		if value == "" || value == f.Words() {
			f.Search = ""
		} else {
			f = f.withQuestion(f.question().Without(value))
		}
	case "from":
		f.From = Bound{}
	case "to":
		f.To = Bound{}
	default:
		return f.With(name, "")
	}
	return f
}

// With restricts to one value of the provenance: an IP, a request ID, an API key or a source.
func (f Filter) With(name, value string) Filter {
	f.Cursor = nil
	for _, p := range provenance {
		if p.name == name {
			*p.of(&f) = value
		}
	}
	return f
}

// WithActor restricts to one actor.
func (f Filter) WithActor(id string) Filter {
	f.Cursor = nil
	f.Actors = []string{id}
	return f
}

// WithAction restricts to one action, by its name or the one its sender gave it.
func (f Filter) WithAction(name string) Filter {
	f.Cursor = nil
	f.Actions = []string{name}
	return f
}

// Since restricts to the time after from, such as "-24h"; "" lifts the restriction.
func (f Filter) Since(from string, now time.Time) Filter {
	f.Cursor, f.To = nil, Bound{}
	f.From, _ = parseBound(from, f.Zone, now, false)
	return f
}

// Between restricts to the time from from to to, to the second.
func (f Filter) Between(from, to time.Time) Filter {
	f.Cursor = nil
	f.From, _ = parseBound(localText(from.Truncate(time.Second), f.Zone, false), f.Zone, from, false)
	f.To, _ = parseBound(localText(to.Truncate(time.Second), f.Zone, true), f.Zone, to, true)
	return f
}

// SortedBy orders by a column, at its first page: the other way round where it is so already,
// otherwise in the direction that suits the column.
func (f Filter) SortedBy(sort entries.Sort) Filter {
	f.Cursor = nil
	if f.Sort == sort {
		f.Ascending = !f.Ascending
	} else {
		f.Sort, f.Ascending = sort, sort != entries.SortTimestamp
	}
	return f
}

// At is the page that begins, or ends, at cursor; nil is the first.
func (f Filter) At(cursor *entries.Cursor) Filter {
	f.Cursor, f.cursorAsked = cursor, ""
	return f
}

// String is the canonical query, without the question mark; "" where everything is as by default.
// Colons and slashes stay as they are: addresses are read by people too.
func (f Filter) String() string {
	var parts []string
	for _, p := range f.parameters() {
		parts = append(parts, p.Name+"="+readable.Replace(url.QueryEscape(p.Value)))
	}
	return strings.Join(parts, "&")
}

// parameters are those of the canonical query, in its order.
func (f Filter) parameters() (all []carried) {
	add := func(name, value string) {
		if value != "" {
			all = append(all, carried{name, value})
		}
	}
	for _, action := range f.Actions {
		add("action", action)
	}
	for _, actor := range f.Actors {
		add("actor", actor)
	}
	for _, outcome := range f.Outcomes {
		add("outcome", string(outcome))
	}
	add("entity_type", f.EntityType)
	for _, p := range f.Provenance() {
		add(p.Name, p.Value)
	}
	if f.inAPI && len(f.Terms) == 0 {
		add("q", f.Search)
	} else {
		add(f.questionName(), f.Question())
	}
	add("from", f.From.Text)
	add("to", f.To.Text)
	if f.From.Text != "" || f.To.Text != "" {
		add("tz", f.ZoneName())
	}
	if f.Sort != entries.SortTimestamp {
		add("sort", string(f.Sort))
	}
	add("dir", f.Direction())
	if f.Limit != defaultPageSize {
		add("limit", strconv.Itoa(f.Limit))
	}
	for _, column := range f.ColumnParameters() {
		add("column", column)
	}
	if f.Cursor != nil {
		add("cursor", f.cursorText())
	}
	if len(all) == 0 && f.DefaultView {
		add("view", everything)
	}
	return all
}

var readable = strings.NewReplacer("%3A", ":", "%2F", "/", "%40", "@", "%2A", "*", "%2C", ",")

// Saved is the query that a view keeps: String for anybody, of the first page.
func (f Filter) Saved() string { return f.forAnybody().String() }

// forAnybody is the filter at its first page, in addresses that say the same whatever the reader's default view is.
func (f Filter) forAnybody() Filter {
	f.Cursor, f.DefaultView = nil, false
	return f
}

// Direction is "asc" or "desc" where that is not what the column has by default.
func (f Filter) Direction() string {
	switch {
	case f.Ascending == (f.Sort != entries.SortTimestamp):
		return ""
	case f.Ascending:
		return "asc"
	default:
		return "desc"
	}
}

// Address is path with the canonical query.
func (f Filter) Address(path string) string {
	if query := f.String(); query != "" {
		return path + "?" + query
	}
	return path
}
