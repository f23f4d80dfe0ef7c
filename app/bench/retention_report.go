package main

import (
	"fmt"
	"strings"
)

type retentionReport struct{ databases []measuredDatabase }

type measuredDatabase struct {
	name      string
	rows      int
	job, bare deletion
}

func (r *retentionReport) markdown(b *bench) string {
	var text strings.Builder
	fmt.Fprintf(&text, `### Retention

Half of every organization's entries expire at once, and the clean-up job deletes them while %d events a second are recorded, each in a transaction of its own. Their times count from when an event was due, so that waiting is part of them. Beside it, on another copy of the same log and under the same recording, the same rows are deleted by `+"`DELETE FROM audit_entries WHERE org_id = $1 AND id < $2`"+`, one statement an organization. The job's time is that of the whole run: it also deletes what search looks through of the months that have expired, notes its progress, and on SQLite gives space back.

%s `+"`make bench SECTIONS=retention ROWS=%d`"+`.

| database, entries | | deleted | a second | recording p50 | p99 | longest |
|---|---|---|---|---|---|---|
`, recordedPerSecond, machine(), b.Rows)
	for _, d := range r.databases {
		row := func(what, deleted, rate string, l latencies) {
			fmt.Fprintf(&text, "| %s | %s | %s | %s | %s | %s | %s |\n", printer.Sprintf("%s, %d", d.name, d.rows), what, deleted, rate,
				milliseconds(l.percentile(50)), milliseconds(l.percentile(99)), milliseconds(l.percentile(100)))
		}
		row("nothing is deleted", "", "", d.job.idle)
		row("the job", printer.Sprint(d.job.deleted), printer.Sprintf("%.0f", d.job.rate()), d.job.during)
		row("nothing is deleted, the other copy", "", "", d.bare.idle)
		row("bare `DELETE`", printer.Sprint(d.bare.deleted), printer.Sprintf("%.0f", d.bare.rate()), d.bare.during)
	}
	text.WriteString("\n| database | what | measured | wanted |\n|---|---|---|---|\n")
	for _, d := range r.databases {
		row := func(what, measured, wanted string) {
			fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", d.name, what, measured, wanted)
		}
		p99, without := d.job.during.percentile(99), d.job.idle.percentile(99)
		if d.name == "PostgreSQL" {
			row("the job's rate beside the bare `DELETE`'s", fmt.Sprintf("**%.2f**", d.job.rate()/d.bare.rate()), "at least 0.6")
			row("recording's p99 while it runs beside that without", fmt.Sprintf("**%.2f**", p99.Seconds()/without.Seconds()), "at most 2")
		} else {
			row("the job's rate beside that of recording", fmt.Sprintf("**%.1f**", d.job.rate()/recordedPerSecond), "at least 5")
			row("recording's p99 while it runs", "**"+milliseconds(p99)+"**", "under 25 ms")
		}
	}
	text.WriteString("\n| database | size, MB |\n|---|---|\n")
	for _, d := range r.databases {
		sizes := make([]string, len(d.job.sizes))
		for i, s := range d.job.sizes {
			sizes[i] = printer.Sprintf("%s %d", s.when, s.bytes/1_000_000)
		}
		fmt.Fprintf(&text, "| %s | %s |\n", d.name, strings.Join(sizes, ", "))
	}
	return text.String()
}
