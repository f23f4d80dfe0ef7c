package handlers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/handlers/question"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// The columns that the table has always, by default, and besides where somebody chooses them; of paths in the metadata
// a few at most, as many as fit beside the others.
var (
	alwaysColumns  = []string{"action", "timestamp"}
	defaultColumns = []string{"entity_type", "entity_id", "user"}
	chosenColumns  = []string{"entity_type", "entity_id", "user", "ip"}
)

const (
	maxMetadataColumns = 3
	maxColumnBytes     = 200 // of its name
	maxCellRunes       = 300 // of a value that may be long
)

var columnLabels = map[string]string{"entity_type": "Entity type", "entity_id": "Entity ID", "user": "User", "ip": "IP"}

// setColumn takes in one of the columns that the address names and returns why it cannot, or "".
func (f *Filter) setColumn(name string) string {
	if f.Columns == nil {
		f.Columns = []string{}
	}
	switch {
	case slices.Contains(alwaysColumns, name) || slices.Contains(f.Columns, name):
		return ""
	case slices.Contains(chosenColumns, name):
		f.Columns = append(f.Columns, name)
		return ""
	case len(name) > maxColumnBytes:
		return fmt.Sprintf("is longer than %d bytes", maxColumnBytes)
	}
	path, ok := question.ParsePath(name)
	if !ok {
		return `must be entity_type, entity_id, user, ip or a path in the metadata, such as meta.userAgent or meta."a.b".c`
	}
	if name = question.PathString(path); slices.Contains(f.Columns, name) {
		return ""
	}
	if len(f.metadataColumns()) == maxMetadataColumns {
		return fmt.Sprintf("names more than %d paths in the metadata", maxMetadataColumns)
	}
	f.Columns = append(f.Columns, name)
	return ""
}

// arrange puts the columns in the one order that the table has them in; nil are those by default.
func (f *Filter) arrange() {
	rank := func(name string) int {
		if i := slices.Index(chosenColumns, name); i >= 0 {
			return i
		}
		return len(chosenColumns)
	}
	slices.SortStableFunc(f.Columns, func(a, b string) int { return rank(a) - rank(b) })
	if slices.Equal(f.Columns, defaultColumns) {
		f.Columns = nil
	}
}

// ColumnParameters are the columns as the address names them; none where they are those by default.
func (f Filter) ColumnParameters() []string {
	if f.Columns != nil && len(f.Columns) == 0 {
		return alwaysColumns[:1]
	}
	return f.Columns
}

// Shows reports whether the table has a column that can be chosen.
func (f Filter) Shows(name string) bool {
	if f.Columns == nil {
		return slices.Contains(defaultColumns, name)
	}
	return slices.Contains(f.Columns, name)
}

// ColumnCount is how many columns the table has.
func (f Filter) ColumnCount() int {
	if f.Columns == nil {
		return len(alwaysColumns) + len(defaultColumns)
	}
	return len(alwaysColumns) + len(f.Columns)
}

func (f Filter) metadataColumns() []string {
	return slices.DeleteFunc(slices.Clone(f.Columns), func(name string) bool { return slices.Contains(chosenColumns, name) })
}

// also is what the columns need of an entry that lists do not show.
func (f Filter) also() (fields []entries.Field) {
	if f.Shows("ip") {
		fields = append(fields, entries.FieldIP)
	}
	if len(f.metadataColumns()) > 0 {
		fields = append(fields, entries.FieldMetadata)
	}
	return fields
}

// columnMenu is what the Columns control offers.
type columnMenu struct {
	Chosen  []columnOption
	Paths   []string  // in the metadata, and empty ones up to as many as there can be
	Carried []carried // of the address
}

type columnOption struct {
	Name, Label string
	Checked     bool
}

// ColumnMenu returns what the Columns control offers.
func (p *logPage) ColumnMenu() columnMenu {
	var menu columnMenu
	for _, name := range chosenColumns {
		menu.Chosen = append(menu.Chosen, columnOption{name, columnLabels[name], p.Filter.Shows(name)})
	}
	if !p.Organization.Hidden.HidesMetadata() {
		menu.Paths = p.Filter.metadataColumns()
		menu.Paths = append(menu.Paths, make([]string, maxMetadataColumns-len(menu.Paths))...)
	}
	f := p.Filter.At(nil)
	f.Columns = nil
	menu.Carried = f.parameters()
	return menu
}

// furtherColumn is one that a list does not have by default.
type furtherColumn struct {
	name, label string
	path        []string // in the metadata; nil for the IP
}

func (f Filter) furtherColumns() (further []furtherColumn) {
	if f.Shows("ip") {
		further = append(further, furtherColumn{"ip", columnLabels["ip"], nil})
	}
	for _, name := range f.metadataColumns() {
		if path, ok := question.ParsePath(name); ok {
			further = append(further, furtherColumn{name, strings.TrimPrefix(name, string(entries.FieldMetadata)+"."), path})
		}
	}
	return further
}

// cell is what an entry has in a further column.
type cell struct {
	Column, Label string
	Text          string // shortened where it is very long
	Address       string // of the entries that have the same; empty where they cannot be asked for
	Cut           bool   // it may be too long for its place, and is cut in the middle then
}

// cellsOf are what an entry has in further columns.
func cellsOf(page *logPage, entry *models.Entry, further []furtherColumn) (cells []cell) {
	for _, column := range further {
		c := cell{Column: column.name, Label: column.label}
		values, field := []string{entry.IP}, entries.FieldIP
		if column.path != nil {
			values, field = entries.MetadataAt(entry, column.path), entries.FieldMetadata
		}
		c.Text = strings.Join(values, ", ")
		if len(values) == 1 && c.Text != "" {
			term := entries.Term{Field: field, Path: column.path, Values: []string{entries.Literal(c.Text)}}
			if same := page.Filter.WithTerm(term); question.CanSay(term) && len(same.Question()) <= maxSearchBytes {
				c.Address = same.Address(page.Path)
			}
		}
		if runes := []rune(c.Text); len(runes) > maxCellRunes {
			c.Text = string(runes[:maxCellRunes]) + "…"
		}
		c.Cut = len(c.Text) > longID
		cells = append(cells, c)
	}
	return cells
}
