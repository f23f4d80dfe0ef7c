package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/internal/recorder"
)

// spoolCalls writes what the queue holds to the spool, until it is closed: one of the two goroutines
// of a Client with a spool.
func (c *Client) spoolCalls() {
	defer close(c.spooled)
	for calls := range c.queue.Batches() {
		c.spoolTogether(calls)
	}
}

func (c *Client) spoolTogether(calls []*call) {
	var lines [][]byte
	var written []*call
	var size int64
	for _, call := range calls {
		line := spoolLine(call.Value)
		if !c.spool.room(size, int64(len(line))) {
			c.queue.Fail(call, ErrSpoolFull)
			continue
		}
		size += int64(len(line))
		lines, written = append(lines, line), append(written, call)
	}
	if len(lines) == 0 {
		return
	}
	c.tally.waiting.Add(int64(len(lines)))
	if err := c.spool.add(lines); err != nil {
		c.tally.waiting.Add(-int64(len(lines)))
		for _, call := range written {
			c.queue.Fail(call, fmt.Errorf("audit: spool: %w", err))
		}
		return
	}
	for _, call := range written {
		c.queue.Settle(call, event.Receipt{Spooled: true}, nil)
	}
}

// sendSpooled brings what is in the spool to the server, oldest first, until nothing is left and
// nothing will follow: the other goroutine.
func (c *Client) sendSpooled() {
	for c.queue.Stopped.Err() == nil {
		last := false
		select {
		case <-c.spooled:
			last = true
		default:
		}
		if oldest, ok := c.spool.oldest(); ok {
			c.forward(oldest)
			continue
		}
		if last {
			return
		}
		select {
		case <-c.spool.more:
		case <-c.spooled:
		case <-c.queue.Stopped.Done():
		}
	}
}

// forward sends a segment and removes it. When the Client is stopped before that, the segment stays
// for the next one.
func (c *Client) forward(from segment) {
	log := c.config.Log.With("file", filepath.Join(c.config.Spool, from.name()))
	events, damaged, err := c.spool.read(from)
	if errors.Is(err, fs.ErrNotExist) {
		log.Error("a file of the audit spool is gone: its events were not sent", "events", from.lines)
		c.tally.damaged.Add(from.lines)
		c.tally.waiting.Add(-from.lines)
		c.spool.drop()
		return
	} else if err != nil {
		log.Error("a file of the audit spool cannot be read: it is left for the next start", "error", err)
		c.spool.drop() // its events go on being counted as waiting
		return
	}
	var refused []refusal
	delivery := delivery{client: c, events: events}
	delivery.settle = func(i int, receipt event.Receipt, err error) {
		if err == nil {
			c.queue.Count(receipt, nil)
			c.tally.waiting.Add(-1)
		} else {
			refused = append(refused, refusal{RefusedAt: time.Now().UTC(), Reason: err.Error(), Event: events[i], err: err})
		}
	}
	if _, err := delivery.run(c.queue.Stopped); err != nil || !c.keepRefused(refused) {
		return // stopped: sent again, what is recorded stays so, and what is refused is so again
	}
	if damaged > 0 {
		c.tally.damaged.Add(damaged)
		c.tally.waiting.Add(-damaged)
		log.Error("a file of the audit spool is damaged: its name ends in .damaged now", "lines", damaged)
	}
	if err := c.spool.remove(from, damaged > 0); err != nil {
		log.Error("a file of the audit spool cannot be removed: its events will be sent again, and recorded once", "error", err)
	}
	c.spool.drop()
}

// keepRefused writes refused events to their file, however long it takes, and tells of them. It
// returns false when the Client is stopped before that.
func (c *Client) keepRefused(refused []refusal) bool {
	if len(refused) == 0 {
		return true
	}
	path := filepath.Join(c.config.Spool, refusedFile)
	for {
		err := c.spool.keepRefused(refused)
		if err == nil {
			break
		}
		c.config.Log.Error("refused audit events cannot be written down: the spool waits for that", "file", path, "error", err)
		if !recorder.Sleep(c.queue.Stopped, longestSendPause) {
			return false
		}
	}
	c.queue.Refused.Add(int64(len(refused)))
	c.tally.waiting.Add(-int64(len(refused)))
	c.config.Log.Error("the server refused audit events", "events", len(refused), "first", refused[0].Reason, "file", path)
	if c.config.OnRefused != nil {
		for _, r := range refused {
			var told event.Event
			if err := json.Unmarshal(r.Event, &told); err != nil {
				told = event.Event{}
			}
			c.config.OnRefused(told, r.err)
		}
	}
	return true
}
