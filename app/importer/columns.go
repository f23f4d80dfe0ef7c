package importer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Columns say which column of CSV is which field of an event. Columns that none of them names stay in the
// metadata, under their headings.
type Columns map[string]Column

// Column is where a field comes from. As JSON it is an object, or the column's heading alone.
type Column struct {
	Column string            `json:"column"` // its heading
	Value  string            `json:"value"`  // where the cell is empty, or where there is no column
	Values map[string]string `json:"values"` // what cells stand for; "*" is any that is not listed
	Layout string            `json:"layout"` // of times that are not RFC 3339, as package time writes them: "2006-01-02 15:04:05"
	JSON   bool              `json:"json"`   // cells are JSON
}

// UnmarshalJSON reads a column, or its heading.
func (c *Column) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &c.Column) == nil {
		return nil
	}
	type object Column
	return json.Unmarshal(raw, (*object)(c))
}

// columnFields are the fields that columns can fill, besides metadata and names within it.
var columnFields = []string{
	"id", "organization", "external_id", "action", "entity_type", "entity_id", "entity_name", "outcome", "reason", "url", "occurred_at",
	"actor.type", "actor.id", "actor.name", "actor.email", "request.ip", "request.user_agent", "request.id",
	"actor.on_behalf_of.type", "actor.on_behalf_of.id", "actor.on_behalf_of.name", "actor.on_behalf_of.email", "actor.on_behalf_of.session", "metadata",
}

const inMetadata = "metadata."

// ReadColumns reads a map of columns: a JSON object of our fields.
func ReadColumns(from io.Reader) (Columns, error) {
	var columns Columns
	if err := json.NewDecoder(from).Decode(&columns); err != nil {
		return nil, fmt.Errorf("read the columns: %w", err)
	}
	return columns, nil
}

// Check refuses fields that no event has, and a map without those that every event needs.
func (c Columns) Check() error {
	for field := range c {
		if !slices.Contains(columnFields, field) && !strings.HasPrefix(field, inMetadata) {
			return fault.Newf(field, fault.Invalid, "is not a field of an event; those are %s", strings.Join(columnFields, ", "))
		}
	}
	for _, field := range []string{"action", "occurred_at"} {
		if _, given := c[field]; !given {
			return fault.Newf(field, fault.Required, "is required: no column is given for it")
		}
	}
	return nil
}

// cell returns what the row says of a field.
func (c Columns) cell(row record, field string) string {
	column := c[field]
	text := row.cell(column.Column)
	if meant, listed := column.Values[text]; listed {
		text = meant
	} else if meant, others := column.Values["*"]; others {
		text = meant
	}
	return cmp.Or(text, column.Value)
}

// cell returns the cell under a heading, which may have dots in it.
func (r record) cell(heading string) string { text, _ := r[heading].(string); return text }

// read returns the event of a row.
func (c Columns) read(t *table, row []byte) (e event.Event, err error) {
	r, err := t.record(row)
	if err != nil {
		return e, err
	}
	for field, column := range c {
		if column.Column != "" && !slices.Contains(t.headings, column.Column) {
			return e, fault.Newf(field, fault.Invalid, "there is no column %.60q", column.Column)
		}
	}
	of := func(field string) string { return c.cell(r, field) }
	e = event.Event{
		ID: of("id"), Organization: of("organization"), ExternalID: of("external_id"), NativeAction: of("action"),
		EntityType: of("entity_type"), EntityID: of("entity_id"), EntityName: of("entity_name"),
		Outcome: event.Outcome(of("outcome")), Reason: of("reason"), URL: of("url"),
		Actor:   event.Actor{Type: event.ActorType(of("actor.type")), ID: of("actor.id"), Name: of("actor.name"), Email: of("actor.email")},
		Request: event.Request{IP: of("request.ip"), UserAgent: of("request.user_agent"), ID: of("request.id")},
	}
	switch actor := &e.Actor; {
	case actor.Type == event.ActorSystem:
		*actor = event.System(actor.Name)
	case actor.Type == event.ActorAnonymous, actor.Type == "" && actor.ID == "" && actor.Name == "" && actor.Email == "":
		*actor = event.Anonymous()
	}
	e.Actor.OnBehalfOf = principal(event.Actor{Type: event.ActorType(of("actor.on_behalf_of.type")), ID: of("actor.on_behalf_of.id"),
		Name: of("actor.on_behalf_of.name"), Email: of("actor.on_behalf_of.email")}, of("actor.on_behalf_of.session"))
	if e.NativeAction == "" {
		return e, fault.Newf("action", fault.Required, "is required")
	}
	if e.Metadata, err = c.metadata(t, r); err != nil {
		return e, err
	}
	if layout := c["occurred_at"].Layout; layout != "" {
		if e.OccurredAt, err = time.Parse(layout, of("occurred_at")); err != nil {
			return e, fault.Newf("occurred_at", fault.Invalid, "%.60q is not a time such as %s", of("occurred_at"), layout)
		}
		return e, nil
	}
	e.OccurredAt, err = event.ParseTime("occurred_at", of("occurred_at"))
	return e, err
}

// metadata returns what the map puts there, and every cell that no field has.
func (c Columns) metadata(t *table, r record) (any, error) {
	metadata := record{}
	used := map[string]bool{}
	for _, field := range slices.Sorted(maps.Keys(c)) { // the same each time, where two fill one name
		column := c[field]
		used[column.Column] = true
		name, named := strings.CutPrefix(field, inMetadata)
		text := c.cell(r, field)
		if !named && field != "metadata" || text == "" {
			continue
		}
		var value any = text
		if column.JSON {
			decoder := json.NewDecoder(strings.NewReader(text))
			decoder.UseNumber()
			if err := decoder.Decode(&value); err != nil {
				return nil, fault.Newf(field, fault.Malformed, "is not JSON: %s", err)
			}
		}
		if object, ok := value.(map[string]any); ok && !named {
			maps.Copy(metadata, object)
			continue
		}
		metadata[cmp.Or(name, column.Column)] = value
	}
	for _, heading := range t.headings {
		if text := r.cell(heading); text != "" && !used[heading] {
			if _, there := metadata[heading]; there {
				heading += " (column)"
			}
			metadata[heading] = text
		}
	}
	if len(metadata) == 0 {
		return nil, nil
	}
	return metadata, nil
}
