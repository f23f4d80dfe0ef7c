//go:build unix

package hostile

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/handlers/intake"
)

// attack is connections that are held open until the test ends.
type attack struct {
	*target
	mutex sync.Mutex
	held  []net.Conn
}

// from are addresses of clients: many on Linux, where all of 127.0.0.0/8 is this machine.
func from(i int) net.Addr {
	if runtime.GOOS != "linux" {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%8))}
}

// open makes count connections at once, sends head and then body on each as far as the server takes it, and
// leaves them so.
func (a *attack) open(name string, count int, head string, body []byte) {
	a.t.Helper()
	var running sync.WaitGroup
	for i := range count {
		running.Go(func() {
			dialer := net.Dialer{LocalAddr: from(i), Timeout: 10 * time.Second}
			conn, err := dialer.Dial("tcp", a.address)
			if err != nil {
				a.t.Errorf("%s: %v", name, err)
				return
			}
			a.mutex.Lock()
			a.held = append(a.held, conn)
			a.mutex.Unlock()
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10) // what comes back stays with the server
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := io.WriteString(conn, head); err == nil {
				_, _ = conn.Write(body) // as much as it takes
			}
		})
	}
	running.Wait()
	a.t.Logf("%s: %d MB at most so far", name, a.mustBeSmall()>>20)
}

// Whatever strangers send, and however much of it at once, the program has its bounded memory, and goes on serving
// those it is for.
func TestStrangersCannotFillTheMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("only the peak of the whole test is known here")
	}
	a := &attack{target: serve(t)}
	defer func() {
		for _, conn := range a.held {
			_ = conn.Close()
		}
	}()
	const form = "Content-Type: application/x-www-form-urlencoded\r\n"
	post := func(path, headers string, length int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n", path, headers, length)
	}
	signature := "X-Hub-Signature-256: sha256=" + strings.Repeat("ab", 32) + "\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: d\r\nContent-Type: application/json\r\n"
	unfinished := bytes.Repeat([]byte("a"), 5<<20-1)

	a.open("events without a key", 150, post("/api/v1/events", "Content-Type: application/json\r\n", 5<<20), unfinished)
	a.open("events with a wrong key", 150, post("/api/v1/events", "Authorization: Bearer alk_wrong\r\nContent-Type: application/json\r\n", 5<<20), unfinished)
	a.open("deliveries to nobody", 150, post("/webhooks/github/ghc_"+strings.Repeat("a", 26), signature, 5<<20), unfinished)
	a.open("deliveries that are not signed", 150, post("/webhooks/github/"+a.connection, "", 5<<20), unfinished)
	a.open("deliveries that are forged", 150, post("/webhooks/github/"+a.connection, signature, 5<<20), unfinished)
	a.open("forms", 300, post("/login", form, 64<<10), unfinished[:64<<10-1])
	a.open("forms of a page for members", 300, post("/orgs/acme/settings/organization", form, 64<<10), unfinished[:64<<10-1])
	a.open("forms in chunks", 300, "POST /login HTTP/1.1\r\nHost: a\r\n"+form+"Transfer-Encoding: chunked\r\n\r\n10000\r\n", unfinished[:64<<10-1])
	a.mustServe()

	packed := bomb(t, 1<<30)
	for _, path := range []string{"/login", "/setup", "/preferences", "/api/v1/events", "/webhooks/github/" + a.connection} {
		for _, encoding := range []string{"gzip", "gzip, gzip", "br", "deflate"} {
			for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/xml", "application/json"} {
				a.open("a bomb at "+path, 2, post(path, "Content-Type: "+kind+"\r\nContent-Encoding: "+encoding+"\r\n", len(packed)), packed)
			}
		}
	}
	parts := []byte(strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n", 50_000) + "--b--\r\n")
	a.open("a form of many parts", 50, post("/preferences", "Content-Type: multipart/form-data; boundary=b\r\n", len(parts)), parts)
	a.mustServe()

	a.open("heads that never end", 2000, "GET /login HTTP/1.1\r\nHost: a\r\nX-A: "+strings.Repeat("a", 30_000), nil)
	a.open("nothing", 1500, "", nil)
	a.mustServe()

	a.open("answers that nobody reads", 1100, strings.Repeat("GET /api/v1/openapi.yaml HTTP/1.1\r\nHost: a\r\n\r\n", 100), nil)
	a.mustServe()
	a.open("pages that nobody reads", 500, strings.Repeat("GET /login HTTP/1.1\r\nHost: a\r\n\r\n", 40), nil)
	a.mustServe()

	a.signInAtOnce(300)
	a.mustServe()
	t.Logf("%d connections were opened, of which the program keeps %d; it has had %d MB at most", len(a.held), intake.MaxConnections, a.mustBeSmall()>>20)
	if found := append(a.log.lines("panic: "), a.log.lines("panicked: ")...); len(found) > 0 { // an ID may hold "panic"
		t.Errorf("it panicked: %s", found)
	}
}

// signInAtOnce tries passwords, all at once. In the rush the server may hang up on some.
func (a *attack) signInAtOnce(count int) {
	a.t.Helper()
	var running sync.WaitGroup
	var checked atomic.Int64
	for i := range count {
		running.Go(func() {
			dialer := net.Dialer{LocalAddr: from(i), Timeout: 10 * time.Second}
			client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
			answer, err := client.Post("http://"+a.address+"/login", "application/x-www-form-urlencoded",
				strings.NewReader(fmt.Sprintf("email=user%d@example.com&password=wrong+password", i)))
			if err != nil {
				return
			}
			defer answer.Body.Close()
			switch answer.StatusCode {
			case http.StatusUnprocessableEntity:
				checked.Add(1)
			case http.StatusTooManyRequests:
			case http.StatusServiceUnavailable:
				if answer.Header.Get("Retry-After") == "" {
					a.t.Error("signing in answers 503 without Retry-After")
				}
			default:
				a.t.Errorf("signing in answers %d", answer.StatusCode)
			}
		})
	}
	running.Wait()
	if checked.Load() == 0 { // how many are depends on the machine: each waits for its turn for five seconds
		a.t.Error("no password was checked")
	}
	a.t.Logf("%d passwords: %d MB at most so far", checked.Load(), a.mustBeSmall()>>20)
}

// bomb is what unpacks to size bytes of nothing, and packed once more.
func bomb(t *testing.T, size int64) []byte {
	t.Helper()
	var twice bytes.Buffer
	outer := gzip.NewWriter(&twice)
	inner := gzip.NewWriter(outer)
	if _, err := io.CopyN(inner, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := inner.Close(); err != nil {
		t.Fatal(err)
	}
	if err := outer.Close(); err != nil {
		t.Fatal(err)
	}
	return twice.Bytes()
}

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
