package app_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// exchange sends raw bytes and returns the statuses of what comes back, until last is answered or the server
// closes the connection. With half, the client is at its end and says so.
func exchange(t *testing.T, server *apptest.Server, raw string, half bool) (statuses []int, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	if half {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	reader := bufio.NewReader(conn)
	for {
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return statuses, true
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		statuses = append(statuses, answer.StatusCode)
		if answer.Close {
			_, err := reader.ReadByte()
			return statuses, err != nil
		}
		if answer.StatusCode == http.StatusNotFound { // to last
			return statuses, false
		}
	}
}

// last is a request that is answered 404 where the connection is kept.
const last = "GET /static/last HTTP/1.1\r\nHost: a\r\n\r\n"

// What two servers could read differently is refused, and nothing that follows it is read.
func TestRequestsThatCanBeReadInTwoWaysAreRefused(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	const get, post = "GET /healthz HTTP/1.1\r\nHost: a\r\n", "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	for name, raw := range map[string]string{
		"two lengths":                           post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\na=bc",
		"two equal lengths":                     post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\na=b",
		"a list of lengths":                     post + "Content-Length: 3, 3\r\n\r\na=b",
		"a signed length":                       post + "Content-Length: +3\r\n\r\na=b",
		"a negative length":                     post + "Content-Length: -3\r\n\r\na=b",
		"a hexadecimal length":                  post + "Content-Length: 0x3\r\n\r\na=b",
		"an empty length":                       post + "Content-Length:\r\n\r\n",
		"a length that overflows":               post + "Content-Length: 18446744073709551619\r\n\r\na=b",
		"a length and chunks":                   post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"chunks and a length":                   post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"a length and identity":                 post + "Content-Length: 3\r\nTransfer-Encoding: identity\r\n\r\na=b",
		"identity":                              post + "Transfer-Encoding: identity\r\n\r\n",
		"gzip, chunked":                         post + "Transfer-Encoding: gzip, chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"chunked, identity":                     post + "Transfer-Encoding: chunked, identity\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"chunked twice":                         post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"xchunked":                              post + "Transfer-Encoding: xchunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"quoted chunked":                        post + "Transfer-Encoding: \"chunked\"\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"chunked after a vertical tab":          post + "Transfer-Encoding: \x0bchunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"an empty transfer-encoding":            post + "Transfer-Encoding:\r\n\r\n",
		"chunks of HTTP/1.0":                    strings.Replace(post, "1.1", "1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"white space before a colon":            post + "Transfer-Encoding : chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"a tab before a colon":                  post + "Content-Length\t: 3\r\n\r\na=b",
		"a line that is folded":                 post + "Transfer-Encoding:\r\n chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
		"a value that is folded":                get + "X-A: b\r\n\tc\r\n\r\n",
		"a folded first line":                   "GET /healthz HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n",
		"a bare line feed":                      get + "X-A: b\nX-B: c\r\n\r\n",
		"a bare line feed at the end":           get + "X-A: b\r\n\n",
		"a bare carriage return":                get + "X-A: b\rX-B: c\r\n\r\n",
		"a NUL in a value":                      get + "X-A: b\x00c\r\n\r\n",
		"a NUL in a name":                       get + "X-A\x00: b\r\n\r\n",
		"a control character in a value":        get + "X-A: b\x08c\r\n\r\n",
		"a control character in a name":         post + "Content-Length\x0b: 3\r\n\r\na=b",
		"a name without a colon":                get + "X-A\r\n\r\n",
		"no name":                               get + ": b\r\n\r\n",
		"no host":                               "GET /healthz HTTP/1.1\r\n\r\n",
		"no host, but another header":           "GET /healthz HTTP/1.1\r\nX-A: b\r\n\r\n",
		"an empty host":                         "GET /healthz HTTP/1.1\r\nHost:\r\n\r\n",
		"two hosts":                             get + "Host: b\r\n\r\n",
		"two equal hosts":                       get + "host: a\r\n\r\n",
		"a list of hosts":                       "GET /healthz HTTP/1.1\r\nHost: a, b\r\n\r\n",
		"a host with a user":                    "GET /healthz HTTP/1.1\r\nHost: b@a\r\n\r\n",
		"a host with a path":                    "GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"a host with an escape":                 "GET /healthz HTTP/1.1\r\nHost: %61\r\n\r\n",
		"an address of another host":            "GET http://b/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
		"an address that hides another host":    "GET //b/healthz?://  HTTP/1.1\r\nHost: a\r\n\r\n",
		"a path that hides another host":        "GET //b/healthz?a=:// HTTP/1.1\r\nHost: a\r\n\r\n",
		"an address of another host, no header": "GET http://b/healthz HTTP/1.0\r\n\r\n",
		"white space in the address":            "GET /healthz a HTTP/1.1\r\nHost: a\r\n\r\n",
		"a tab in the address":                  "GET /healthz\ta HTTP/1.1\r\nHost: a\r\n\r\n",
		"another version":                       "GET /healthz HTTP/1.2\r\nHost: a\r\n\r\n",
		"version 2":                             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"lower case":                            "GET /healthz http/1.1\r\nHost: a\r\n\r\n",
		"a method of nobody":                    "GRT /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
		"a method in lower case":                "get /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
		"two content types":                     post + "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\na=b",
		"two keys":                              get + "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
		"two origins":                           get + "Origin: http://a\r\nOrigin: http://b\r\n\r\n",
		"two sites":                             get + "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			statuses, closed := exchange(t, server, raw+last, false)
			if !slices.Equal(statuses, []int{http.StatusBadRequest}) || !closed {
				t.Errorf("it answers %v, and the connection is closed: %t", statuses, closed)
			}
		})
	}
}

