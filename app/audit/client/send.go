package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/internal/recorder"
)

// What one request holds at most. The server takes 1,000 events and 5 MB.
const (
	maxSentEvents = 1000
	maxSentBytes  = 4 << 20
)

// Pauses between attempts.
const (
	firstSendPause   = 200 * time.Millisecond
	longestSendPause = 30 * time.Second
	// longestAskedPause is how long a pause that the server asks for may be.
	longestAskedPause = 15 * time.Minute
)

// call is a call of Client.Record that waits for its outcome.
type call = recorder.Item[json.RawMessage]

// sendCalls sends what the queue holds, until it is closed: the Client's goroutine without a spool.
func (c *Client) sendCalls() {
	for calls := range c.queue.Batches() {
		c.sendTogether(calls)
	}
}

func (c *Client) sendTogether(calls []*call) {
	ctx, cancel := context.WithCancel(c.queue.Stopped)
	defer cancel()
	var interested atomic.Int64
	interested.Store(int64(len(calls)))
	events := make([]json.RawMessage, len(calls))
	for i, call := range calls {
		events[i] = call.Value
		release := context.AfterFunc(call.Context, func() {
			if interested.Add(-1) == 0 {
				cancel() // nobody waits for the outcome any more
			}
		})
		defer release()
	}
	delivery := delivery{client: c, events: events, giveUp: time.Now().Add(c.config.RetryFor)}
	delivery.settle = func(i int, receipt event.Receipt, err error) {
		c.queue.Settle(calls[i], receipt, err)
	}
	rest, err := delivery.run(ctx)
	if len(rest) == 0 {
		return
	}
	switch {
	case c.queue.Stopped.Err() != nil:
		c.tally.unsent.Add(int64(len(rest)))
		if delivery.arrived {
			err = fmt.Errorf("%w: %w", event.ErrOutcomeUnknown, ErrClosed)
		} else {
			err = ErrClosed
		}
	case delivery.arrived:
		err = fmt.Errorf("%w: %w", event.ErrOutcomeUnknown, err)
	}
	for _, i := range rest {
		c.queue.Fail(calls[i], err)
	}
}

// delivery is how a number of events comes to the server, or to be refused by it.
type delivery struct {
	client *Client
	events []json.RawMessage // as many as one request holds
	// settle is called for each event, in no particular order: recorded, or refused for good.
	settle func(i int, receipt event.Receipt, err error)
	// giveUp is when a temporary failure is the last; zero means that it never is, and that nothing but
	// a refusal of the events themselves is for good.
	giveUp time.Time
	// arrived reports whether the last events sent may have been recorded.
	arrived bool
}

// run sends the events until each is settled. It returns those that are not, and why, when ctx
// ends, when it is time to give up, and when the server refuses the Client rather than its events.
func (d *delivery) run(ctx context.Context) (rest []int, err error) {
	rest = make([]int, len(d.events))
	for i := range rest {
		rest[i] = i
	}
	size := len(rest)
	for len(rest) > 0 {
		sent := rest[:min(size, len(rest))]
		receipts, err := d.attempt(ctx, sent)
		var refused *event.EventsError
		switch {
		case err == nil:
			for n, i := range sent {
				d.settle(i, receipts[n], nil)
			}
			rest, size = rest[len(sent):], min(2*size, len(d.events))
		case errors.As(err, &refused): // all or nothing: the others were not recorded either
			for _, e := range refused.Events {
				d.settle(sent[e.Index], event.Receipt{}, e.Err)
				sent[e.Index] = -1
			}
			rest = slices.DeleteFunc(rest, func(i int) bool { return i < 0 })
		case errors.Is(err, event.ErrOrganizationClosed):
			for _, i := range sent {
				d.settle(i, event.Receipt{}, err)
			}
			rest = rest[len(sent):]
		case refusesContent(err) && len(sent) > 1: // something in between may take less than the server
			size = (len(sent) + 1) / 2
		case refusesContent(err):
			d.settle(sent[0], event.Receipt{}, err)
			rest = rest[1:]
		default:
			return rest, err
		}
	}
	return nil, nil
}

// attempt sends some of the events, again and again while the failure is a temporary one.
func (d *delivery) attempt(ctx context.Context, which []int) ([]event.Receipt, error) {
	c := d.client
	request := c.newEventsRequest(d.events, which)
	d.arrived = false
	backoff := recorder.Backoff{Next: firstSendPause, Longest: longestSendPause, Until: d.giveUp}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.tally.requests.Add(1)
		receipts, err := request.send(ctx)
		d.arrived = err != nil && (d.arrived || mayHaveArrived(err))
		if err == nil || d.final(err) {
			c.outage.over()
			return receipts, err
		}
		if ctx.Err() != nil {
			return nil, err
		}
		var asked time.Duration
		var answered *APIError
		if errors.As(err, &answered) {
			asked = min(answered.RetryAfter, longestAskedPause)
		}
		wait, again := backoff.Pause(asked)
		if d.giveUp.IsZero() {
			c.outage.note(err, wait)
		}
		if !again || !recorder.Sleep(ctx, wait) {
			return nil, err
		}
		c.tally.retries.Add(1)
	}
}

// final reports whether sending the same again is of no use.
func (d *delivery) final(err error) bool {
	var refused *event.EventsError
	if errors.As(err, &refused) || errors.Is(err, event.ErrOrganizationClosed) || refusesContent(err) {
		return true
	}
	return !d.giveUp.IsZero() && !temporary(err)
}

// outage keeps the log of a Client with a spool short: a line when deliveries have failed for a while,
// one every quarter of an hour as long as they do, one when they succeed again. What does not pass by
// itself is told of at once.
type outage struct {
	log   *slog.Logger
	since time.Time
	told  time.Time
	last  error
}

const (
	outageWorthALine = 10 * time.Second
	outageLineEvery  = 15 * time.Minute
)

func (o *outage) note(err error, wait time.Duration) {
	now := time.Now()
	if o.last = err; o.since.IsZero() {
		o.since = now
	}
	if temporary(err) && now.Sub(o.since) < outageWorthALine || now.Sub(o.told) < outageLineEvery {
		return
	}
	o.told = now
	o.log.Warn("audit events wait in the spool: the server does not take them", "error", err, "since", o.since, "next_attempt_in", wait)
}

func (o *outage) over() {
	if !o.told.IsZero() {
		o.log.Info("the server takes audit events again", "after", time.Since(o.since).Round(time.Second))
	}
	*o = outage{log: o.log}
}
