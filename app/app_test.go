package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	client := apptest.Start(t, databasetest.SQLite(t)).Client(t)
	for _, path := range []string{"/healthz", "/no-such-page", "/static/no-such-file.js", assetOf(t, client, "app.css")} {
		page := client.Get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "same-origin",
		} {
			if got := page.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if page.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: plain HTTP asks for HTTPS", path)
		}
		if page.Header.Get("X-Request-ID") == "" {
			t.Errorf("%s: no request ID", path)
		}
	}
}

func TestHTTPSAsksBrowsersToStay(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t), func(c *app.Config) { c.BaseURL = "https://audit.example.com" })
	if got := server.Client(t).Get("/healthz").Header.Get("Strict-Transport-Security"); !strings.HasPrefix(got, "max-age=31536000") {
		t.Errorf("Strict-Transport-Security is %q", got)
	}
}

func TestAPageThatIsNotThere(t *testing.T) {
	client := apptest.Start(t, databasetest.SQLite(t)).Client(t)

	page := client.Get("/no-such-page").Expect(http.StatusNotFound)
	if got := page.Text("h1"); got != "Page not found" {
		t.Errorf("the heading is %q", got)
	}
	if page.Find("link[rel=stylesheet]").Length() == 0 {
		t.Error("the page has no style")
	}
	if got := page.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}

	fragment := client.Fragment("/no-such-page").Expect(http.StatusNotFound)
	if strings.Contains(fragment.Body, "<html") || fragment.Text("[role=alert] h1") != "Page not found" {
		t.Errorf("the fragment is %s", fragment.Body)
	}
}

func TestAFailureInsideIsLoggedWholeAndShownWithAReference(t *testing.T) {
	db := databasetest.SQLite(t)
	var log bytes.Buffer
	server := apptest.Start(t, db, func(c *app.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	if err := db.Write.Exec("ALTER TABLE audit_sessions RENAME TO gone").Error; err != nil {
		t.Fatal(err)
	}
	page := server.Client(t).Get("/login", "Cookie", "audit_session="+strings.Repeat("a", 43)).Expect(http.StatusInternalServerError)
	if got := page.Text("h1"); got != "Something went wrong" {
		t.Errorf("the heading is %q", got)
	}
	reference := page.Text("[data-reference]")
	if reference == "" || reference != page.Header.Get("X-Request-ID") {
		t.Errorf("the reference is %q, the request %q", reference, page.Header.Get("X-Request-ID"))
	}
	server.Stop()
	for _, whole := range []string{"no such table: audit_sessions", reference} {
		if !strings.Contains(log.String(), whole) {
			t.Errorf("the log does not tell %q: %s", whole, log.String())
		}
	}
	for _, secret := range []string{"audit_sessions", "SQL", "no such table"} {
		if strings.Contains(page.Body, secret) {
			t.Errorf("the page tells %q", secret)
		}
	}
}

func TestRequestsFromOtherSitesAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		method  string
		headers []string
		refused bool
	}{
		"cross-site":                       {"POST", []string{"Sec-Fetch-Site", "cross-site"}, true},
		"same site, other origin":          {"POST", []string{"Sec-Fetch-Site", "same-site"}, true},
		"old browser, other origin":        {"POST", []string{"Origin", "https://evil.example"}, true},
		"old browser, no origin":           {"POST", []string{"Origin", "null"}, true},
		"delete":                           {"DELETE", []string{"Sec-Fetch-Site", "cross-site"}, true},
		"our own page":                     {"POST", []string{"Sec-Fetch-Site", "same-origin"}, false},
		"old browser, our own page":        {"POST", []string{"Origin", "http://log.example", "Host", "log.example"}, false},
		"the base URL behind a proxy":      {"POST", []string{"Origin", "https://audit.example.com", "Sec-Fetch-Site", "cross-site"}, false},
		"no browser":                       {"POST", nil, false},
		"reading, from a link on any site": {"GET", []string{"Sec-Fetch-Site", "cross-site"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := apptest.Start(t, databasetest.SQLite(t), func(c *app.Config) { c.BaseURL = "https://audit.example.com" })
			page := server.Client(t).Do(tc.method, "/preferences", nil, tc.headers...)
			if got := page.Status == http.StatusForbidden; got != tc.refused {
				t.Errorf("it answers %d", page.Status)
			}
		})
	}
}

