//go:build unix

package hostile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	badRequests = 10_000
	// atOnce is how many of them are under way, each at a route of its own.
	atOnce = 10
)

// Nothing that can be sent is answered with an error of the server's own, ends it or fills it. HOSTILE_SEED repeats
// the requests of another run.
func TestTenThousandBadRequests(t *testing.T) {
	s := serve(t)
	seed := uint64(20261127)
	if text := os.Getenv("HOSTILE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	packed, tally := bomb(t, 300<<20), newTally(t)
	var next atomic.Int64
	var running sync.WaitGroup
	for range atOnce {
		running.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= badRequests || tally.failed() {
					return
				}
				g := generator{Rand: rand.New(rand.NewPCG(seed, uint64(i))), target: s, bomb: packed}
				tally.add(i, g.request(s.routes[i%len(s.routes)]).send(s.address))
			}
		})
	}
	running.Wait()

	s.mustServe()
	if page := s.mustDo(http.MethodGet, "/orgs/acme/settings/members", "", "Cookie", s.admin); !strings.Contains(page, "member@example.com") {
		t.Errorf("the session the requests were made with shows\n%s", page)
	}
	if found := append(s.log.lines("panic"), s.log.lines("level=ERROR")...); len(found) > 0 {
		t.Errorf("the log says %s", strings.Join(found, "\n"))
	}
	// Passwords are the dearest work a stranger can ask for.
	if tally.passwords == 0 || tally.passwords > badRequests/100 {
		t.Errorf("%d passwords were checked", tally.passwords)
	}
	t.Logf("seed %d: answers %v, closed without one %d, passwords %d, %d MB at most", seed, tally.statuses, tally.closed, tally.passwords, s.mustBeSmall()>>20)
	// The requests are bad in many ways, or the test shows little.
	for _, status := range []int{200, 303, 400, 401, 403, 404, 405, 413, 415, 422} {
		if tally.statuses[status] == 0 {
			t.Errorf("nothing was answered with %d", status)
		}
	}
}

// tally is what became of the requests.
type tally struct {
	t         *testing.T
	mutex     sync.Mutex
	statuses  map[int]int
	closed    int // without an answer
	passwords int // were checked
	problems  int
}

func newTally(t *testing.T) *tally { return &tally{t: t, statuses: map[int]int{}} }

func (y *tally) failed() bool {
	y.mutex.Lock()
	defer y.mutex.Unlock()
	return y.problems > 20
}

func (y *tally) add(number int, outcome outcome) {
	y.mutex.Lock()
	defer y.mutex.Unlock()
	if outcome.err != nil {
		if outcome.whole {
			y.problems++
			y.t.Errorf("request %d is not answered: %v\n%.300q", number, outcome.err, outcome.raw)
		}
		y.closed++
		return
	}
	for _, answer := range outcome.answers {
		y.statuses[answer.StatusCode]++
		if answer.StatusCode >= 500 && (answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "") {
			y.problems++
			y.t.Errorf("request %d is answered %d, Retry-After %q:\n%.300q\n%.300s", number, answer.StatusCode, answer.Header.Get("Retry-After"), outcome.raw, outcome.body)
		}
	}
	if strings.Contains(outcome.body, "No account has this e-mail address and password") {
		y.passwords++
	}
}

// outcome is what became of a request.
type outcome struct {
	message
	answers []*http.Response // one, or those to what stood behind it
	body    string           // of all of them
	err     error            // there was none
}

// message is a request as it is sent.
type message struct {
	raw   []byte
	whole bool // it ends, so it is answered
}

