package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/auditlogs/auditlogs/internal/benchdata"
)

const (
	// steadyRate is the fixed rate at which latency is measured, in requests a second.
	steadyRate = 100
	// steadyFor is how long a rate is asked for.
	steadyFor = 8 * time.Second
	// rounds is how often those that are compared take turns.
	rounds = 5
	// roundFor is how long one of them is asked in a round.
	roundFor = 3 * time.Second
	// manyRequests are those after which memory is looked at.
	manyRequests = 100_000
	// starts is how often the server is started.
	starts = 9
)

// Addresses of the large organization's log.
const (
	logPath  = "/orgs/" + benchdata.Large + "/settings/audit-logs"
	homePath = "/settings/audit-logs" // leads to it; the session, its user and their organizations are read on the way
)

// measureHTTP measures the server itself over loopback, on both databases.
func measureHTTP(ctx context.Context, b *bench) (markdown string, err error) {
	folder, err := os.MkdirTemp("", "auditlogs-bench-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	program, err := buildServer(ctx, folder)
	if err != nil {
		return "", err
	}
	file, err := os.Stat(program)
	if err != nil {
		return "", err
	}

	report := &httpReport{binary: file.Size()}
	for _, fill := range []func() (benchdata.Kept, error){
		func() (benchdata.Kept, error) { return b.postgres(ctx, b.Rows) },
		func() (benchdata.Kept, error) { return b.sqlite(ctx, b.SQLiteRows) },
	} {
		kept, err := fill()
		if err != nil {
			return "", err
		}
		served, err := serveKept(ctx, kept, program, folder)
		if err != nil {
			return "", err
		}
		report.databases = append(report.databases, served)
	}
	return report.markdown(), nil
}

// buildServer builds the program into a folder.
func buildServer(ctx context.Context, folder string) (program string, err error) {
	program = filepath.Join(folder, "auditlogs")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server: %w: %s", err, output)
	}
	return program, nil
}

// servedLog is what was measured of the server on one log.
type servedLog struct {
	database string
	rows     int

	answers []answer
	// fromDatabase and fromMemory are the rates of the fragment, a round each, flat out.
	fromDatabase, fromMemory []float64
	stages                   []stage
	started                  []time.Duration // from start to the first answer
	memory, mostMemory       int64           // after manyRequests
}

// answer is one kind of answer by one of the servers.
type answer struct {
	what    string
	bytes   int
	steady  asked   // at steadyRate
	highest float64 // with p99 under held
}

// stage is a request that does a little more than the one before it, one after the other.
type stage struct {
	what string
	asked
}

// serveKept measures the server on a copy of a log, which serving writes to.
func serveKept(ctx context.Context, kept benchdata.Kept, program, folder string) (served *servedLog, err error) {
	fmt.Printf("copying %d entries\n", kept.Spec.Rows)
	url, remove, err := kept.Copy(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove(context.WithoutCancel(ctx))) }()
	if err := admit(ctx, url); err != nil {
		return nil, err
	}
	served = &servedLog{database: "PostgreSQL", rows: kept.Spec.Rows}
	if strings.HasPrefix(url, "sqlite:") {
		served.database = "SQLite"
	}
	serve := func(addr string) (*process, error) {
		return startProcess(ctx, folder, program, "serve", "--addr", addr, "--database", url)
	}
	if served.started, err = startTimes(ctx, serve); err != nil {
		return nil, err
	}
	fmt.Println("started in", served.started)

	server, err := serve("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	cookie, err := signIn(ctx, server.URL)
	if err == nil {
		err = compare(ctx, served, server, cookie, url, folder)
	}
	if err = errors.Join(err, server.stop()); err != nil {
		return nil, err
	}

	if server, err = serve("127.0.0.1:0"); err != nil {
		return nil, err
	}
	err = keepAsking(ctx, served, server, cookie)
	return served, errors.Join(err, server.stop())
}

