package handlers

import "github.com/auditlogs/auditlogs/models/entries"

// pageLinks lead to the neighbouring pages; empty where there is none.
type pageLinks struct {
	First, Previous, Next                string
	FirstLabel, PreviousLabel, NextLabel string
}

// keepLooking leads on from where a page ended before it was full.
const keepLooking = "Keep looking"

func pageLinksOf(page *logPage, listed entries.Page) pageLinks {
	f := page.Filter
	links := pageLinks{FirstLabel: "First", PreviousLabel: "Previous", NextLabel: "Next"}
	if f.DefaultOrder() {
		links = pageLinks{FirstLabel: "Newest", PreviousLabel: "Newer", NextLabel: "Older"}
	}
	if listed.Previous != nil {
		links.First = f.At(nil).Address(page.Path)
		links.Previous = f.At(listed.Previous).Address(page.Path)
	}
	if listed.Next != nil {
		links.Next = f.At(listed.Next).Address(page.Path)
	}
	switch {
	case listed.Looked == nil:
	case listed.Looked.Before:
		links.PreviousLabel = keepLooking
	default:
		links.NextLabel = keepLooking
	}
	return links
}

// partialPage shows how far was looked where the page ended before it was full.
type partialPage struct {
	Text    string // "No match back to Nov 3, 14:02"
	Address string // goes on from there
}

func partialPageOf(page *logPage, listed entries.Page) *partialPage {
	if listed.Looked == nil {
		return nil
	}
	partial := &partialPage{Text: "Looked ", Address: page.Filter.At(listed.Looked).Address(page.Path)}
	if page.Count == 0 {
		partial.Text = "No match "
	}
	partial.Text += page.lookedTo(*listed.Looked)
	return partial
}

// lookedTo returns how far was looked: "back to Nov 3, 14:02".
func (p *logPage) lookedTo(place entries.Cursor) string {
	if p.Filter.Sort == entries.SortUser && p.Organization.Hidden.HidesActions() { // maybe somebody of whom all is hidden
		return "as far as a page goes"
	}
	if p.Filter.Sort != entries.SortTimestamp {
		return "as far as " + place.Value
	}
	at := place.ID.Occurred().In(p.Location)
	moment := at.Format("Jan 2, 15:04")
	if at.Year() != p.Now.Time().In(p.Location).Year() {
		moment = at.Format("Jan 2, 2006, 15:04")
	}
	if place.Before == p.Filter.Ascending {
		return "back to " + moment
	}
	return "up to " + moment
}
