package benchdata_test

import (
	"database/sql/driver"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/models/following"
)

// plansSpec is large enough for a scan of the entries to show.
var plansSpec = benchdata.Spec{Rows: 100_000, Seed: 1, Until: time.Now().Add(-time.Minute)}

// Every question is answered through indexes and touches few buffers: right after a bulk import, when
// PostgreSQL knows nothing of the tables, and when it does; with a plan made for the values of a
// question, and with one for any values, which PostgreSQL makes in time for statements asked often; and
// when many rows have gone since the last VACUUM and ANALYZE knows, so that few pages are marked as visible
// to all and an index alone looks half as good as it did.
func TestPlansOfPostgreSQL(t *testing.T) {
	db := databasetest.Postgres(t)
	leaveToTest(t, db)
	if err := benchdata.Import(t.Context(), db, plansSpec); err != nil {
		t.Fatal(err)
	}
	if err := benchdata.CatchUp(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	asked := statementsOf(t, db, false)
	gone := 0 // rows of a hundred
	check := func(t *testing.T) {
		for question, statements := range asked {
			// What is gone is looked up in the table until the index knows.
			most := question.Buffers * 100 / (100 - 2*gone)
			for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
				buffers, texts := 0, ""
				for _, statement := range statements {
					plan := explain(t, db, statement, mode)
					buffers += plan.Buffers
					texts += plan.Text + "\n"
					for _, table := range []string{"audit_entries", "audit_entities"} {
						if slices.Contains(plan.Scanned, table) {
							t.Errorf("%s: %s: scans %s:\n%s", question.Name, mode, table, plan.Text)
						}
					}
				}
				if buffers > most {
					t.Errorf("%s: %s: touches %d buffers, more than %d:\n%s", question.Name, mode, buffers, most, texts)
				}
			}
		}
	}
	t.Run("imported", check)
	exec(t, db, "VACUUM (ANALYZE) audit_entries", "VACUUM (ANALYZE) audit_entities", "VACUUM (ANALYZE) audit_actors")
	t.Run("vacuumed", check)
	for _, table := range []string{"audit_entries", "audit_entities", "audit_actors"} {
		exec(t, db, "DELETE FROM "+table+" WHERE hashtext(id::text) % 5 = 0", "ANALYZE "+table)
	}
	gone = 20
	t.Run("busy", check)
	recordFurther(t, db)
	asked = statementsOf(t, db, true)
	t.Run("further", check)
	asked = whileBehind(t, db)
	t.Run("behind", check)
}

// leaveToTest has PostgreSQL know of tables what the test has it find out, and when.
func leaveToTest(t *testing.T, db *database.DB) {
	t.Helper()
	for _, table := range []string{"entries", "entities", "actors", "counts", "metadata_blocks", "metadata_pages", "metadata_runs"} {
		exec(t, db, "ALTER TABLE audit_"+table+" SET (autovacuum_enabled = off)")
	}
}

