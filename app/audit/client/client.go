// Package client records events over the HTTP API of an Audit Logs server, for services that do not share
// its database.
package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/app/audit/internal/recorder"
)

// Client records over the HTTP API of an Audit Logs server, for services that do not share its
// database:
//
//	client, err := client.New(client.Config{
//		URL:   "https://audit.example.com",
//		Key:   os.Getenv("AUDITLOGS_KEY"),
//		Spool: "/var/lib/my-service/audit",
//	})
//	…
//	_, err = client.Record(ctx, event) // from any number of goroutines
//	…
//	err = client.Close(ctx) // before the program ends
//
// Without a spool Record returns once the server has committed the event. With one it returns once
// the event is safe on this machine's disk, and the Client brings it to the server as soon as that
// can be reached: neither an outage of the server nor a crash of this process loses an event, and
// each is stored once.
//
// Events of all goroutines that call Record share requests, and writes to the disk. Nothing is
// delayed for that: a request carries what has gathered while the last one was under way.
type Client struct {
	config  Config
	events  string // the address events are sent to
	http    *http.Client
	spool   *spool                           // nil without one
	queue   *recorder.Queue[json.RawMessage] // events as the API takes them
	tally   tally
	spooled chan struct{} // closed when nothing more will be spooled
	outage  outage

	// sequence is that of the last event. It begins with the second in which the Client was made, or behind the
	// events that an earlier one has left in the spool.
	sequence atomic.Int64
}

var _ event.Recorder = (*Client)(nil)

// Config configures a Client. Zero values mean the defaults.
type Config struct {
	// URL is the address of the server, such as https://audit.example.com. Required.
	URL string

	// Key is an API key of the organization, with the scope write. Required.
	Key string

	// Spool is a directory on a disk of this machine that keeps events until the server has them. It
	// is created where it does not exist, for this user alone, and is used by one Client at a time.
	// Empty means no spool.
	Spool string

	// MaxSpoolBytes is how large the spool may become. Record returns ErrSpoolFull then, until the
	// server has taken some. The default is 1 GiB.
	MaxSpoolBytes int64

	// OnRefused is called for every event in the spool that the server refuses for good, once it has
	// been written to the file "refused.ndjson" of the spool; why is what Record would have returned
	// without a spool. It must not call Close. Without a spool it is not called.
	OnRefused func(refused event.Event, why error)

	// HTTPClient sends the requests. The default is one of the Client's own. Redirects are never
	// followed: the key would go with them.
	HTTPClient *http.Client

	// Timeout is how long the server may take to answer one request. The default is 15 seconds.
	Timeout time.Duration

	// RetryFor is how long, without a spool, a request that failed for a temporary reason is repeated
	// with growing pauses: a lost connection, a server that is overloaded or starts. The default is
	// 30 seconds; below zero means not at all. Events in a spool are tried until the server has them.
	RetryFor time.Duration

	// Log is told when, with a spool, the server cannot be reached, when it can again, and of what
	// was refused. The default is slog.Default().
	Log *slog.Logger
}

// ErrClosed reports that the Client takes no more events, or was closed before this one's turn.
// The event was not recorded.
var ErrClosed = errors.New("audit: the client is closed")

// New makes a Client. It has goroutines of its own until it is closed. What an earlier Client
// left in the spool is sent first.
//
// An error is about the configuration or the spool: ErrSpoolInUse where another
// Client, of this process or another, uses the directory. The server is not asked.
func New(config Config) (*Client, error) {
	events, err := config.eventsURL()
	if err != nil {
		return nil, fmt.Errorf("audit: client: %w", err)
	}
	if config.Key == "" || strings.ContainsFunc(config.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("audit: client: Key is not an API key")
	}
	config.MaxSpoolBytes = cmp.Or(config.MaxSpoolBytes, 1<<30)
	config.Timeout = cmp.Or(config.Timeout, 15*time.Second)
	config.RetryFor = cmp.Or(config.RetryFor, 30*time.Second)
	config.Log = cmp.Or(config.Log, slog.Default())
	if config.MaxSpoolBytes < 0 || config.Timeout < 0 {
		return nil, errors.New("audit: client: MaxSpoolBytes and Timeout must not be below zero")
	}
	c := &Client{
		config:  config,
		events:  events,
		http:    clientFor(config.HTTPClient),
		spooled: make(chan struct{}),
		outage:  outage{log: config.Log},
	}
	c.sequence.Store(time.Now().Unix() % (event.MaxSequence / 2))
	if config.Spool != "" {
		if c.spool, err = openSpool(config.Spool, config.MaxSpoolBytes, config.Log); err != nil {
			return nil, fmt.Errorf("audit: client: spool: %w", err)
		}
		c.tally.waiting.Add(c.spool.found())
		c.sequence.Store(max(c.sequence.Load(), c.spool.lastSequence()))
	}
	c.queue = recorder.New[json.RawMessage](recorder.Config{
		Size: math.MaxInt, Closed: ErrClosed, MaxBatch: maxSentEvents, MaxBytes: maxSentBytes,
	})
	if c.spool == nil {
		c.queue.Go(c.sendCalls)
	} else {
		c.queue.Go(c.spoolCalls)
		c.queue.Go(c.sendSpooled)
	}
	return c, nil
}

