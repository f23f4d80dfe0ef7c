package handlers

import (
	"strings"

	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
)

// Summary returns how many entries are shown and in which order, for those who can't see it.
func (p *logPage) Summary() string { return p.summary("") }

// ShownSummary returns the same beside the table, where a number must not read as that of all pages.
func (p *logPage) ShownSummary() string {
	if p.Pages.Previous != "" || p.Pages.Next != "" {
		return p.summary(" on this page")
	}
	return p.summary("")
}

func (p *logPage) summary(where string) string {
	if p.Problem != nil {
		return ""
	}
	if p.Count == 0 && p.Partial != nil {
		return p.Partial.Text
	}
	if p.Count == 0 {
		return "No entries"
	}
	return views.Count(p.Count, "entry", "entries") + where + ", " + p.orderInWords()
}

// orderInWords is the order within a sentence: "newest first", "sorted by action, A to Z".
func (p *logPage) orderInWords() string {
	order := p.Filter.OrderLabel()
	if p.Filter.Sort == entries.SortTimestamp {
		return strings.ToLower(order)
	}
	return "sorted by " + strings.ToLower(order[:1]) + order[1:]
}

// FilterCount is how many filters are on besides what the search box says, which is always in sight.
func (p *logPage) FilterCount() int {
	f := p.Filter
	f.Search, f.Terms = "", nil
	return f.Parts()
}
