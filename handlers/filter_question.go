package handlers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/handlers/question"
	"github.com/auditlogs/auditlogs/models/entries"
)

// The part of a filter that is a question in the query language: what the search box says, and what becomes of its terms.

func (f *Filter) questionName() string {
	if f.inAPI {
		return apiQuestion
	}
	return pageQuestion
}

// ask takes in a question and returns why not all of it could be understood, or "".
func (f *Filter) ask(text string, r Reading) string {
	if len(text) > maxSearchBytes {
		return fmt.Sprintf("is longer than %d bytes", maxSearchBytes)
	}
	asked, problems := question.Parse(text, question.Env{Actions: r.Actions, Zone: f.Zone, Moment: func(text string, end bool) bool {
		_, ok := parseBound(text, f.Zone, r.Now, end)
		return ok
	}})
	f.Search = strings.Join(append(strings.Fields(f.Search), asked.Words...), " ")
	for _, after := range asked.After {
		if bound, _ := parseBound(after, f.Zone, r.Now, false); bound.At > f.From.At {
			f.From = bound
		}
	}
	for _, before := range asked.Before {
		if bound, _ := parseBound(before, f.Zone, r.Now, true); f.To.At == 0 || bound.At < f.To.At {
			f.To = bound
		}
	}
	cursor := f.Cursor
	for _, term := range asked.Terms {
		*f = f.WithTerm(term)
		f.Cursor = cursor
	}
	if f.Problems = problems; len(problems) > 0 {
		return "cannot be understood: " + problems[0].Error()
	}
	return ""
}

// WithTerm restricts to what a term lets through. What another field says as well, it says: so one view has one
// address. actor:, type: and key: stay terms, which find more than the parameters do: names, related resources.
func (f Filter) WithTerm(t entries.Term) Filter {
	f.Cursor = nil
	if !f.holds(t) {
		f = f.withQuestion(f.question().With(t))
	}
	return f
}

// holds has another field say what a term does, where that field is free, and reports whether it does.
func (f *Filter) holds(t entries.Term) bool {
	var values []string
	for _, value := range t.Values {
		text, alone := question.Exact(value)
		if !alone {
			return false
		}
		values = append(values, text)
	}
	one := func(field *string) bool {
		if len(values) != 1 || *field != "" && *field != values[0] {
			return false
		}
		*field = values[0]
		return true
	}
	switch {
	case t.Not:
		return false
	case t.Field == entries.FieldAction:
		return allOf(&f.Actions, values)
	case t.Field == entries.FieldOutcome:
		var outcomes []event.Outcome
		for _, value := range values {
			outcomes = append(outcomes, event.Outcome(value))
		}
		return allOf(&f.Outcomes, outcomes)
	case t.Field == entries.FieldIP:
		return !strings.Contains(values[0], "/") && one(&f.IP)
	case t.Field == entries.FieldRequest:
		return one(&f.RequestID)
	case t.Field == entries.FieldSource:
		return one(&f.Source)
	}
	return false
}

// allOf fills an empty list, and reports whether it holds these values and no other.
func allOf[T cmp.Ordered](list *[]T, values []T) bool {
	if len(*list) == 0 {
		*list = values
	}
	return slices.Equal(slices.Sorted(slices.Values(*list)), slices.Sorted(slices.Values(values)))
}

// question is what no other field says.
func (f Filter) question() question.Question {
	return question.Question{Words: strings.Fields(f.Search), Terms: f.Terms}
}

func (f Filter) withQuestion(q question.Question) Filter {
	f.Search, f.Terms = strings.Join(q.Words, " "), q.Terms
	return f
}

// Words are those to search for, as the search box says them.
func (f Filter) Words() string { return f.question().WordsString() }

// Question is what the search box says: words, phrases, and terms that are no filters of their own.
func (f Filter) Question() string { return f.question().String() }
