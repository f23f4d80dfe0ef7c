package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// maxAnswer is how much of an answer is read, in bytes: the receipts of as many events as a request
// holds are a tenth of it.
const maxAnswer = 4 << 20

// APIError is an answer of the server that is neither receipts nor about single events.
type APIError struct {
	Status int    // of HTTP
	Title  string // what kind of problem, in a few words
	Detail string // what this one is; may be empty
	// RetryAfter is how long the server asks to wait before the next request; 0 where it does not.
	RetryAfter time.Duration

	// problem reports whether the answer is problem details: a proxy's page would not be.
	problem bool
}

func (e *APIError) Error() string {
	text := fmt.Sprintf("audit: the server answers %d %s", e.Status, e.Title)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// eventsRequest is a request to record events. Sent again it is the same.
type eventsRequest struct {
	client         *Client
	body           []byte
	events         int
	idempotencyKey string
}

func (c *Client) newEventsRequest(events []json.RawMessage, which []int) *eventsRequest {
	body := []byte{'['}
	for n, i := range which {
		if n > 0 {
			body = append(body, ',')
		}
		body = append(body, events[i]...)
	}
	return &eventsRequest{client: c, body: append(body, ']'), events: len(which), idempotencyKey: rand.Text()}
}

// send returns a receipt for each event; an *event.EventsError for those the server refuses, each named once; an
// *APIError; or what went wrong on the way.
func (r *eventsRequest) send(ctx context.Context) ([]event.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, r.client.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.client.events, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+r.client.config.Key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, application/problem+json")
	request.Header.Set("Idempotency-Key", r.idempotencyKey)
	request.Header.Set("User-Agent", "auditlogs-client")
	response, err := r.client.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("audit: read the server's answer: %w", err)
	}
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusCreated {
		return r.receipts(response.StatusCode, content)
	}
	return nil, r.problem(response, content)
}

func (r *eventsRequest) receipts(status int, content []byte) ([]event.Receipt, error) {
	var answer struct {
		Events []struct {
			EntryID  string `json:"entry_id"`
			Stored   bool   `json:"stored"`
			Repeated bool   `json:"repeated"`
		} `json:"events"`
	}
	if err := json.Unmarshal(content, &answer); err != nil || len(answer.Events) != r.events {
		return nil, &APIError{Status: status, Title: http.StatusText(status), Detail: fmt.Sprintf("not with %d receipts; is it an Audit Logs server?", r.events)}
	}
	receipts := make([]event.Receipt, r.events)
	for i, e := range answer.Events {
		receipts[i] = event.Receipt{EntryID: e.EntryID, Stored: e.Stored, Repeated: e.Repeated}
	}
	return receipts, nil
}

// problem reads problem details (RFC 9457); other bodies, such as a proxy's page, say nothing.
func (r *eventsRequest) problem(response *http.Response, content []byte) error {
	var problem struct {
		Title  string     `json:"title"`
		Code   fault.Code `json:"code"`
		Detail string     `json:"detail"`
		Errors []struct {
			Index *int `json:"index"`
			fault.Field
		} `json:"errors"`
	}
	status := response.StatusCode
	answered := &APIError{Status: status, Title: http.StatusText(status), RetryAfter: retryAfter(response.Header.Get("Retry-After"))}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/problem+json") || json.Unmarshal(content, &problem) != nil {
		return answered
	}
	answered.problem = true
	answered.Title, answered.Detail = cmp.Or(problem.Title, answered.Title), problem.Detail
	if problem.Code == event.ErrOrganizationClosed {
		return fmt.Errorf("%w: %w", event.ErrOrganizationClosed, answered)
	}
	var refused event.EventsError
	named := map[int]bool{}
	for _, e := range problem.Errors {
		if e.Index != nil && *e.Index >= 0 && *e.Index < r.events && !named[*e.Index] {
			named[*e.Index] = true
			refused.Add(*e.Index, &e.Field)
		}
	}
	if status < 500 && len(refused.Events) > 0 {
		return &refused
	}
	return answered
}

// retryAfter reads the header of that name: seconds, or a time.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(min(max(seconds, 0), 1<<30)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// refusesContent reports whether the server, or what is in front of it, will not take what was sent,
// without a word on which event it does not like.
func refusesContent(err error) bool {
	var answered *APIError
	if !errors.As(err, &answered) {
		return false
	}
	switch answered.Status {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return answered.problem
	}
	return false
}

// temporary reports whether the same request may succeed later without anybody doing anything.
func temporary(err error) bool {
	var answered *APIError
	if !errors.As(err, &answered) {
		return true // the connection
	}
	switch answered.Status {
	case http.StatusOK, http.StatusCreated, // of something between here and the server
		http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return answered.Status >= 500
}

// mayHaveArrived reports whether the server may have recorded what was sent.
func mayHaveArrived(err error) bool {
	var answered *APIError
	if errors.As(err, &answered) {
		return answered.Status < 300 || answered.Status >= 500 || answered.Status == http.StatusConflict
	}
	var refused *event.EventsError
	var network *net.OpError
	return !errors.As(err, &refused) && !(errors.As(err, &network) && network.Op == "dial")
}
