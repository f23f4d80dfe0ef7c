//go:build unix

package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// posters is how many clients post events at the same time, each with a key of its own.
const posters = 6

// posting is a load of HTTP clients that post events to a server, and repeat every request whose
// outcome they did not learn until they do.
type posting struct {
	to     target
	server *logServer
	epoch  time.Time
	ledger *ledger
	last   atomic.Int64 // number of an event
	enough chan struct{}
	group  sync.WaitGroup
}

// overHTTP posts to the API.
func overHTTP(t *testing.T, chance *rand.Rand, to target) load {
	t.Helper()
	keys := writeKeys(t, to, posters)
	p := &posting{to: to, server: serve(t, to.databaseURL), epoch: time.Now().Add(-time.Hour), ledger: newLedger(), enough: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	for _, key := range keys {
		chance := rand.New(rand.NewPCG(chance.Uint64(), chance.Uint64()))
		p.group.Go(func() { p.post(ctx, key, chance) })
	}
	t.Cleanup(func() {
		cancel()
		p.group.Wait()
	})
	return p
}

func (p *posting) await(t *testing.T, more int) {
	t.Helper()
	p.ledger.await(t, more, p.server.process)
}

func (p *posting) kill(t *testing.T, chance *rand.Rand) {
	t.Helper()
	p.server.restart(t, chance)
}

func (p *posting) finish(t *testing.T) {
	t.Helper()
	close(p.enough)
	p.group.Wait() // until every poster has learned what became of its last request
	p.server.shutDown(t)
	p.ledger.check(t, p.to)
}

// post posts requests of all kinds, one after the other.
func (p *posting) post(ctx context.Context, key string, chance *rand.Rand) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		select {
		case <-p.enough:
			return
		case <-ctx.Done():
			return
		default:
		}
		r := p.newRequest(chance)
		answer := p.settle(ctx, client, key, r)
		if answer != nil && r.repeatable() && chance.IntN(4) == 0 {
			p.compare(r, answer, p.settle(ctx, client, key, r))
		}
		pause(chance, 60*time.Millisecond) // a few thousand events will do
	}
}

// request is what a poster sends: the same at every attempt.
type request struct {
	numbers        []int
	contentType    string
	body           []byte
	idempotencyKey string
	withIDs        bool
}

// repeatable reports whether the server knows the request again.
func (r *request) repeatable() bool { return r.withIDs || r.idempotencyKey != "" }

// newRequest is one event, an array or NDJSON, of events with IDs, with an Idempotency-Key or with
// neither.
func (p *posting) newRequest(chance *rand.Rand) *request {
	r := &request{contentType: "application/json"}
	kind, count := chance.IntN(3), 1
	if kind > 0 {
		count += chance.IntN(40)
	}
	last := int(p.last.Add(int64(2 * count)))
	switch chance.IntN(3) {
	case 0:
		r.withIDs = true // even numbers
	case 1:
		r.idempotencyKey = "request-" + strconv.Itoa(last)
		last++
	default:
		last++
	}
	events := make([]any, count)
	for i := range events {
		number := last - 2*i
		r.numbers = append(r.numbers, number)
		events[i] = eventOf(p.to.organization, number, p.epoch)
	}
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	var err error
	switch kind {
	case 0:
		err = lines.Encode(events[0])
	case 1:
		err = lines.Encode(events)
	default:
		r.contentType = "application/x-ndjson"
		for _, event := range events {
			if err == nil {
				err = lines.Encode(event)
			}
		}
	}
	if err != nil {
		panic(err) // the events are the test's own
	}
	r.body = body.Bytes()
	return r
}

// receipts is how the API answers.
type receipts struct {
	Events []struct {
		EntryID  string `json:"entry_id"`
		Stored   bool   `json:"stored"`
		Repeated bool   `json:"repeated"`
	} `json:"events"`
}

// settle sends a request until it is answered, or once where the server would not know it again. It
// notes what became of it, and gives the answer's body; nil where there is none.
func (p *posting) settle(ctx context.Context, client *http.Client, key string, r *request) []byte {
	p.ledger.send(r.numbers...)
	p.ledger.together(r.numbers)
	for end := time.Now().Add(patience); ; {
		status, body, err := p.send(ctx, client, key, r)
		switch {
		case err == nil && (status == http.StatusCreated || status == http.StatusOK): // OK where nothing was new
			p.acknowledge(r, body)
			return body
		case err == nil && status < 500:
			p.ledger.surprise(fmt.Errorf("the server answers %d: %s", status, body))
			return nil
		case !r.repeatable() || ctx.Err() != nil:
			return nil
		case time.Now().After(end):
			p.ledger.surprise(fmt.Errorf("in %v the server does not answer a request: %d, %w: %s", patience, status, err, body))
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *posting) send(ctx context.Context, client *http.Client, key string, r *request) (status int, body []byte, err error) {
	asked, err := http.NewRequestWithContext(ctx, http.MethodPost, p.server.url+"/api/v1/events", bytes.NewReader(r.body))
	if err != nil {
		return 0, nil, err
	}
	asked.Header.Set("Authorization", "Bearer "+key)
	asked.Header.Set("Content-Type", r.contentType)
	if r.idempotencyKey != "" {
		asked.Header.Set("Idempotency-Key", r.idempotencyKey)
	}
	answer, err := client.Do(asked)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

func (p *posting) acknowledge(r *request, body []byte) {
	var said receipts
	if err := json.Unmarshal(body, &said); err != nil || len(said.Events) != len(r.numbers) {
		p.ledger.surprise(fmt.Errorf("the server answers %d events with %s", len(r.numbers), body))
		return
	}
	for i, event := range said.Events {
		if !event.Stored || event.EntryID == "" {
			p.ledger.surprise(fmt.Errorf("event %d is answered with %+v", r.numbers[i], event))
			continue
		}
		p.ledger.acknowledge(r.numbers[i], event.EntryID)
	}
}

// compare notes where a repeated request was not answered as the first time. That the entries are
// the same the ledger sees.
func (p *posting) compare(r *request, first, again []byte) {
	if again == nil {
		return // that is noted already
	}
	if r.idempotencyKey != "" && !bytes.Equal(first, again) {
		p.ledger.surprise(fmt.Errorf("a repeated request is answered with %s, and was with %s", again, first))
	}
	var said receipts // that could be read, as acknowledge has seen
	if err := json.Unmarshal(again, &said); r.withIDs && err == nil {
		for i, event := range said.Events {
			if !event.Repeated {
				p.ledger.surprise(fmt.Errorf("event %d is repeated, and the server does not say so", r.numbers[i]))
			}
		}
	}
}
