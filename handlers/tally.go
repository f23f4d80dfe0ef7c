package handlers

import (
	"errors"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Tally is told what becomes of the events that others send.
type Tally interface {
	// Recorded is called when so many have been committed that are new, of those that came in that way.
	Recorded(way Way, events int)
	// Refused is called for each reason that one was refused for.
	Refused(way Way, reason fault.Code)
}

// Way is how events come in.
type Way string

// The ways in.
const (
	ByAPI    Way = "api"
	ByGitHub Way = "github"
)

// recorded tells the tally that events were committed.
func (h *Handlers) recorded(way Way, events int) {
	if h.Tally != nil && events > 0 {
		h.Tally.Recorded(way, events)
	}
}

// refused tells the tally why events were not recorded, and returns err.
func (h *Handlers) refused(way Way, err error) error {
	if err == nil || h.Tally == nil {
		return err
	}
	var several *problem
	if errors.As(err, &several) && len(several.Errors) > 0 {
		for _, field := range several.Errors {
			h.Tally.Refused(way, field.Code)
		}
		return err
	}
	code, _ := meaningOf(err)
	h.Tally.Refused(way, code)
	return err
}

// Waiting returns how many requests wait for a turn or for room, by what they wait for.
func (h *Handlers) Waiting() map[string]int {
	return map[string]int{
		"forms":      h.Budgets.strangers.Waiting() + h.Budgets.members.Waiting(),
		"events":     h.Budgets.events.Waiting(),
		"deliveries": h.Budgets.deliveries.Waiting(),
		"reading":    h.Questions.Waiting(),
		"exports":    h.Exports.Waiting(),
	}
}
