package handlers

import (
	"slices"

	"github.com/auditlogs/auditlogs/models/entries"
)

// column is a heading of the table. Only those with an address sort.
type column struct {
	Name, Label string
	Address     string
	Sorted      string // for aria-sort
}

func columnsOf(page *logPage) []column {
	columns := []column{{Name: "action", Label: "Action"}}
	for _, name := range defaultColumns {
		if page.Filter.Shows(name) {
			columns = append(columns, column{Name: name, Label: columnLabels[name]})
		}
	}
	for _, further := range page.Filter.furtherColumns() {
		columns = append(columns, column{Name: further.name, Label: further.label})
	}
	columns = append(columns, column{Name: "timestamp", Label: "Timestamp"})
	for i := range columns {
		sort := entries.Sort(columns[i].Name)
		if !slices.Contains(sortedColumns, sort) {
			continue
		}
		columns[i].Address = page.Filter.SortedBy(sort).Address(page.Path)
		switch {
		case page.Filter.Sort != sort:
			columns[i].Sorted = "none"
		case page.Filter.Ascending:
			columns[i].Sorted = "ascending"
		default:
			columns[i].Sorted = "descending"
		}
	}
	return columns
}

// order is a choice of the Sort control, which stands in for the headings on narrow pages.
type order struct {
	Label   string
	Address string
	Current bool
}

var orderLabels = []struct {
	sort      entries.Sort
	ascending bool
	label     string
}{
	{entries.SortTimestamp, false, "Newest first"},
	{entries.SortTimestamp, true, "Oldest first"},
	{entries.SortAction, true, "Action, A to Z"},
	{entries.SortAction, false, "Action, Z to A"},
	{entries.SortEntityType, true, "Entity type, A to Z"},
	{entries.SortEntityType, false, "Entity type, Z to A"},
	{entries.SortUser, true, "User, A to Z"},
	{entries.SortUser, false, "User, Z to A"},
}

func ordersOf(page *logPage) []order {
	orders := make([]order, 0, len(orderLabels))
	for _, o := range orderLabels {
		f := page.Filter.At(nil)
		f.Sort, f.Ascending = o.sort, o.ascending
		orders = append(orders, order{o.label, f.Address(page.Path), o.label == page.Filter.OrderLabel()})
	}
	return orders
}

// OrderLabel is the order in words: "Newest first".
func (f Filter) OrderLabel() string {
	for _, o := range orderLabels {
		if o.sort == f.Sort && o.ascending == f.Ascending {
			return o.label
		}
	}
	return ""
}
