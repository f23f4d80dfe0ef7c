package main

import (
	"fmt"
	"slices"
	"strings"
)

type retentionReport struct{ databases []measuredDatabase }

type measuredDatabase struct {
	name      string
	rows      int
	job, bare []deletion // a round each
}

// median is that of f of the rounds.
func (d measuredDatabase) median(f func(job, bare deletion) float64) float64 {
	of := make([]float64, len(d.job))
	for i := range of {
		of[i] = f(d.job[i], d.bare[i])
	}
	slices.Sort(of)
	return of[len(of)/2]
}

func (r *retentionReport) markdown(b *bench) string {
	var text strings.Builder
	fmt.Fprintf(&text, `## Retention

Half of every organization's entries expire at once, and the clean-up job deletes them while %d events a second are recorded, each in a transaction of its own. Their times count from when an event was due, so that waiting is part of them. Beside it, on another copy of the same log and under the same recording, the same rows are deleted by `+"`DELETE FROM audit_entries WHERE org_id = $1 AND id < $2`"+`, one statement an organization. The job's time is that of the whole run: it also deletes what search looks through of the months that have expired, notes its progress, and on SQLite gives space back.

%s `+"`make bench SECTIONS=retention ROWS=%d`"+`.
`, recordedPerSecond, machine(), b.Rows)
	rate := func(job, bare deletion) float64 { return job.rate() / bare.rate() }
	slower := func(job, _ deletion) float64 {
		return job.during.percentile(99).Seconds() / job.idle.percentile(99).Seconds()
	}
	text.WriteString("\n| database | what | measured | wanted |\n|---|---|---|---|\n")
	for _, d := range r.databases {
		row := func(what, measured, wanted string) {
			fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", d.name, what, measured, wanted)
		}
		if d.name == "PostgreSQL" {
			row("the job's rate beside the bare `DELETE`'s, median of the rounds", fmt.Sprintf("**%.2f**", d.median(rate)), "at least 0.6")
			row("recording's p99 while it runs beside that before, median of the rounds", fmt.Sprintf("**%.2f**", d.median(slower)), "at most 2")
		} else {
			row("the job's rate beside that of recording", fmt.Sprintf("**%.1f**", d.job[0].rate()/recordedPerSecond), "at least 5")
			row("recording's p99 while it runs", "**"+milliseconds(d.job[0].during.percentile(99))+"**", "under 25 ms")
		}
	}
	text.WriteString("\n| database | size, MB |\n|---|---|\n")
	for _, d := range r.databases {
		last := d.job[len(d.job)-1].sizes
		sizes := make([]string, len(last))
		for i, s := range last {
			sizes[i] = printer.Sprintf("%s %d", s.when, s.bytes/1_000_000)
		}
		fmt.Fprintf(&text, "| %s | %s |\n", d.name, strings.Join(sizes, ", "))
	}
	beginFolded(&text, "Every round")
	text.WriteString(`| database, entries | round | | deleted | a second | recording p50, before | p99 | p50 meanwhile | p99 | longest |
|---|--:|---|--:|--:|--:|--:|--:|--:|--:|
`)
	for _, d := range r.databases {
		for round := range d.job {
			row := func(what string, of deletion) {
				fmt.Fprintf(&text, "| %s | %d | %s | %s | %s | %s | %s | %s | %s | %s |\n", printer.Sprintf("%s, %d", d.name, d.rows), round+1, what,
					printer.Sprint(of.deleted), printer.Sprintf("%.0f", of.rate()),
					milliseconds(of.idle.percentile(50)), milliseconds(of.idle.percentile(99)),
					milliseconds(of.during.percentile(50)), milliseconds(of.during.percentile(99)), milliseconds(of.during.percentile(100)))
			}
			row("bare `DELETE`", d.bare[round])
			row("the job", d.job[round])
		}
	}
	endFolded(&text)
	return text.String()
}