func TestPlansOfSQLite(t *testing.T) {
	db := databasetest.SQLite(t)
	if err := benchdata.Import(t.Context(), db, plansSpec); err != nil {
		t.Fatal(err)
	}
	if err := benchdata.CatchUp(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	asked := statementsOf(t, db, false)
	// Everything of an organization is as bad as everything; the first value of an index is one row.
	scans := regexp.MustCompile(`^SCAN (audit_entries|audit_entities|e)\b|^SEARCH (audit_entries|audit_entities|e) .*\(org_id=\?\)$`)
	first := regexp.MustCompile(`COVERING INDEX audit_entries_by_(type|entity) \(org_id=\?\)$`)
	check := func(t *testing.T) {
		for question, statements := range asked {
			for _, statement := range statements {
				steps, err := benchdata.ExplainSQLite(t.Context(), db.Read, statement)
				if err != nil {
					t.Fatal(err)
				}
				for _, step := range steps {
					if scans.MatchString(step) && !first.MatchString(step) {
						t.Errorf("%s: %s\n%s\n%s", question.Name, step, strings.Join(steps, "\n"), statement.SQL)
					}
				}
			}
		}
	}
	t.Run("imported", check)
	exec(t, db, "ANALYZE")
	t.Run("analyzed", check)
	recordFurther(t, db)
	asked = statementsOf(t, db, true)
	t.Run("further", check)
	asked = whileBehind(t, db)
	t.Run("behind", check)
}

// whileBehind has whoever keeps the counts have read about half of the log, as after an upgrade, asks how many entries there
// are, and answers with the statements that took.
func whileBehind(t *testing.T, db *database.DB) map[question][]benchdata.Statement {
	t.Helper()
	store, err := db.Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := benchdata.KeepStatements(db.Read)
	if err != nil {
		t.Fatal(err)
	}
	before, joined, err := following.PlaceOf(store.Reader(t.Context()), counts.ConsumerName)
	if err != nil || !joined {
		t.Fatalf("joined %v: %v", joined, err)
	}
	half := following.Batch{More: true}
	for read := 0; read < plansSpec.Rows/2; read += len(half.Entries) {
		if half, err = following.New(store).Read(t.Context(), half.Next, following.Needs{}, counts.Most); err != nil || !half.More {
			t.Fatalf("%d entries were read: %v", read, err)
		}
	}
	if moved, err := following.Advance(db.Write.WithContext(t.Context()), counts.ConsumerName, before, half.Next); err != nil || !moved {
		t.Fatalf("moved %v: %v", moved, err)
	}
	asked := map[question][]benchdata.Statement{}
	for _, slug := range []string{benchdata.Large, benchdata.Small(7)} {
		org := logtest.FindOrganization(t, store, slug)
		var all int
		if err := db.Read.Raw("SELECT count(*) FROM audit_entries WHERE org_id = ?", org.ID).Scan(&all).Error; err != nil {
			t.Fatal(err)
		}
		kept.Take()
		answer, err := counts.Of(t.Context(), entries.NewLog(store), org, entries.Query{})
		if err != nil || answer.Count != min(all, counts.Most) || answer.All != (all <= counts.Most) {
			t.Errorf("%s: %d entries of %d, all: %v, %v", slug, answer.Count, all, answer.All, err)
		}
		asked[question{slug + ": how many entries", 2000}] = kept.Take()
	}
	return asked
}

// A word in the metadata of one entry of many is found through few pages of its index and few entries.
func TestPlansOfMetadata(t *testing.T) {
	spec := benchdata.Spec{Rows: 30_000, Seed: 1, Until: time.Now().Add(-time.Minute)}
	word := spec.Commit(benchdata.Large)
	filled := func(t *testing.T, db *database.DB) (asked map[string][]benchdata.Statement) {
		if err := benchdata.Import(t.Context(), db, spec); err != nil {
			t.Fatal(err)
		}
		store, err := db.Store(nil)
		if err != nil {
			t.Fatal(err)
		}
		logtest.Index(t, store, 900, 1<<30) // so that the last batch ends with its transaction
		kept, err := benchdata.KeepStatements(db.Read)
		if err != nil {
			t.Fatal(err)
		}
		log, org := entries.NewLog(store), logtest.FindOrganization(t, store, benchdata.Large)
		asked = map[string][]benchdata.Statement{}
		for _, value := range []string{word, word[1:7], "no" + word} {
			for _, sort := range []entries.Sort{entries.SortTimestamp, entries.SortUser} {
				kept.Take()
				page, err := log.Page(t.Context(), org, entries.Query{Sort: sort, Terms: []entries.Term{{Field: entries.FieldMetadata, Values: []string{value}}}})
				if err != nil || (len(page.Entries) == 0) != (value == "no"+word) || page.Looked != nil {
					t.Errorf("%s by %s: %d entries, looked up to %v, %v", value, sort, len(page.Entries), page.Looked, err)
				}
				asked[value+" by "+string(sort)] = kept.Take()
			}
		}
		return asked
	}
	t.Run("postgres", func(t *testing.T) {
		db := databasetest.Postgres(t)
		leaveToTest(t, db)
		asked := filled(t, db)
		check := func(when string) {
			for question, statements := range asked {
				for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
					buffers, texts := 0, ""
					for _, statement := range statements {
						plan := explain(t, db, statement, mode)
						buffers += plan.Buffers
						texts += fmt.Sprintf("%d by %s\n", plan.Buffers, statement.SQL)
					}
					if buffers > 2500 {
						t.Errorf("%s, %s, %s: touches %d buffers:\n%s", when, question, mode, buffers, texts)
					}
				}
			}
		}
		check("indexed")
		exec(t, db, "VACUUM (ANALYZE)")
		check("vacuumed")
	})
	t.Run("sqlite", func(t *testing.T) {
		db := databasetest.SQLite(t)
		scans := regexp.MustCompile(`^SCAN (audit_|ahead|runs)|^SEARCH (audit_entries|audit_metadata_pages|audit_metadata_blocks|ahead) .*\(org_id=\?\)$`)
		for question, statements := range filled(t, db) {
			for _, statement := range statements {
				steps, err := benchdata.ExplainSQLite(t.Context(), db.Read, statement)
				if err != nil {
					t.Fatal(err)
				}
				if slices.ContainsFunc(steps, scans.MatchString) {
					t.Errorf("%s:\n%s\n%s", question, strings.Join(steps, "\n"), statement.SQL)
				}
			}
		}
	})
}