// send sends a request and reads what comes back until the server closes the connection.
func (m message) send(address string) outcome {
	o := outcome{message: m}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		o.err = err
		return o
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	go func() {
		_, _ = conn.Write(m.raw) // the server may close it before the end
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	reader := bufio.NewReader(conn)
	for {
		var asked *http.Request // tells an answer without a body, where that is the method's
		if len(o.answers) == 0 && bytes.HasPrefix(m.raw, []byte("HEAD ")) {
			asked = &http.Request{Method: http.MethodHead}
		}
		answer, err := http.ReadResponse(reader, asked)
		if err != nil {
			if len(o.answers) == 0 || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !isReset(err) {
				o.err = err
			}
			return o
		}
		if answer.StatusCode == http.StatusContinue {
			continue
		}
		content, err := io.ReadAll(answer.Body)
		o.answers, o.body = append(o.answers, answer), o.body+string(content)
		if err != nil || answer.Close {
			return o
		}
	}
}

func isReset(err error) bool {
	var network *net.OpError
	return errors.As(err, &network)
}

// generator makes one bad request. The same seed makes the same one.
type generator struct {
	*rand.Rand
	*target
	bomb []byte
}

func (g generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

// field is a header.
type field struct{ name, value string }

// request makes a request of a route, or of what looks like one.
func (g generator) request(r route) message {
	method := r.method
	if g.oneIn(12) {
		method = pick(g, "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "G\x00T", "")
	}
	address := g.address(r)
	head := []field{{"Host", g.address2("localhost")}}
	head = append(head, g.identity(r)...)
	head = append(head, g.moreHeaders()...)
	var body []byte
	if method != "GET" && method != "HEAD" || g.oneIn(15) {
		var kind string
		kind, body = g.body(r)
		if g.oneIn(4) {
			encoding := pick(g, "gzip", "gzip, gzip", "br", "deflate", "zstd", "identity", "identity, gzip", "GZIP", "*", "")
			switch g.IntN(3) {
			case 0:
				body = zip(body)
			case 1:
				kind, encoding, body = pick(g, "application/json", "application/xml", "multipart/form-data; boundary=b", kind), pick(g, "gzip, gzip", encoding), g.bomb
			}
			head = append(head, field{"Content-Encoding", encoding})
		}
		if kind != "" {
			head = append(head, field{"Content-Type", kind})
		}
	}
	return g.frame(method, address, head, body)
}

// address2 is what a host is called, mostly.
func (g generator) address2(usual string) string {
	if !g.oneIn(25) {
		return usual
	}
	return pick(g, "", "evil.example", "localhost:99999", "[::1", "a b", "a,b", "user@localhost", "localhost/x", "lö.example", strings.Repeat("a", 3000))
}

// identity is who asks.
func (g generator) identity(r route) []field {
	who := g.IntN(10)
	if who < 4 && (strings.Contains(r.path, "/logout") || strings.Contains(r.path, "/sessions")) {
		return nil // it would end the session of all requests that follow
	}
	switch who {
	case 0, 1, 2:
		return []field{{"Cookie", g.admin}}
	case 3:
		return []field{{"Cookie", g.member}}
	case 4:
		return []field{{"Authorization", "Bearer " + g.read}}
	case 5, 6:
		return []field{{"Authorization", "Bearer " + g.write}}
	case 7:
		return []field{{"Authorization", pick(g, "Bearer", "Bearer ", "Basic YTpi", "bearer alk_wrong", "Bearer "+strings.Repeat("x", 5000), g.noise(40))}}
	case 8:
		return []field{{"Cookie", pick(g, "audit_session=", "audit_session="+strings.Repeat("a", 43), g.noise(80), "=;=;;", strings.Repeat("a=b; ", 2000), g.admin+"x", "audit_preferences=tz=%zz")}}
	default:
		return nil
	}
}

// moreHeaders are those that some code of the server looks at, with values nobody expects.
func (g generator) moreHeaders() (head []field) {
	names := []string{"HX-Request", "HX-Request-Type", "HX-Current-URL", "HX-Target", "Accept-Encoding", "Accept", "If-None-Match", "Range", "Expect",
		"Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-ID", "Idempotency-Key",
		"X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery", "Connection", "Upgrade", "TE", "Trailer", "User-Agent", "X-HTTP-Method-Override", "Content-Length"}
	for range g.IntN(6) {
		value := pick(g, "true", "partial", "full", "*", "gzip;q=nan, br;q=0", "bytes=0-,5-1", "100-continue", "cross-site", "none", "null", "http://evil.example", "navigate",
			"close", "keep-alive", "h2c", "trailers", "../../etc/passwd", "deployment", "sha256="+strings.Repeat("a", 64), "-1", "1e9", strings.Repeat("9", 30), g.noise(30), g.text())
		head = append(head, field{pick(g, names...), value})
	}
	if g.oneIn(60) {
		head = append(head, field{"X-Large", strings.Repeat("a", g.IntN(40_000))})
	}
	if g.oneIn(60) {
		for i := range g.IntN(2000) {
			head = append(head, field{"X-" + strconv.Itoa(i), ""})
		}
	}
	return head
}

// address is a path of a route, with values in it, and a query.
func (g generator) address(r route) string {
	parts := strings.Split(r.path, "/")
	for i, part := range parts {
		switch {
		case part == ":slug" && !g.oneIn(6):
			parts[i] = g.slug
		case part == ":user" && !g.oneIn(3):
			parts[i] = g.memberID
		case part == ":connection" && !g.oneIn(3):
			parts[i] = g.connection
		case strings.HasPrefix(part, ":") || part == "*":
			parts[i] = url.PathEscape(g.text())
			if g.oneIn(4) {
				parts[i] = pick(g, "%", "%zz", "%00", "..", ".", "%2e%2e%2f", "ä", ";", "\\", "//", "", strings.Repeat("a", 5000))
			}
		}
	}
	address := strings.Join(parts, "/")
	if g.oneIn(30) {
		address = pick(g, "*", "http://localhost"+address, "http://evil.example"+address, "/"+address, address+"/", strings.ToUpper(address), "/./"+address, address+"%00", address+"#x?y", "?", "")
	}
	if g.oneIn(3) {
		return address
	}
	return address + "?" + g.query()
}

// query names parameters the pages know, with values they do not.
func (g generator) query() string {
	names := []string{"action", "actor", "entity_type", "outcome", "ip", "request_id", "api_key", "source", "q", "from", "to", "tz", "sort", "dir", "cursor", "limit", "format",
		"id", "return", "notice", "page", "ipp"}
	var parts []string
	for range 1 + g.IntN(6) {
		value := pick(g, "", "system", "deployment:create", "deployment:*", "csv", "ndjson", "timestamp", "user", "asc", "-24h", "-9999999999999h", "2026-02-30", "2026-11-25T13:00",
			"0001-01-01", "9999-12-31T23:59:59Z", "+99999-01-01", "Europe/Berlin", "Mars/Olympus", "../../etc/passwd", "0", "-1", "50", "1e3", "99999999999999999999", "' OR 1=1 --", "%", "_",
			"%%%", "\\", "/\\evil.example", "//evil.example", strings.Repeat("a ", 500), strings.Repeat("é", 2000), g.text(), g.noise(20))
		parts = append(parts, pick(g, names...)+"="+url.QueryEscape(value))
	}
	if g.oneIn(12) {
		parts = append(parts, pick(g, "q=%zz", "q=%", "=", "&&&", "q", "%00=%00", "q=%ff%fe", "q=a;b", "action="+strings.Repeat("x%3Ay&action=", 300), strings.Repeat("actor=a&", 1000)))
	}
	return strings.Join(parts, "&")
}

// body is one of a kind, or says so. Nothing in it confirms anything: the log is to be there at the end.
func (g generator) body(r route) (kind string, body []byte) {
	switch g.IntN(12) {
	case 0:
		return pick(g, "application/json", "application/x-ndjson", "text/json"), g.events()
	case 1, 2, 3:
		if strings.HasPrefix(r.path, "/api/") || strings.HasPrefix(r.path, "/webhooks/") {
			return pick(g, "application/json", "application/json", "application/x-ndjson"), g.events()
		}
		if r.path == "/login" && g.oneIn(2) {
			return "application/x-www-form-urlencoded", []byte("email=" + pick(g, "admin@example.com", "nobody@example.com") + "&password=" + url.QueryEscape(g.text()))
		}
		return "application/x-www-form-urlencoded", g.form()
	case 4, 5:
		return "application/x-www-form-urlencoded", g.form()
	case 6:
		return "multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"" + g.text() + "\"; filename=\"x\"\r\n\r\n" + g.text() + "\r\n--b" + pick(g, "", "--", "--\r\n"))
	case 7:
		return pick(g, "application/xml", "text/xml"), []byte(`<!DOCTYPE a [<!ENTITY b "` + g.text() + `">]><login><email>&b;</email></login>`)
	case 8:
		return pick(g, "text/plain", "application/octet-stream", "a", "/", "application/json; charset=utf-16", g.noise(20), strings.Repeat("a/b;", 500)), []byte(g.noise(200))
	case 9:
		return "", []byte(g.noise(50))
	case 10:
		if g.oneIn(4) {
			return "application/json", bytes.Repeat([]byte(pick(g, " ", "[", `{"a":`, "a", "\"")), 1+g.IntN(6<<20))
		}
		return "application/x-www-form-urlencoded", bytes.Repeat([]byte(pick(g, "a", "a=b&", "%", "&")), 1+g.IntN(80_000))
	default:
		return "application/x-www-form-urlencoded", nil
	}
}

// form is fields the pages know, with values they do not. Sign-ins are among them, and few have what it takes to
// be tried.
func (g generator) form() []byte {
	form := url.Values{}
	for range g.IntN(8) {
		name := pick(g, "email", "password", "name", "slug", "token", "organization", "enabled", "retention_days", "entity_type", "url_template", "role", "id", "tz", "theme",
			"expires", "scope", "return", "old_password", "new_password", "q")
		form.Add(name, pick(g, "", "on", "admin", "owner", "read", "0", "-1", "366", "9e9", "a", "a@b", "acme", "acme2", "javascript:alert(1)", "https://a.example/{id}", "http://{id}", "light",
			"<script>", strings.Repeat("x", 300), g.memberID, g.text(), g.noise(30)))
	}
	return []byte(form.Encode())
}

// events are such as programs send, with something wrong in most.
func (g generator) events() []byte {
	one := func() string {
		event := map[string]any{"action": "service:update", "entity_id": "svc-1", "actor": map[string]any{"id": "u-7", "name": g.text()}}
		for range g.IntN(4) {
			name := pick(g, "action", "actor", "entity_id", "entity_type", "entity_name", "metadata", "occurred_at", "id", "url", "organization", "external_id", "outcome", "related", g.text())
			event[name] = pick[any](g, nil, true, -1, 1e300, "", "user:sign_in", "a:b", "system", "1969-12-31T23:59:59Z", "not a time", []any{}, map[string]any{"id": "system"},
				map[string]any{"a": strings.Repeat("b", g.IntN(300_000))}, g.text(), strings.Repeat("c", g.IntN(2000)), deep(g.IntN(60)))
		}
		text, err := json.Marshal(event)
		if err != nil {
			g.t.Error(err)
		}
		return string(text)
	}
	switch g.IntN(6) {
	case 0:
		return []byte(one())
	case 1:
		return []byte("[" + one() + "," + one() + pick(g, "]", "", ",]", "]]", "}"))
	case 2:
		return []byte(strings.Repeat(one()+"\n", g.IntN(20)))
	case 3:
		return []byte("[" + strings.TrimSuffix(strings.Repeat(`{"a":1},`, g.IntN(3000)), ",") + "]")
	case 4:
		return []byte(strings.Repeat(pick(g, "[", `{"metadata":`, `[{"actor":`), g.IntN(20_000)))
	default:
		text := []byte(one())
		for range 1 + g.IntN(4) {
			text[g.IntN(len(text))] = byte(g.IntN(256))
		}
		return text
	}
}

// deep is a list in a list, and so on.
func deep(levels int) (value any) {
	for range levels {
		value = []any{value}
	}
	return value
}

// text is something that may stand in a field, and often should not.
func (g generator) text() string {
	return pick(g, "a", "0", "svc-1", "Žluťoučký kůň", "\u202efdp.exe", "\u200b", "\x00", "\xff\xfe", "👩‍👩‍👧", "'\"<>&", "{{.}}", "%s%n", "a\r\nX-Injected: b", strings.Repeat("z", 600),
		"ent_"+strings.Repeat("0", 26), "../..", "null", " ", "\t")
}

// noise is bytes of any kind.
func (g generator) noise(most int) string {
	noise := make([]byte, g.IntN(most+1))
	for i := range noise {
		noise[i] = byte(g.IntN(256))
	}
	return string(noise)
}

func zip(content []byte) []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write(content) // to memory
	_ = writer.Close()
	return packed.Bytes()
}

// frame writes a request down, one in four of them not as HTTP has it.
func (g generator) frame(method, address string, head []field, body []byte) message {
	version, broken := "HTTP/1.1", ""
	if g.oneIn(4) {
		broken = pick(g, "two lengths", "length and chunks", "chunks", "bad chunks", "cut", "cut head", "bare line feeds", "folded", "space before colon", "two hosts", "no host",
			"version", "noise", "flipped", "wrong length", "pipelined", "transfer-encoding", "no end")
	}
	length := strconv.Itoa(len(body))
	hasBody := len(body) > 0 || method == "POST"
	chunked := false
	switch broken {
	case "two lengths":
		head = append(head, field{"Content-Length", length}, field{"content-length", strconv.Itoa(g.IntN(100))})
	case "length and chunks":
		head, chunked = append(head, field{"Content-Length", length}, field{"Transfer-Encoding", "chunked"}), true
	case "chunks", "bad chunks":
		head, chunked = append(head, field{"Transfer-Encoding", pick(g, "chunked", "Chunked")}), true
	case "transfer-encoding":
		head, chunked = append(head, field{"Transfer-Encoding", pick(g, "gzip", "identity", "chunked, chunked", "gzip, chunked", "x", "", "\vchunked")}), true
	case "wrong length":
		head = append(head, field{"Content-Length", pick(g, "", "-1", "+5", "0x10", "99999999999999999999", "5 5", "5,5", "1e3", strconv.Itoa(g.IntN(2*len(body)+2)), "6000000")})
	default:
		if hasBody {
			head = append(head, field{"Content-Length", length})
		}
	}
	switch broken {
	case "two hosts":
		head = append(head, field{"Host", pick(g, "localhost", "evil.example")})
	case "no host":
		head = slices.DeleteFunc(head, func(f field) bool { return f.name == "Host" })
	case "version":
		version = pick(g, "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "http/1.1", "", "HTTP/1.1 ", "ICY")
	}
	end, colon := "\r\n", ": "
	if broken == "bare line feeds" {
		end = pick(g, "\n", "\r", "\n\r")
	}
	if broken == "space before colon" {
		colon = pick(g, " : ", "\t:", ":", ":\t", "::")
	}
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s %s %s%s", method, address, version, end)
	g.Shuffle(len(head), func(i, j int) { head[i], head[j] = head[j], head[i] })
	for _, f := range head {
		value := f.value
		if broken == "folded" && g.oneIn(2) {
			value = "\r\n " + value
		}
		fmt.Fprintf(&raw, "%s%s%s%s", f.name, colon, value, end)
	}
	if broken != "cut head" {
		raw.WriteString(end)
	}
	switch {
	case chunked:
		raw.Write(g.chunks(body, broken == "bad chunks"))
	default:
		raw.Write(body)
	}
	whole := broken == "" || broken == "pipelined"
	switch broken {
	case "cut":
		raw.Truncate(g.IntN(raw.Len() + 1))
	case "noise":
		raw.Reset()
		raw.WriteString(g.noise(500))
	case "flipped":
		for range 1 + g.IntN(8) {
			raw.Bytes()[g.IntN(min(raw.Len(), 2000))] = byte(g.IntN(256))
		}
	case "pipelined":
		raw.WriteString(strings.Repeat("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 1+g.IntN(5)))
	}
	return message{raw: raw.Bytes(), whole: whole}
}

// chunks are a body in chunks, or nearly.
func (g generator) chunks(body []byte, bad bool) []byte {
	var raw bytes.Buffer
	for len(body) > 0 {
		size := 1 + g.IntN(min(len(body), 50_000))
		fmt.Fprintf(&raw, "%x%s\r\n", size, pick(g, "", "", ";a=b"))
		raw.Write(body[:size])
		raw.WriteString("\r\n")
		body = body[size:]
		if bad && g.oneIn(3) {
			raw.WriteString(pick(g, "zz\r\n", "-1\r\n", "ffffffffffffffff\r\n", "7fffffffffffffff\r\na", "\r\n", "5", "5\n12345\n", "0\r\nContent-Length: 5\r\n\r\n", "0x5\r\n12345\r\n"))
		}
	}
	raw.WriteString(pick(g, "0\r\n\r\n", "0\r\n\r\n", "0\r\nX-Trailer: a\r\n\r\n", "0\r\nAuthorization: Bearer "+g.write+"\r\n\r\n", "0\r\n", ""))
	return raw.Bytes()
}
