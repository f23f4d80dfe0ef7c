package auditfiber_test

import (
	"net/http/httptest"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/requestid"

	"github.com/auditlogs/auditlogs/app/audit/auditfiber"
	"github.com/auditlogs/auditlogs/app/audit/event"
)

// ask sends one request to an application with the middleware and answers what package audit sees
// in its handler. Requests of fiber's App.Test come from 0.0.0.0.
func ask(t *testing.T, app fiber.Config, config auditfiber.Config, headers ...string) (event.Actor, event.Request) {
	t.Helper()
	var actor event.Actor
	var request event.Request
	server := fiber.New(app)
	server.Use(requestid.New())
	server.Use(auditfiber.New(config))
	server.Get("/", func(c *fiber.Ctx) error {
		actor, request = event.ActorFrom(c.UserContext()), event.RequestFrom(c.UserContext())
		return nil
	})
	r := httptest.NewRequest("GET", "/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer, err := server.Test(r)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != 200 {
		t.Fatalf("the application answers %d", answer.StatusCode)
	}
	return actor, request
}

func TestWhoAndWhere(t *testing.T) {
	jo := event.Actor{ID: "u1", Name: "Jo", Email: "jo@example.com"}
	actor, request := ask(t, fiber.Config{}, auditfiber.Config{Actor: func(*fiber.Ctx) event.Actor { return jo }},
		"User-Agent", "curl/8", "X-Request-ID", "abc-1")
	if actor != jo {
		t.Errorf("the actor is %+v", actor)
	}
	if want := (event.Request{IP: "0.0.0.0", UserAgent: "curl/8", ID: "abc-1"}); request != want {
		t.Errorf("the request is %+v, want %+v", request, want)
	}
}

func TestNobodyStaysNobody(t *testing.T) {
	if actor, _ := ask(t, fiber.Config{}, auditfiber.Config{}); actor != (event.Actor{}) {
		t.Errorf("the actor is %+v", actor)
	}
	nobody := func(*fiber.Ctx) event.Actor { return event.Actor{} }
	if actor, _ := ask(t, fiber.Config{}, auditfiber.Config{Actor: nobody}); actor != (event.Actor{}) {
		t.Errorf("the actor is %+v", actor)
	}
}

func TestClientIP(t *testing.T) {
	behind := func(proxies ...string) fiber.Config {
		return fiber.Config{EnableTrustedProxyCheck: true, TrustedProxies: proxies}
	}
	const header = "X-Forwarded-For"
	for name, tc := range map[string]struct {
		app     fiber.Config
		headers []string
		want    string
	}{
		"no proxies configured":           {fiber.Config{}, []string{header, "192.0.2.1"}, "0.0.0.0"},
		"none trusted":                    {behind(), []string{header, "192.0.2.1"}, "0.0.0.0"},
		"another is trusted":              {behind("10.0.0.1"), []string{header, "192.0.2.1"}, "0.0.0.0"},
		"no header":                       {behind("0.0.0.0"), nil, "0.0.0.0"},
		"one proxy":                       {behind("0.0.0.0"), []string{header, "192.0.2.1"}, "192.0.2.1"},
		"what the client claims":          {behind("0.0.0.0"), []string{header, "203.0.113.9, 192.0.2.1"}, "192.0.2.1"},
		"two proxies":                     {behind("0.0.0.0", "10.0.0.0/8"), []string{header, "203.0.113.9, 192.0.2.1, 10.1.2.3"}, "192.0.2.1"},
		"two proxies, a header each":      {behind("0.0.0.0", "10.0.0.0/8"), []string{header, "203.0.113.9, 192.0.2.1", header, "10.1.2.3"}, "192.0.2.1"},
		"proxies all the way":             {behind("0.0.0.0", "10.0.0.0/8"), []string{header, "10.1.2.4, 10.1.2.3"}, "10.1.2.4"},
		"rubbish":                         {behind("0.0.0.0"), []string{header, "192.0.2.1, <script>"}, "0.0.0.0"},
		"rubbish behind a proxy":          {behind("0.0.0.0", "10.0.0.0/8"), []string{header, "unknown, 10.1.2.3"}, "10.1.2.3"},
		"with a port":                     {behind("0.0.0.0"), []string{header, "192.0.2.1:4711"}, "192.0.2.1"},
		"IPv6":                            {behind("0.0.0.0"), []string{header, "2001:DB8::0:1"}, "2001:db8::1"},
		"IPv6 with a port":                {behind("0.0.0.0"), []string{header, "[2001:db8::1]:4711"}, "2001:db8::1"},
		"IPv4 written as IPv6":            {behind("0.0.0.0"), []string{header, "::ffff:192.0.2.1"}, "192.0.2.1"},
		"a trusted proxy written as IPv6": {behind("0.0.0.0", "10.0.0.1"), []string{header, "192.0.2.1, ::ffff:10.0.0.1"}, "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, request := ask(t, tc.app, auditfiber.Config{}, tc.headers...); request.IP != tc.want {
				t.Errorf("the client's address is %q, want %q", request.IP, tc.want)
			}
		})
	}
}

func TestWhatIsRecordedOutlivesTheRequest(t *testing.T) {
	var seen []event.Request
	var actors []event.Actor
	server := fiber.New() // not Immutable: its strings change with the next request
	server.Use(auditfiber.New(auditfiber.Config{
		RequestID: func(c *fiber.Ctx) string { return c.Get("X-Trace") },
		Actor: func(c *fiber.Ctx) event.Actor {
			name := c.Get("X-User")
			return event.Actor{ID: name, Name: name, Email: name}
		},
	}))
	server.Get("/", func(c *fiber.Ctx) error {
		seen = append(seen, event.RequestFrom(c.UserContext()))
		actors = append(actors, event.ActorFrom(c.UserContext()))
		return nil
	})
	for _, name := range []string{"first-first", "other-other"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", name)
		r.Header.Set("X-Trace", name)
		r.Header.Set("X-User", name)
		if _, err := server.Test(r); err != nil {
			t.Fatal(err)
		}
	}
	if seen[0].UserAgent != "first-first" || seen[0].ID != "first-first" {
		t.Errorf("the first request became %+v", seen[0])
	}
	if want := (event.Actor{ID: "first-first", Name: "first-first", Email: "first-first"}); actors[0] != want {
		t.Errorf("the first actor became %+v", actors[0])
	}
}
