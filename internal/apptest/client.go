package apptest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
)

// Client asks a server as a browser does: it keeps cookies and says where its forms come from. It
// does not follow redirects, so that tests see them.
type Client struct {
	t      testing.TB
	server *Server
	http   *http.Client
}

// Client makes a client without cookies.
func (s *Server) Client(t testing.TB) *Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{t: t, server: s, http: &http.Client{
		Jar:     jar,
		Timeout: time.Minute,
		// Connections end with their request: the server's shutdown need not wait for them.
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// At is the same browser, asking another server on the same host.
func (c *Client) At(server *Server) *Client {
	return &Client{t: c.t, server: server, http: c.http}
}

// Get asks for a page. headers are names and values.
func (c *Client) Get(path string, headers ...string) *Page {
	c.t.Helper()
	return c.Do(http.MethodGet, path, nil, headers...)
}

// Fragment asks for a part of a page, as htmx does.
func (c *Client) Fragment(path string, headers ...string) *Page {
	c.t.Helper()
	return c.Get(path, append([]string{"HX-Request", "true", "HX-Request-Type", "partial"}, headers...)...)
}

// Post sends a form: fields are names and values, and a name may repeat.
func (c *Client) Post(path string, fields ...string) *Page {
	c.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return c.Do(http.MethodPost, path, strings.NewReader(form.Encode()),
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
}

// SignIn signs in by the form, and ends the test where that is refused.
func (c *Client) SignIn(email, password string) {
	c.t.Helper()
	c.Post("/login", "email", email, "password", password).Expect(http.StatusSeeOther)
}

// Do sends any request. headers are names and values; "Host" is the host asked for.
func (c *Client) Do(method, path string, body io.Reader, headers ...string) *Page {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
			continue
		}
		request.Header.Add(headers[i], headers[i+1])
	}
	answer, err := c.http.Do(request)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatalf("%s %s: read the answer: %v", method, path, err)
	}
	page := &Page{t: c.t, asked: method + " " + path, Status: answer.StatusCode, Header: answer.Header, Body: string(content)}
	page.Document, err = goquery.NewDocumentFromReader(strings.NewReader(wrapRows(page.Body)))
	if err != nil {
		c.t.Fatalf("%s %s: read the page: %v", method, path, err)
	}
	return page
}

// Stream asks for server-sent events, and returns the answer while it goes on. It ends with the test at the latest.
func (c *Client) Stream(path string, headers ...string) *Stream {
	c.t.Helper()
	ctx, end := context.WithCancel(c.t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.URL+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.http.Do(request)
	if err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
	stream := &Stream{Status: answer.StatusCode, lines: bufio.NewScanner(answer.Body), end: func() {
		end()
		_ = answer.Body.Close()
	}}
	stream.lines.Buffer(nil, 16<<20)
	c.t.Cleanup(stream.end)
	return stream
}

// Stream is a stream of events.
type Stream struct {
	Status int
	lines  *bufio.Scanner
	end    func()
}

// Event is one of them.
type Event struct{ ID, Data string }

// End leaves the stream.
func (s *Stream) End() { s.end() }

// Next waits for an event; ok is false at the end of the stream.
func (s *Stream) Next() (event Event, ok bool) {
	var data []string
	for s.lines.Scan() {
		name, value, _ := strings.Cut(s.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			event.ID = value
		case "data":
			data = append(data, value)
		case "":
			event.Data = strings.Join(data, "\n")
			return event, true
		}
	}
	return event, false
}

// wrapRows lets a fragment of table rows be parsed: outside of a table the parser, unlike htmx,
// drops their tags.
func wrapRows(body string) string {
	start := strings.TrimSpace(body)
	for _, tag := range []string{"<tbody", "<tr", "<thead"} {
		if strings.HasPrefix(start, tag) {
			return "<table>" + body + "</table>"
		}
	}
	return body
}

// Page is an answer. Find and the other methods of goquery look into its HTML.
type Page struct {
	*goquery.Document
	Status int
	Header http.Header
	Body   string

	t     testing.TB
	asked string
}

// Expect ends the test when the answer has another status.
func (p *Page) Expect(status int) *Page {
	p.t.Helper()
	if p.Status != status {
		p.t.Fatalf("%s answers %d, want %d:\n%s", p.asked, p.Status, status, p.Body)
	}
	return p
}

// ExpectRedirect ends the test when the answer does not lead to path with 303.
func (p *Page) ExpectRedirect(path string) *Page {
	p.t.Helper()
	p.Expect(http.StatusSeeOther)
	if location := p.Header.Get("Location"); location != path {
		p.t.Fatalf("%s leads to %s, want %s", p.asked, location, path)
	}
	return p
}

// Text is the text of what the selector finds, its white space made single blanks. (goquery's own
// Text is that of the whole page.)
func (p *Page) Text(selector string) string {
	return strings.Join(strings.Fields(p.Find(selector).Text()), " ")
}

// Cookie is the value of the cookie of that name that the client keeps; empty for none.
func (c *Client) Cookie(name string) string {
	c.t.Helper()
	address, err := url.Parse(c.server.URL)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, cookie := range c.http.Jar.Cookies(address) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}
