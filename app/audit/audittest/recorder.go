package audittest

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
)

// Recorder is an audit.Recorder in memory. It refuses what audit.Record refuses, except that it
// takes every organization for one that exists. The zero Recorder is ready, and may be used by
// several goroutines.
type Recorder struct {
	mu      sync.Mutex
	events  []audit.Event
	named   map[eventName]namedEvent
	failure error
}

var _ audit.Recorder = (*Recorder)(nil)

// eventName is what a caller's own ID of an event is unique within.
type eventName struct{ organization, externalID, id string }

type namedEvent struct {
	said    string
	receipt audit.Receipt
}

// Record keeps event. For one with the ID of another it returns the receipt of that one, or
// audit.ErrIDReused.
func (r *Recorder) Record(ctx context.Context, e audit.Event) (audit.Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return audit.Receipt{}, r.failure
	}
	if err := event.Validate(ctx, e); err != nil {
		return audit.Receipt{}, err
	}
	kept, said, err := resolve(ctx, e)
	if err != nil {
		return audit.Receipt{}, err
	}
	name := eventName{e.Organization, e.ExternalID, e.ID}
	if earlier, again := r.named[name]; again {
		if earlier.said != said {
			return audit.Receipt{}, fault.Newf("id", fault.IDReused, "was used for another event")
		}
		earlier.receipt.Repeated = true
		return earlier.receipt, nil
	}
	r.events = append(r.events, kept)
	receipt := audit.Receipt{EntryID: models.NewEntryID(models.MicrosOf(kept.OccurredAt)).String(), Stored: true}
	if e.ID != "" {
		if r.named == nil {
			r.named = map[eventName]namedEvent{}
		}
		r.named[name] = namedEvent{said, receipt}
	}
	return receipt, nil
}

// Events lists what was recorded, in order: with the actor, the request and the time that would be
// stored, and metadata as the json.RawMessage that would be, masked.
func (r *Recorder) Events() []audit.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Fail makes Record return err, and keep nothing, until Fail(nil).
func (r *Recorder) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = err
}

// resolve fills in what Record takes from elsewhere. said tells the event from another one
// with its ID.
func resolve(ctx context.Context, e audit.Event) (kept audit.Event, said string, err error) {
	if e.Actor == (audit.Actor{}) {
		e.Actor = event.ActorFrom(ctx)
	}
	e.Actor.Name = cmp.Or(e.Actor.Name, e.Actor.Email, e.Actor.ID)
	e = e.Folded()
	e.EntityType = cmp.Or(e.EntityType, e.Action.Entity())
	e.OccurredAt = e.OccurredAt.Truncate(time.Microsecond)
	request := cmp.Or(e.Request, event.RequestFrom(ctx))
	e.Request = audit.Request{}
	encoded, err := json.Marshal(e)
	if err != nil {
		return kept, "", err
	}
	if err := json.Unmarshal(encoded, &kept); err != nil {
		return kept, "", err
	}
	kept.Request = request
	if kept.OccurredAt.IsZero() {
		kept.OccurredAt = time.Now().UTC().Truncate(time.Microsecond)
	}
	return kept, string(encoded), nil
}

func (r *Recorder) read() ([]facts, error) {
	events := r.Events()
	slices.Reverse(events)
	held := make([]facts, len(events))
	for i, event := range events {
		var err error
		if held[i], err = decodeFacts(event); err != nil {
			return nil, err
		}
	}
	return held, nil
}