func TestStaticFilesAreKeptForEver(t *testing.T) {
	client := apptest.Start(t, databasetest.SQLite(t)).Client(t)
	for name, contentType := range map[string]string{
		"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "htmx.min.js": "text/javascript; charset=utf-8",
	} {
		address := assetOf(t, client, name)
		plain := client.Get(address, "Accept-Encoding", "identity").Expect(http.StatusOK)
		if got := plain.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control is %q", address, got)
		}
		if got := plain.Header.Get("Content-Type"); got != contentType {
			t.Errorf("%s: Content-Type is %q", address, got)
		}
		for _, encoding := range []string{"br", "gzip"} {
			packed := client.Get(address, "Accept-Encoding", encoding).Expect(http.StatusOK)
			if got := packed.Header.Get("Content-Encoding"); got != encoding {
				t.Errorf("%s: Content-Encoding is %q, want %q", address, got, encoding)
			}
			if len(packed.Body) >= len(plain.Body)/2 {
				t.Errorf("%s: %d bytes as %s, %d plain", address, len(packed.Body), encoding, len(plain.Body))
			}
		}
		client.Get(strings.Replace(address, ".", ".0", 1)).Expect(http.StatusNotFound)
	}
}

func TestStaticFilesThatABrowserHasAreNotSentAgain(t *testing.T) {
	client := apptest.Start(t, databasetest.SQLite(t)).Client(t)
	address := assetOf(t, client, "app.css")
	tags := map[string]bool{}
	for _, encoding := range []string{"identity", "br", "gzip"} {
		tag := client.Get(address, "Accept-Encoding", encoding).Expect(http.StatusOK).Header.Get("ETag")
		if len(tag) < 10 || tags[tag] {
			t.Errorf("as %s the ETag is %q", encoding, tag)
		}
		tags[tag] = true
		for _, known := range []string{tag, `"another", ` + tag, "W/" + tag} {
			page := client.Get(address, "Accept-Encoding", encoding, "If-None-Match", known).Expect(http.StatusNotModified)
			if page.Body != "" || page.Header.Get("ETag") != tag || page.Header.Get("Cache-Control") == "" {
				t.Errorf("%s: the answer is %q with %v", known, page.Body, page.Header)
			}
		}
		client.Get(address, "Accept-Encoding", encoding, "If-None-Match", `"another"`).Expect(http.StatusOK)
	}
}

func TestPagesAreCompressed(t *testing.T) {
	client := apptest.Start(t, databasetest.SQLite(t)).Client(t)
	plain := client.Get("/no-such-page", "Accept-Encoding", "identity").Body
	page := client.Get("/no-such-page", "Accept-Encoding", "gzip, deflate, br")
	if got := page.Header.Get("Content-Encoding"); got != "br" {
		t.Errorf("Content-Encoding is %q", got)
	}
	for range 3 { // an encoder is used again
		body := client.Get("/no-such-page", "Accept-Encoding", "br").Body
		unpacked, err := io.ReadAll(brotli.NewReader(strings.NewReader(body)))
		if err != nil || len(unpacked) != len(plain) || len(body) >= len(plain) {
			t.Errorf("%d bytes become %d, and %d again: %v", len(plain), len(body), len(unpacked), err)
		}
	}
	if vary := page.Header.Values("Vary"); len(vary) != 1 || vary[0] != "HX-Request, HX-Request-Type" {
		t.Errorf("Vary is %q", vary)
	}
	if got := client.Get("/healthz", "Accept-Encoding", "br").Header.Get("Content-Encoding"); got != "" {
		t.Errorf("a few bytes are sent as %q", got)
	}
}

