package handlers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/handlers/question"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
)

// Every value of an opened entry leads on: to the log of what has it, and to the log without that. Both keep the
// filters of the list that the entry was opened from.

const (
	// maxWayText is the longest value, in bytes, that is offered: questions take no longer ones.
	maxWayText = maxSearchBytes
	// maxWays is how long all addresses of an entry's values may be together, in bytes: an entry has a thousand of them,
	// and a filter may be long.
	maxWays = 400_000
)

// wayfinder makes the ways of one entry.
type wayfinder struct {
	filter Filter
	log    string // the log's address without a query
	entry  string // its ID
	made   int
	left   int // bytes of addresses
}

// to is the way of a value; nil where it offers nothing.
func (w *wayfinder) to(name, text string, field entries.Field, path ...string) *views.Way {
	if text == "" || len(text) > maxWayText || w.left <= 0 {
		return nil
	}
	w.made++
	way := &views.Way{ID: fmt.Sprintf("%s-%d", w.entry, w.made), Name: name, Text: text}
	term := entries.Term{Field: field, Path: path, Values: []string{entries.Literal(text)}}
	sayable := question.CanSay(term)
	if only := w.filter.Only(term); (sayable || parameterOf[field] != "") && len(only.Question()) <= maxSearchBytes {
		way.Only = only.Address(w.log)
	}
	if except := w.filter.Except(term); sayable && len(except.Question()) <= maxSearchBytes {
		way.Except = except.Address(w.log)
	}
	w.left -= len(way.Only) + len(way.Except) + len(text)
	return way
}

// parameterOf is the parameter of the address that a field of the language has, where one value of it says the same.
var parameterOf = map[entries.Field]string{
	entries.FieldAction: "action", entries.FieldActor: "actor", entries.FieldOutcome: "outcome", entries.FieldType: "entity_type",
	entries.FieldIP: "ip", entries.FieldRequest: "request_id", entries.FieldSource: "source", entries.FieldKey: "api_key",
}

// Only restricts to what an entry's own value lets through, which the term holds alone and as it is. Of what an entry
// has one of, it takes the place of others.
func (f Filter) Only(t entries.Term) Filter {
	value, _ := question.Exact(t.Values[0])
	t.Not = true
	f = f.Without("q", question.TermString(t))
	t.Not = false
	switch name := parameterOf[t.Field]; name {
	case "action":
		return f.WithAction(value)
	case "actor":
		return f.WithActor(value)
	case "outcome":
		f.Outcomes = []event.Outcome{event.Outcome(value)}
		return f
	case "entity_type":
		f.EntityType = value
		return f
	case "":
		return f.WithTerm(t)
	default:
		return f.With(name, value)
	}
}

// Except leaves out what an entry's own value lets through.
func (f Filter) Except(t entries.Term) Filter {
	value, _ := question.Exact(t.Values[0])
	f = f.Without("q", question.TermString(t))
	switch name := parameterOf[t.Field]; name {
	case "action", "actor", "outcome":
		f = f.Without(name, value)
	case "entity_type":
		if f.EntityType == value {
			f.EntityType = ""
		}
	case "":
	default:
		if slices.Contains(f.Provenance(), parameter{name, kindOf(t), value}) {
			f = f.With(name, "")
		}
	}
	t.Not = true
	return f.WithTerm(t)
}

// findWays fills in what the entry's values offer, where the list it was opened from shows what filter lets through.
func (v *entryView) findWays(filter Filter, log string) {
	w := &wayfinder{filter: filter.At(nil), log: log, entry: v.ID.String(), left: maxWays}
	v.Ways = map[string]*views.Way{
		"outcome": w.to("Outcome", string(v.Outcome), entries.FieldOutcome),
		"user":    w.to("User", v.ActorID, entries.FieldActor),
		"source":  w.to("Source", v.Source, entries.FieldSource),
		"ip":      w.to("IP", v.IP, entries.FieldIP),
		"key":     w.to("API key", v.APIKeyID, entries.FieldKey),
		"request": w.to("Request ID", v.RequestID, entries.FieldRequest),
		"action":  w.to("Action", v.Action, entries.FieldAction),
		"native":  w.to("Native action", v.NativeAction, entries.FieldAction),
		"type":    w.to("Entity type", v.EntityType, entries.FieldType),
		"entity":  w.to("Entity ID", v.EntityID, entries.FieldID),
		"name":    w.to("Entity name", v.EntityName, entries.FieldName),
	}
	if native := v.Ways["native"]; native != nil && !entries.IsNative(v.NativeAction) {
		native.Only = "" // the address takes it for an action of ours
	}
	if v.OnBehalfOf != nil {
		v.Ways["behalf"] = w.to("On behalf of", v.OnBehalfOf.ID, entries.FieldActor)
	}
	for i := range v.Related {
		v.Related[i].Way = w.to("Related "+v.Related[i].Type, v.Related[i].ID, entries.FieldID)
	}
	v.Metadata.Leaves(func(value *views.Value) {
		value.Way = w.to(strings.Join(value.Path, "."), value.Stored, entries.FieldMetadata, value.Path...)
	})
	v.Around = aroundOf(v.OccurredAt, filter, log)
}

// aroundLinks lead to the log around a moment, as one filter lets it through.
type aroundLinks struct {
	Note  string // in words which; empty where there is no choice
	Links []aroundLink
}

type aroundLink struct{ Label, Address string }

// arounds are how much of the log is shown on either side.
var arounds = []struct {
	label string
	span  time.Duration
}{{"± 1 minute", time.Minute}, {"± 5 minutes", 5 * time.Minute}, {"± 1 hour", time.Hour}}

// aroundOf leads to the log around a moment: with the filters, and where there are any, without.
func aroundOf(occurred models.Micros, filter Filter, log string) (groups []aroundLinks) {
	links := func(filter Filter) (links []aroundLink) {
		for _, around := range arounds {
			at := occurred.Time()
			links = append(links, aroundLink{around.label, filter.Between(at.Add(-around.span), at.Add(around.span+time.Second)).Address(log)})
		}
		return links
	}
	filter.From, filter.To = Bound{}, Bound{}
	if !filter.Narrows() {
		return []aroundLinks{{Links: links(filter)}}
	}
	return []aroundLinks{{"With these filters", links(filter)}, {"Without them", links(filter.All())}}
}