func (config Config) eventsURL() (string, error) {
	address, err := url.Parse(config.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" ||
		address.User != nil || address.RawQuery != "" || address.Fragment != "" {
		return "", errors.New("URL is not an address such as https://audit.example.com")
	}
	return address.JoinPath("api/v1/events").String(), nil
}

// clientFor is given, or a client of its own, that follows no redirects.
func clientFor(given *http.Client) *http.Client {
	client := http.Client{}
	if given != nil {
		client = *given
	} else if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		client.Transport = transport.Clone()
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// Record records event and returns once the server has committed it or, with a spool, once it is on
// the disk: Receipt.Spooled is true then. The organization may be left out: it is the key's.
//
// The event is checked, and actor and request are taken from ctx, before it is sent; secrets
// in its metadata are masked here. An event without an ID is given one, and the time where it has
// none, so that it is stored once however often it has to be sent; and without a Sequence the next of this
// Client's. The same event recorded again needs the same ID; with a spool it also needs the same OccurredAt.
//
// Errors of the event are those of the function Record; with a spool, what only the server can find
// goes to the file of refused events instead. Others are ErrClosed; ErrSpoolFull, and errors of
// the disk; *APIError for a server that refuses, or cannot do, what is asked. When ctx ends, or
// RetryFor is over, while the event is on its way, the error is event.ErrOutcomeUnknown. In all other
// cases the event was not recorded. One event that is refused spoils none that it shares a request
// with.
func (c *Client) Record(ctx context.Context, e event.Event) (event.Receipt, error) {
	encoded, err := c.encode(ctx, e)
	if err != nil {
		c.queue.Refused.Add(1)
		return event.Receipt{}, err
	}
	return c.queue.Record(ctx, encoded, len(encoded))
}

// encode checks event and writes it as the API takes it, with all that it takes from elsewhere.
func (c *Client) encode(ctx context.Context, e event.Event) (json.RawMessage, error) {
	now := time.Now()
	if e.OccurredAt.IsZero() && (e.ID == "" || c.spool != nil) {
		e.OccurredAt = now
	}
	if e.ID == "" {
		e.ID = rand.Text()
	}
	if e.Sequence == nil {
		next := c.sequence.Add(1) & event.MaxSequence
		e.Sequence = &next
	}
	if !utf8.ValidString(e.ID) {
		return nil, fault.Newf("id", fault.Malformed, "is not valid UTF-8")
	}
	sent := e
	if sent.Organization == "" && sent.ExternalID == "" {
		sent.Organization = "of-the-key"
	}
	sent, err := event.Resolve(event.FromOutside(ctx), sent, now)
	if err != nil {
		return nil, err
	}
	sent.Organization, sent.ExternalID, sent.EntityType = e.Organization, e.ExternalID, e.EntityType
	if e.OccurredAt.IsZero() {
		sent.OccurredAt = time.Time{}
	}
	return sent.MarshalJSON()
}

// Close sends what waits and returns when that is done. Record returns ErrClosed from now on.
//
// When ctx ends first, what is under way is interrupted. Events in the spool stay there for the next
// Client; without a spool their callers are told. *UnsentError counts them. No goroutine
// is left behind either way. Closing again returns the same.
//
// While the server cannot be reached, Close waits until ctx ends: give it a deadline.
func (c *Client) Close(ctx context.Context) error {
	c.queue.Close(ctx)
	if c.config.HTTPClient == nil {
		c.http.CloseIdleConnections()
	}
	if c.spool != nil {
		c.spool.close()
	}
	if unsent := c.tally.unsent.Load() + c.tally.waiting.Load(); unsent > 0 {
		return &UnsentError{Events: unsent, Spool: c.config.Spool, Err: c.outage.last}
	}
	return nil
}

// UnsentError is what Client.Close returns when the server did not take every event.
type UnsentError struct {
	Events int64  // that were not sent, or whose outcome is not known
	Spool  string // where they are kept; empty means that they are not, and that their callers were told
	Err    error  // why the last attempt failed, with a spool; nil where none did
}

func (e *UnsentError) Error() string {
	if e.Spool == "" {
		return fmt.Sprintf("audit: %d events could not be sent", e.Events)
	}
	text := fmt.Sprintf("audit: %d events wait in %s to be sent", e.Events, e.Spool)
	if e.Err != nil {
		text += ": " + strings.TrimPrefix(e.Err.Error(), "audit: ")
	}
	return text
}

func (e *UnsentError) Unwrap() error { return e.Err }

// Stats are a Client's counters since it was made.
type Stats struct {
	Recorded   int64 // the server has them
	NotStored  int64 // valid, but audit logging is off
	Refused    int64 // cannot be stored: the caller's fault
	Failed     int64 // without a spool: not sent, or given up; with one: not written to it
	Waiting    int64 // in the spool, the queue or a request, now: those of earlier Clients included
	Damaged    int64 // could not be read from the spool: their files are kept there
	Requests   int64 // sent
	Retries    int64 // of them repeated
	SpoolBytes int64 // the size of the spool, now
}

// Stats may be called at any time.
func (c *Client) Stats() Stats {
	stats := Stats{
		Recorded:  c.queue.Recorded.Load(),
		NotStored: c.queue.NotStored.Load(),
		Refused:   c.queue.Refused.Load(),
		Failed:    c.queue.Failed.Load(),
		Waiting:   c.tally.waiting.Load() + int64(c.queue.Waiting()),
		Damaged:   c.tally.damaged.Load(),
		Requests:  c.tally.requests.Load(),
		Retries:   c.tally.retries.Load(),
	}
	if c.spool != nil {
		stats.SpoolBytes = c.spool.bytes.Load()
	}
	return stats
}

// tally counts what the queue does not.
type tally struct {
	damaged, requests, retries atomic.Int64

	waiting atomic.Int64 // in the spool
	unsent  atomic.Int64 // without a spool: failed because the Client was closed
}