// compare measures the server beside those that have its rows, and its answers, in memory.
func compare(ctx context.Context, served *servedLog, server *process, cookie, url, folder string) (err error) {
	fragment := func(p *process) asker { return ask(p, cookie, logPath, "br", true) }
	page := func(p *process) asker { return ask(p, cookie, logPath, "br", false) }
	fragmentBytes, err := fetch(ctx, fragment(server).targets[0], filepath.Join(folder, "fragment"))
	if err != nil {
		return err
	}
	pageBytes, err := fetch(ctx, page(server).targets[0], filepath.Join(folder, "page"))
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	rows, err := startProcess(ctx, folder, self, peerCommand, "rows", url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.stop()) }()
	memory, err := startProcess(ctx, folder, self, peerCommand, "bytes", filepath.Join(folder, "fragment"), filepath.Join(folder, "page"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memory.stop()) }()

	for round := range rounds {
		for _, side := range []struct {
			server *process
			rates  *[]float64
		}{{server, &served.fromDatabase}, {rows, &served.fromMemory}} {
			found, err := fragment(side.server).flatOut(ctx, workers, roundFor)
			if err != nil {
				return err
			}
			*side.rates = append(*side.rates, found.rate)
		}
		fmt.Printf("round %d: %.0f a second from the database, %.0f from memory\n", round+1, served.fromDatabase[round], served.fromMemory[round])
	}

	for _, s := range []struct {
		what  string
		bytes int
		asker asker
	}{
		{"fragment: the server", len(fragmentBytes), fragment(server)},
		{"fragment: rows in memory", len(fragmentBytes), fragment(rows)},
		{"fragment: its bytes in memory", len(fragmentBytes), ask(memory, cookie, "/fragment", "br", true)},
		{"page: the server", len(pageBytes), page(server)},
		{"page: its bytes in memory", len(pageBytes), ask(memory, cookie, "/page", "br", false)},
	} {
		a := answer{what: s.what, bytes: s.bytes}
		flat, err := s.asker.flatOut(ctx, workers, roundFor)
		if err != nil {
			return err
		}
		if a.steady, err = s.asker.at(ctx, steadyRate, steadyFor); err != nil {
			return err
		}
		if a.highest, err = s.asker.highest(ctx, flat.rate, steadyFor); err != nil {
			return err
		}
		fmt.Printf("%s: p50 %v, p99 %v, held %.0f a second\n", a.what, a.steady.p50, a.steady.p99, a.highest)
		served.answers = append(served.answers, a)
	}

	for _, s := range []struct {
		what  string
		asker asker
	}{
		{"the same bytes from memory", ask(memory, cookie, "/fragment", "br", true)},
		{"session, user, organizations (a redirect)", ask(rows, cookie, homePath, "br", true)},
		{"and the page's template, from rows in memory", ask(rows, cookie, logPath, "identity", true)},
		{"and compressed", fragment(rows)},
		{"and the entries from the database", fragment(server)},
	} {
		found, err := s.asker.flatOut(ctx, 1, 2*roundFor)
		if err != nil {
			return err
		}
		served.stages = append(served.stages, stage{s.what, found})
	}
	return nil
}

// keepAsking asks for pages of all kinds and looks at the server's memory.
func keepAsking(ctx context.Context, served *servedLog, server *process, cookie string) error {
	mixed := asker{server: server}
	for _, query := range []string{"", "?sort=action", "?sort=user&dir=desc", "?action=deployment:create", "?actor=system&limit=100",
		"?entity_type=service&sort=entity_type", "?to=-45d", "?q=billing", "?q=nothing+like+it"} {
		for _, fragment := range []bool{true, false} {
			mixed.targets = append(mixed.targets, ask(server, cookie, logPath+query, "br", fragment).targets...)
		}
	}
	fmt.Printf("asking %d times\n", manyRequests)
	if _, err := mixed.times(ctx, manyRequests); err != nil {
		return err
	}
	var err error
	served.memory, served.mostMemory, err = server.memory()
	return err
}

// ask is somebody signed in who asks for an address, or for what htmx gets of it.
func ask(server *process, cookie, path, encoding string, fragment bool) asker {
	header := http.Header{"Accept-Encoding": {encoding}, "Cookie": {cookie}}
	if fragment {
		header.Set("HX-Request", "true")
		header.Set("HX-Request-Type", "partial")
	}
	return asker{server, []vegeta.Target{{Method: http.MethodGet, URL: server.URL + path, Header: header}}}
}

// startTimes starts the server some times on an up-to-date database, and answers how long each took
// to its first answer.
func startTimes(ctx context.Context, serve func(addr string) (*process, error)) ([]time.Duration, error) {
	var times []time.Duration
	for range starts {
		addr, err := freeAddress()
		if err != nil {
			return nil, err
		}
		answered := make(chan time.Duration, 1)
		began := time.Now()
		waiting, giveUp := context.WithTimeout(ctx, time.Minute)
		go func() {
			if firstAnswer(waiting, "http://"+addr+"/healthz") == nil {
				answered <- time.Since(began)
			}
			close(answered)
		}()
		server, err := serve(addr)
		if err != nil {
			giveUp()
			return nil, err
		}
		took, ok := <-answered
		giveUp()
		if err := server.stop(); err != nil {
			return nil, err
		}
		if !ok {
			return nil, errors.New("the server does not become healthy")
		}
		times = append(times, took)
	}
	slices.Sort(times)
	return times, nil
}
