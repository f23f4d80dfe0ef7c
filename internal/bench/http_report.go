package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// httpReport is the part of BENCHMARKS.md about serving.
type httpReport struct {
	binary    int64
	databases []*servedLog
}

func (r *httpReport) markdown() string {
	var out strings.Builder
	say := func(format string, values ...any) { fmt.Fprintf(&out, format+"\n", values...) }
	say("## Serving\n")
	say("`make bench SECTIONS=http` builds the server and asks it over loopback, signed in, for the newest page of the large organization's log as a browser does (`Accept-Encoding: br`): the fragment htmx gets, and the full page. The server runs in a process of its own on a copy of the log; the one who asks ([vegeta](https://github.com/tsenart/vegeta)) and PostgreSQL share the machine with it. Beside it, in processes of their own: the same server with the page's rows in memory, behind the same session, middleware, template and compression; and a bare Fiber handler that answers with the same compressed bytes.\n")
	say("%s\n", machine())

	say("| the fragment, %d connections, %d rounds in turn | from the database | from rows in memory | ratio | wanted |", workers, rounds)
	say("|---|---|---|---|---|")
	for _, d := range r.databases {
		say("| %s | %.0f a second | %.0f a second | **%.2f** | 0.5 |", d.name(), median(d.fromDatabase), median(d.fromMemory), d.ratio())
	}

	say("\n| the server | | wanted |")
	say("|---|---|---|")
	for _, d := range r.databases {
		say("| resident memory after %s requests for pages of all kinds, %s | **%.0f MB** (at most %.0f MB) | under 80 MB |",
			number(manyRequests), d.name(), float64(d.memory)/1e6, float64(d.mostMemory)/1e6)
		say("| from start to the first answer of `/healthz`, %s, median of %d | **%d ms** (slowest: %d ms) | at most 300 ms |",
			d.name(), len(d.started), d.started[len(d.started)/2].Milliseconds(), d.started[len(d.started)-1].Milliseconds())
	}
	say("| size of the binary | **%.1f MB** | under 35 MB |", float64(r.binary)/1e6)

	beginFolded(&out, "Answers at a fixed rate, and where the time goes")
	say("At a fixed rate of %d requests a second, and the highest rate at which 99 of 100 answers took less than %d ms:\n", steadyRate, held.Milliseconds())
	say("| answer | KB | p50 | p99 | highest rate | processor time of a request |")
	say("|---|---|---|---|---|---|")
	for _, d := range r.databases {
		for _, a := range d.answers {
			say("| %s: %s | %.1f | %s | %s | %s a second | %s |", d.name(), a.what, float64(a.bytes)/1000, milliseconds(a.steady.p50),
				milliseconds(a.steady.p99), number(int(a.highest)), milliseconds(a.steady.cpu))
		}
	}

	say("\nWhere the time of the fragment goes: requests that do more from line to line, over one connection, one after the other.\n")
	say("| what the request does | database | median | more than the line before | processor time |")
	say("|---|---|---|---|---|")
	for _, d := range r.databases {
		before := time.Duration(0)
		for _, s := range d.stages {
			say("| %s | %s | %s | %s | %s |", s.what, d.name(), milliseconds(s.p50), milliseconds(s.p50-before), milliseconds(s.cpu))
			before = s.p50
		}
	}
	endFolded(&out)
	return out.String()
}

func (d *servedLog) name() string {
	return fmt.Sprintf("%s, %s entries", d.database, number(d.rows))
}

// ratio is the median of the rounds' ratios.
func (d *servedLog) ratio() float64 {
	ratios := make([]float64, len(d.fromDatabase))
	for i := range ratios {
		ratios[i] = d.fromDatabase[i] / d.fromMemory[i]
	}
	return median(ratios)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[len(sorted)/2]
}