func TestRequestsThatCanBeReadInOneWayAreAnswered(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	form := "POST /preferences HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
	for name, tc := range map[string]struct {
		raw      string
		statuses []int
	}{
		"a page":                             {"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + last, []int{200, 404}},
		"a host in any case, with a port":    {"GET /healthz HTTP/1.1\r\nhOST:  A.Example:8080 \r\n\r\n" + last, []int{200, 404}},
		"an IPv6 host":                       {"GET /healthz HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n" + last, []int{200, 404}},
		"the address whole":                  {"GET http://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n" + last, []int{200, 404}},
		"an address in the address":          {"GET /healthz?return=http://b/c HTTP/1.1\r\nHost: a\r\n\r\n" + last, []int{200, 404}},
		"letters of any script in a header":  {"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: Žluťoučký\r\n\r\n" + last, []int{200, 404}},
		"HTTP/1.0, as balancers ask":         {"GET /healthz HTTP/1.0\r\n\r\n", []int{200}},
		"a form":                             {form + "Content-Length: 16\r\n\r\ntz=Europe/Berlin" + last, []int{303, 404}},
		"a form without a field":             {form + "Content-Length: 0\r\n\r\n" + last, []int{303, 404}},
		"no form":                            {"POST /preferences HTTP/1.1\r\nHost: a\r\n\r\n" + last, []int{303, 404}},
		"a form in chunks":                   {form + "Transfer-Encoding: Chunked\r\n\r\n3\r\ntz=\r\nd;a=b\r\nEurope/Berlin\r\n0\r\n\r\n" + last, []int{303}},
		"a form in chunks that is malformed": {form + "Transfer-Encoding: chunked\r\n\r\n3\r\ntz=x\r\n0\r\n\r\n" + last, []int{400}},
		"a form larger than what is read":    {form + "Content-Length: 20016\r\n\r\ntz=Europe/Berlin&a=" + strings.Repeat("a", 19997) + last, []int{303, 404}},
		"a body nobody asked for":            {"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + last, []int{200, 404}},
		"a large body nobody asked for":      {"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat(last, 500), []int{200}},
		"chunks nobody asked for":            {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + last, []int{200}},
		"a body for nobody":                  {"POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat(last, 500), []int{401}},
		"a body a little larger than fits":   {"POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 8193\r\n\r\n" + strings.Repeat("a", 8193) + last, []int{401}},
		"a body that just fits":              {"POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 8192\r\n\r\n" + strings.Repeat("a", 8192) + last, []int{401, 404}},
	} {
		t.Run(name, func(t *testing.T) {
			statuses, closed := exchange(t, server, tc.raw, false)
			if kept := slices.Contains(tc.statuses, 404); !slices.Equal(statuses, tc.statuses) || closed == kept {
				t.Errorf("it answers %v, want %v; the connection is closed: %t", statuses, tc.statuses, closed)
			}
		})
	}
}

// Of a method that HTTP has not, as of any other request that cannot be read, the answer is ours.
func TestAnswersToBrokenRequestsCarryTheSecurityHeaders(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	for _, raw := range []string{"GRT / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Content-Security-Policy", "X-Request-ID", "X-Content-Type-Options"} {
			if answer.Header.Get(name) == "" {
				t.Errorf("%q: no %s", raw, name)
			}
		}
	}
}

// bomb is a little that unpacks to a lot, layers times.
func bomb(t *testing.T, layers int) []byte {
	t.Helper()
	content := make([]byte, 32<<20)
	for range layers {
		var packed bytes.Buffer
		writer := gzip.NewWriter(&packed)
		if _, err := writer.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		content = packed.Bytes()
	}
	return content
}

// path is an address of a route.
func path(route fiber.Route) string {
	parts := strings.Split(route.Path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, ":") || part == "*" {
			parts[i] = map[string]string{":slug": "acme"}[part]
			if parts[i] == "" {
				parts[i] = "x"
			}
		}
	}
	return strings.Join(parts, "/")
}

func TestEncodedBodiesAreRefusedEverywhere(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	acme := server.Organization(t, "acme")
	stranger, admin := server.Client(t), server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, acme))
	packed := bomb(t, 2)
	asked := 0
	for _, route := range server.App.Routes() {
		for encoding, headers := range map[string][]string{
			"gzip": {"gzip"}, "gzip twice": {"gzip, gzip"}, "Brotli": {"br"}, "deflate": {"Deflate"}, "one of nobody": {"x"},
			"two lines": {"identity", "gzip"}, "identity and gzip": {"identity,gzip"},
		} {
			for name, client := range map[string]*apptest.Client{"a stranger": stranger, "an admin": admin} {
				sent := []string{"Content-Type", "application/x-www-form-urlencoded"}
				for _, header := range headers {
					sent = append(sent, "Content-Encoding", header)
				}
				page := client.Do(route.Method, path(route), bytes.NewReader(packed), sent...)
				if page.Status != http.StatusUnsupportedMediaType || page.Header.Get("Accept-Encoding") != "identity" {
					t.Errorf("%s %s of %s with %s answers %d", route.Method, route.Path, name, encoding, page.Status)
				}
				asked++
			}
		}
	}
	if asked < 500 {
		t.Errorf("only %d requests were made", asked)
	}
	stranger.Do("POST", "/preferences", strings.NewReader("tz=Europe/Berlin"), "Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "identity").Expect(http.StatusSeeOther)
}

func TestFormsAreReadAsFormsOnly(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	acme := server.Organization(t, "acme")
	stranger, admin := server.Client(t), server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, acme))
	const part = "--b\r\nContent-Disposition: form-data; name=\"tz\"\r\n\r\nEurope/Berlin\r\n--b--\r\n"
	asked := 0
	for _, route := range server.App.Routes() {
		if route.Method != http.MethodPost || strings.HasPrefix(route.Path, "/api/") || strings.HasPrefix(route.Path, "/webhooks/") {
			continue
		}
		for kind, body := range map[string]string{
			"multipart/form-data; boundary=b": part, "application/json": `{"tz":"Europe/Berlin"}`, "application/xml": "<f><tz>Europe/Berlin</tz></f>",
			"text/xml": "<f/>", "text/plain": "tz=Europe/Berlin", "": "tz=Europe/Berlin", "application/x-www-form-urlencoded; charset=utf-16": "tz=x",
			"application/x-www-form-urlencoded2": "tz=x", "application/x-www-form-urlencoded/": "tz=x",
		} {
			for name, client := range map[string]*apptest.Client{"a stranger": stranger, "an admin": admin} {
				var headers []string
				if kind != "" {
					headers = []string{"Content-Type", kind}
				}
				if page := client.Do(http.MethodPost, path(route), strings.NewReader(body), headers...); page.Status != http.StatusUnsupportedMediaType {
					t.Errorf("%s of %s with %q answers %d", route.Path, name, kind, page.Status)
				}
				asked++
			}
		}
	}
	if asked < 300 {
		t.Errorf("only %d requests were made", asked)
	}
}