// recordFurther records some of what no filled log holds.
func recordFurther(t *testing.T, db *database.DB) {
	t.Helper()
	events := make([]audit.Event, 400)
	for n := range events {
		events[n] = audit.Event{
			Organization: benchdata.Large, NativeAction: benchdata.NativeAction, EntityType: "role", EntityID: "role-1",
			Actor: audit.Actor{Type: audit.ActorAgent, ID: "bot", Name: "Bot",
				OnBehalfOf: &audit.Principal{ID: benchdata.Principal, Name: "Principal"}},
		}
	}
	if _, err := audit.RecordAll(t.Context(), db.Write, events); err != nil {
		t.Fatal(err)
	}
}

// question is one of benchdata's, and who it is asked of.
type question struct {
	Name    string
	Buffers int
}

// statementsOf asks every question, or every further one, of a large and of a small organization, and answers with the
// statements that took.
func statementsOf(t *testing.T, db *database.DB, further bool) map[question][]benchdata.Statement {
	t.Helper()
	kept, err := benchdata.KeepStatements(db.Read)
	if err != nil {
		t.Fatal(err)
	}
	store, err := db.Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	log := entries.NewLog(store)
	asked := map[question][]benchdata.Statement{}
	for _, slug := range []string{benchdata.Large, benchdata.Small(7)} {
		org := logtest.FindOrganization(t, store, slug)
		kept.Take()
		for _, q := range plansSpec.Questions(slug) {
			if q.Further != further {
				continue
			}
			if _, err := q.Ask(t.Context(), log, org); err != nil {
				t.Fatalf("%s: %v", q.Name, err)
			}
			statements := kept.Take()
			if len(statements) == 0 {
				t.Fatalf("%s: no statement was kept", q.Name)
			}
			asked[question{slug + ": " + q.Name, q.Buffers}] = statements
		}
	}
	return asked
}

func explain(t *testing.T, db *database.DB, statement benchdata.Statement, mode string) (plan benchdata.Plan) {
	t.Helper()
	var values []string
	for _, arg := range statement.Args {
		values = append(values, literal(t, arg))
	}
	err := db.Read.WithContext(t.Context()).Connection(func(tx *gorm.DB) (err error) {
		for _, sql := range []string{"SET plan_cache_mode = " + mode, "PREPARE asked AS " + statement.SQL} {
			if _, err := tx.Statement.ConnPool.ExecContext(t.Context(), sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		execute := "EXECUTE asked"
		if len(values) > 0 {
			execute += "(" + strings.Join(values, ", ") + ")"
		}
		plan, err = benchdata.ExplainPostgres(t.Context(), tx, benchdata.Statement{SQL: execute})
		if err == nil {
			_, err = tx.Statement.ConnPool.ExecContext(t.Context(), "DEALLOCATE asked")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	plan.Text = statement.SQL + "\n" + plan.Text
	return plan
}

// literal is a value as it is written in SQL.
func literal(t *testing.T, value any) string {
	t.Helper()
	if valuer, ok := value.(driver.Valuer); ok {
		stored, err := valuer.Value()
		if err != nil {
			t.Fatal(err)
		}
		value = stored
	}
	switch v := value.(type) {
	case []byte:
		if len(v) == len(models.EntryID{}) {
			return fmt.Sprintf("'%x'", v)
		}
		return fmt.Sprintf(`'\x%x'`, v)
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	default:
		return fmt.Sprint(v)
	}
}

func exec(t *testing.T, db *database.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := db.Write.WithContext(t.Context()).Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
}