func TestTheRequestIDOfAProxyIsKept(t *testing.T) {
	db := databasetest.SQLite(t)
	id := func(server *apptest.Server, sent string) string {
		return server.Client(t).Get("/healthz", "X-Request-ID", sent).Header.Get("X-Request-ID")
	}
	behind := apptest.Start(t, db, func(c *app.Config) { c.TrustedProxies = []string{"127.0.0.0/8"} })
	if got := id(behind, "trace-1"); got != "trace-1" {
		t.Errorf("behind a proxy the ID is %q", got)
	}
	if got := id(behind, "two words"); got == "two words" {
		t.Error("an ID with a blank is kept")
	}
	if got := id(apptest.Start(t, db), "trace-1"); got == "trace-1" {
		t.Error("a client may name its request")
	}
}

func TestHealth(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		server := apptest.Start(t, db)
		client := server.Client(t)
		run := func(next, failed string) {
			t.Helper()
			err := db.Write.Exec("DELETE FROM audit_jobs").Error
			if err == nil {
				at := server.Clock.Now()
				if next == "late" {
					at = at.Add(-91 * time.Second)
				}
				err = db.Write.Exec("INSERT INTO audit_jobs (name, started_at, finished_at, next_run_at, error) VALUES ('retention', ?, ?, ?, ?)",
					at.UnixMicro(), at.UnixMicro(), at.UnixMicro(), failed).Error
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		expect := func(status int, words string) {
			t.Helper()
			if page := client.Get("/healthz").Expect(status); !strings.Contains(page.Body, words) {
				t.Errorf("it says %q, want %q", page.Body, words)
			}
		}
		ready := func(status int) {
			t.Helper()
			client.Get("/readyz").Expect(status)
		}
		expect(http.StatusOK, "ok") // no clean-up yet
		ready(http.StatusOK)
		run("soon", "")
		expect(http.StatusOK, "ok")
		run("soon", "the database refused")
		expect(http.StatusServiceUnavailable, "last clean-up: failed")
		run("late", "")
		expect(http.StatusServiceUnavailable, "last clean-up: the next one is due")
		ready(http.StatusOK)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		expect(http.StatusServiceUnavailable, "database")
		ready(http.StatusServiceUnavailable)
	})
}

func TestBadConfigurationIsRefused(t *testing.T) {
	store, err := databasetest.SQLite(t).Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, config := range map[string]app.Config{
		"--addr":            {Addr: "8080"},
		"--demo":            {Addr: "0.0.0.0:8080", Demo: true},
		"--metrics":         {Addr: "127.0.0.1:0", Metrics: "9464"},
		"--base-url":        {Addr: "127.0.0.1:0", BaseURL: "audit.example.com"},
		"must end after":    {Addr: "127.0.0.1:0", BaseURL: "https://example.com/audit"},
		"--trusted-proxies": {Addr: "127.0.0.1:0", TrustedProxies: []string{"proxy.internal"}},
		"--retention-grace": {Addr: "127.0.0.1:0", RetentionGrace: -time.Hour},
		"8760h":             {Addr: "127.0.0.1:0", RetentionGrace: 8761 * time.Hour},
	} {
		if _, err := app.New(config, store); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v gives %v, want words about %s", config, err, want)
		}
	}
}

// assetOf finds the address of a static file in a page.
func assetOf(t *testing.T, client *apptest.Client, name string) string {
	t.Helper()
	stem, extension, _ := strings.Cut(strings.Replace(name, ".min", "-min", 1), ".")
	stem = "/static/" + strings.Replace(stem, "-min", ".min", 1) + "."
	page := client.Get("/no-such-page")
	for _, node := range page.Find("link[href], script[src]").EachIter() {
		address := node.AttrOr("href", node.AttrOr("src", ""))
		if strings.HasPrefix(address, stem) && strings.HasSuffix(address, "."+extension) {
			return address
		}
	}
	body, _ := json.Marshal(page.Body)
	t.Fatalf("the page does not load %s: %s", name, body)
	return ""
}