func TestFormsAreBounded(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	acme := server.Organization(t, "acme")
	admin := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, acme))
	form := url.Values{"tz": {"Europe/Berlin"}, "more": {strings.Repeat("a", 64<<10-24)}}.Encode()
	for name, client := range map[string]*apptest.Client{"a stranger": server.Client(t), "an admin": admin} {
		for _, tc := range []struct {
			form   string
			status int
		}{{form, http.StatusSeeOther}, {form + "a", http.StatusRequestEntityTooLarge}} {
			for sent, body := range map[string]io.Reader{"whole": strings.NewReader(tc.form), "in chunks": io.MultiReader(strings.NewReader(tc.form))} {
				page := client.Do(http.MethodPost, "/preferences", body, "Content-Type", "application/x-www-form-urlencoded")
				if page.Status != tc.status {
					t.Errorf("%d bytes of %s, %s: %d, want %d", len(tc.form), name, sent, page.Status, tc.status)
				}
			}
		}
	}
}

// Behind a proxy nobody has named, all people are one address. The first request that shows it is told.
func TestAProxyThatIsNotTrustedIsWarnedOf(t *testing.T) {
	var log bytes.Buffer
	server := apptest.Start(t, databasetest.SQLite(t), func(c *app.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	client := server.Client(t)
	if body := client.Get("/healthz").Body; body != "ok\n" {
		t.Errorf("at first it says %q", body)
	}
	for range 3 {
		client.Get("/login", "X-Forwarded-For", "192.0.2.7")
	}
	lines := strings.Split(strings.TrimSpace(client.Get("/healthz").Expect(http.StatusOK).Body), "\n")
	if len(lines) != 2 || lines[0] != "ok" || !strings.Contains(lines[1], "X-Forwarded-For") || !strings.Contains(lines[1], "--trusted-proxies") {
		t.Errorf("then it says %q", lines)
	}
	server.Stop()
	if got := strings.Count(log.String(), "no proxy is trusted"); got != 1 {
		t.Errorf("the log warns %d times", got)
	}
	if strings.Contains(log.String(), "ip=192.0.2.7") {
		t.Error("the header is believed")
	}
}

func TestAProxyThatIsTrustedIsNotWarnedOf(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t), func(c *app.Config) { c.TrustedProxies = []string{"127.0.0.1"} })
	client := server.Client(t)
	client.Get("/login", "X-Forwarded-For", "192.0.2.7")
	if body := client.Get("/healthz").Body; body != "ok\n" {
		t.Errorf("it says %q", body)
	}
}

