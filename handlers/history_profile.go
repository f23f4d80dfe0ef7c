package handlers

import (
	"cmp"
	"context"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/models/history"
	"github.com/auditlogs/auditlogs/views"
)

// profile is what the entries of a resource or an actor come to.
type profile struct {
	First, Last models.Micros // when it was seen; First is zero where that is not known
	Zone        *time.Location
	Total       string // how many entries there are; empty where that is not known
	Chart       *chart // of a year at most, or where Drawn is false of the latest entries
	Drawn       bool
	Lists       []profileList // of all entries, or where Whole is false of the latest ones, which Looked counts
	Whole       bool
	Looked      int64
}

// profileList is what most entries have in common.
type profileList struct {
	Title string
	Rows  []profileRow
}

type profileRow struct {
	Label, Note string
	Mono        bool
	Kind        views.Kind // of an actor that is no person
	Address     string
	Count       int64
}

// year is how far back a profile's chart goes, where entries are kept so long.
const year = 365 * 24 * time.Hour

func (h *Handlers) profileOf(ctx context.Context, page *historyPage, lately history.Lately) (*profile, error) {
	org, now := page.Organization, h.Store.Now()
	p := &profile{Zone: page.Location, First: lately.First, Last: lately.Entries[0].OccurredAt, Whole: lately.All, Looked: int64(len(lately.Entries))}
	answer, all := counts.Given(lately.Entries), lately.All
	if !all && page.ActorID != "" && !org.Hidden.HidesActions() {
		counted, err := counts.Of(ctx, h.Entries, org, page.In(entries.Query{}))
		if err != nil {
			return nil, err
		}
		if counted.All && counted.Count > 0 { // they may have expired since
			answer, all = counted, true
		}
	}
	if p.Drawn = all; all {
		p.Total = totalOf(answer, false)
	}
	filter := wholeLog(page.Location)
	if page.ActorID != "" {
		filter = filter.WithActor(page.ActorID)
	} else {
		for field, value := range map[entries.Field]string{entries.FieldID: page.EntityID, entries.FieldType: page.EntityType} {
			filter = filter.WithTerm(entries.Term{Field: field, Values: []string{entries.Literal(value)}})
		}
	}
	drawn := filter
	if all {
		drawn.From = Bound{At: models.MicrosOf(now.Add(-year))}
	}
	p.Chart = chartOf(drawn, org, answer, now, page.Location, page.Path)
	p.Chart.Elsewhere = true

	list := func(title string, rows []profileRow) {
		if len(rows) > 0 {
			p.Lists = append(p.Lists, profileList{title, rows})
		}
	}
	list("What", rowsFor(lately.MostActions, func(action string) profileRow {
		return profileRow{Label: action, Mono: true, Address: page.at(wholeLog(page.Location).WithAction(action).Address(page.Path))}
	}))
	list("Who", rowsFor(lately.MostActors, func(actor models.Actor) profileRow {
		row := profileRow{Label: actor.Name, Note: cmp.Or(actor.Email, actor.ID), Kind: views.KindOf(actor.Type, actor.ID), Address: actorPath(org, actor.ID)}
		if row.Note == row.Label {
			row.Note = ""
		}
		return row
	}))
	list("With what", rowsFor(lately.MostTouched, func(r event.Resource) profileRow {
		row := profileRow{Label: r.Name, Note: r.Type, Address: historyPath(org, r.Type, r.ID)}
		if r.Name == "" {
			row.Label, row.Mono = r.ID, true
		}
		return row
	}))
	list("From where", rowsFor(lately.MostIPs, func(ip string) profileRow {
		return profileRow{Label: ip, Mono: true, Address: filter.With("ip", ip).Address(page.Path)}
	}))
	return p, nil
}

func rowsFor[T any](most []history.Often[T], row func(T) profileRow) (rows []profileRow) {
	for _, often := range most {
		r := row(often.Of)
		r.Count = int64(often.Count)
		rows = append(rows, r)
	}
	return rows
}
