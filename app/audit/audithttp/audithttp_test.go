package audithttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit/audithttp"
	"github.com/auditlogs/auditlogs/app/audit/event"
)

// seen is what package audit sees in a handler, and what the client gets back.
type seen struct {
	actor   event.Actor
	request event.Request
	answer  http.Header
}

// ask sends one request from peer to an application with the middleware.
func ask(config audithttp.Config, peer string, headers ...string) seen {
	var s seen
	handler := audithttp.New(config)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.actor, s.request = event.ActorFrom(r.Context()), event.RequestFrom(r.Context())
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = peer
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, r)
	s.answer = answer.Header()
	return s
}

func TestWhoAndWhere(t *testing.T) {
	jo := event.Actor{ID: "u1", Name: "Jo", Email: "jo@example.com"}
	s := ask(audithttp.Config{
		Actor:     func(*http.Request) event.Actor { return jo },
		RequestID: func(r *http.Request) string { return r.Header.Get("X-Trace") },
	}, "192.0.2.1:4711", "User-Agent", "curl/8", "X-Trace", "abc-1")
	if s.actor != jo {
		t.Errorf("the actor is %+v", s.actor)
	}
	if want := (event.Request{IP: "192.0.2.1", UserAgent: "curl/8", ID: "abc-1"}); s.request != want {
		t.Errorf("the request is %+v, want %+v", s.request, want)
	}
}

func TestNobodyStaysNobody(t *testing.T) {
	nobody := func(*http.Request) event.Actor { return event.Actor{} }
	for _, config := range []audithttp.Config{{}, {Actor: nobody}} {
		if s := ask(config, "192.0.2.1:4711"); s.actor != (event.Actor{}) {
			t.Errorf("the actor is %+v", s.actor)
		}
	}
}

func TestClientIP(t *testing.T) {
	const header, proxy = "X-Forwarded-For", "10.0.0.1:4711"
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:a::/48")}
	for name, tc := range map[string]struct {
		peer    string
		headers []string
		want    string
	}{
		"not from a proxy":               {"198.51.100.7:80", []string{header, "192.0.2.1"}, "198.51.100.7"},
		"no header":                      {proxy, nil, "10.0.0.1"},
		"an empty header":                {proxy, []string{header, ""}, "10.0.0.1"},
		"one proxy":                      {proxy, []string{header, "192.0.2.1"}, "192.0.2.1"},
		"what the client claims":         {proxy, []string{header, "203.0.113.9, 192.0.2.1"}, "192.0.2.1"},
		"it claims to be a proxy":        {proxy, []string{header, "10.9.9.9, 192.0.2.1"}, "192.0.2.1"},
		"two proxies":                    {proxy, []string{header, "203.0.113.9, 192.0.2.1, 10.1.2.3"}, "192.0.2.1"},
		"two proxies, a header each":     {proxy, []string{header, "203.0.113.9, 192.0.2.1", header, "10.1.2.3"}, "192.0.2.1"},
		"proxies all the way":            {proxy, []string{header, "10.1.2.4, 10.1.2.3"}, "10.1.2.4"},
		"rubbish":                        {proxy, []string{header, "192.0.2.1, <script>"}, "10.0.0.1"},
		"rubbish behind a proxy":         {proxy, []string{header, "unknown, 10.1.2.3"}, "10.1.2.3"},
		"with a port":                    {proxy, []string{header, "192.0.2.1:4711"}, "192.0.2.1"},
		"IPv6":                           {proxy, []string{header, "2001:DB8::0:1"}, "2001:db8::1"},
		"IPv6 with a port":               {proxy, []string{header, "[2001:db8::1]:4711"}, "2001:db8::1"},
		"IPv4 written as IPv6":           {proxy, []string{header, "::ffff:192.0.2.1"}, "192.0.2.1"},
		"a proxy written as IPv6":        {"[::ffff:10.0.0.1]:4711", []string{header, "192.0.2.1, ::ffff:10.0.0.2"}, "192.0.2.1"},
		"a proxy of IPv6":                {"[2001:db8:a::1]:4711", []string{header, "192.0.2.1"}, "192.0.2.1"},
		"a client of IPv6 with its zone": {"[fe80::1%eth0]:4711", []string{header, "192.0.2.1"}, "fe80::1"},
		"a Unix socket":                  {"@", []string{header, "192.0.2.1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if s := ask(audithttp.Config{TrustedProxies: trusted}, tc.peer, tc.headers...); s.request.IP != tc.want {
				t.Errorf("the client's address is %q, want %q", s.request.IP, tc.want)
			}
		})
	}
	if s := ask(audithttp.Config{}, proxy, header, "192.0.2.1"); s.request.IP != "10.0.0.1" {
		t.Errorf("with no proxies configured the client's address is %q", s.request.IP)
	}
}

func TestRequestID(t *testing.T) {
	trusted := audithttp.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}
	s := ask(trusted, "10.0.0.1:80", "X-Request-ID", "abc-1")
	if s.request.ID != "abc-1" || s.answer.Get("X-Request-ID") != "abc-1" {
		t.Errorf("from a proxy it is %q, the answer has %v", s.request.ID, s.answer)
	}
	first, second := ask(trusted, "192.0.2.1:80", "X-Request-ID", "abc-1"), ask(trusted, "10.0.0.1:80")
	for _, s := range []seen{first, second} {
		if s.request.ID == "" || s.request.ID == "abc-1" || s.answer.Get("X-Request-ID") != s.request.ID {
			t.Errorf("from nobody we know it is %q, the answer has %v", s.request.ID, s.answer)
		}
	}
	if first.request.ID == second.request.ID {
		t.Errorf("two requests go by %q", first.request.ID)
	}

	var got string
	handler := audithttp.New(trusted)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = event.RequestFrom(r.Context()).ID
	}))
	answer := httptest.NewRecorder()
	answer.Header().Set("X-Request-ID", "of-the-application")
	handler.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	if got != "of-the-application" {
		t.Errorf("the application's own middleware said of-the-application, and it is %q", got)
	}
}