// A body in chunks that broke off between two of them is not whole, whatever the lines before say.
func TestEventsThatBrokeOffAreNotRecorded(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	key := server.Key(t, server.Organization(t, "acme"), accounts.ScopeWrite)
	line := `{"action":"service:update","entity_id":"svc-1","actor":{"id":"u-7"}}` + "\n"
	head := "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + key + "\r\nContent-Type: application/x-ndjson\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(line), line)
	for name, tc := range map[string]struct {
		body   string
		status int
	}{
		"whole":             {"Transfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\n\r\n", 201},
		"between chunks":    {"Transfer-Encoding: chunked\r\n\r\n" + chunk, 400},
		"within a chunk":    {"Transfer-Encoding: chunked\r\n\r\n" + chunk + "ff\r\n" + line, 400},
		"within a length":   {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 2*len(line), line), 400},
		"within a long one": {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 300*len(line), strings.Repeat(line, 200)), 400},
	} {
		t.Run(name, func(t *testing.T) {
			if statuses, _ := exchange(t, server, head+tc.body, true); !slices.Equal(statuses, []int{tc.status}) {
				t.Errorf("it answers %v, want %d", statuses, tc.status)
			}
		})
	}
	var count int64
	if err := server.DB.Write.Table("audit_entries").Count(&count).Error; err != nil || count != 1 {
		t.Errorf("%d entries were recorded (%v)", count, err)
	}
}

// Whoever shows no key is told so at once, and the rest of what they send is not waited for.
func TestTheKeyIsCheckedBeforeTheBody(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	for _, address := range []string{"/api/v1/events", "/webhooks/github/ghc_" + strings.Repeat("a", 26)} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			address, 5<<20, strings.Repeat("a", 10_000)); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusUnauthorized || !answer.Close {
			t.Errorf("%s answers %d, and closes: %t", address, answer.StatusCode, answer.Close)
		}
	}
}
