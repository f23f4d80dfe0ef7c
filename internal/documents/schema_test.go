package documents

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(root + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

var (
	tableHeading = regexp.MustCompile("(?m)^\\*\\*`(audit_[a-z_]+)`\\*\\*")
	quoted       = regexp.MustCompile("`([a-z_]+)`")
)

// documentedColumns are the names in the first cells of the tables in a part of a page, those aside that are of
// another database.
func documentedColumns(text, database string) (columns []string) {
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || strings.Contains(cells[1], "(PostgreSQL)") && database != "postgres" {
			continue
		}
		for _, name := range quoted.FindAllStringSubmatch(cells[1], -1) {
			columns = append(columns, name[1])
		}
	}
	return columns
}

// columnsOf are the columns of a table or view, in their order.
func columnsOf(t *testing.T, db *database.DB, name string) []string {
	t.Helper()
	rows, err := db.Read.Raw("SELECT * FROM " + name + " LIMIT 0").Rows()
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	return columns
}

func TestTheSchemaIsDocumented(t *testing.T) {
	page := read(t, "docs/schema.md")
	view, tables, _ := strings.Cut(page, "\n## Tables\n")
	view, _, _ = strings.Cut(view, "\n### ")
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		documented := map[string][]string{}
		headings := tableHeading.FindAllStringSubmatchIndex(tables, -1)
		for i, at := range headings {
			end := len(tables)
			if i+1 < len(headings) {
				end = headings[i+1][0]
			}
			documented[tables[at[2]:at[3]]] = documentedColumns(tables[at[0]:end], db.Write.Name())
		}
		names := "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'audit%' AND name NOT LIKE 'audit_entities_search%'"
		if db.Write.Name() == "postgres" {
			names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
		}
		there := strings.Split(reported(t, db, names), "\n")
		for _, table := range there {
			got, want := documented[table], columnsOf(t, db, table)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("docs/schema.md gives %s the columns %q, it has %q", table, got, want)
			}
		}
		for table := range documented {
			if !slices.Contains(there, table) {
				t.Errorf("docs/schema.md describes %s, which is not there", table)
			}
		}
		if got, want := documentedColumns(view, db.Write.Name()), columnsOf(t, db, "audit_log"); !slices.Equal(got, want) {
			t.Errorf("docs/schema.md gives the view the columns\n%q, it has\n%q", got, want)
		}
	})
}

// The queries that the page shows are answered.
func TestTheDocumentedQueriesAreAnswered(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		organization(t, db, "acme")
		record(t, db, audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-42", EntityName: "checkout", Actor: audit.System("test"),
			Metadata: map[string]any{"changes": map[string]audit.Change{"replicas": {Before: 2, After: 4}}}})
		answered := 0
		for _, block := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(read(t, "docs/schema.md"), -1) {
			query := block[1]
			onSQLite := strings.Contains(query, "'$.")
			if !strings.HasPrefix(query, "SELECT") || onSQLite != (db.Write.Name() == "sqlite") {
				continue
			}
			answered++
			var rows []map[string]any
			if err := db.Read.Raw(query).Scan(&rows).Error; err != nil {
				t.Errorf("%s\n%v", query, err)
			}
			if strings.Contains(query, "replicas") && len(rows) != 1 {
				t.Errorf("%s\nfinds %d rows, want 1", query, len(rows))
			}
		}
		if answered == 0 {
			t.Error("docs/schema.md shows no query")
		}
	})
}
