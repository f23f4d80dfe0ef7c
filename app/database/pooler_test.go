//go:build unix

package database_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// settings are the values of what is set for our statements.
func settings(t *testing.T, db *database.DB) string {
	t.Helper()
	var all string
	err := db.Write.Raw("SELECT concat_ws(', ', current_setting('jit'), current_setting('enable_sort'), current_setting('default_transaction_isolation'))").Scan(&all).Error
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// openLogged opens a database and returns what is told to the log.
func openLogged(t *testing.T, address string) (*database.DB, string) {
	t.Helper()
	var told bytes.Buffer
	db, err := database.Open(t.Context(), address, slog.New(slog.NewTextHandler(&told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, told.String()
}

func nameOf(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(parsed.Path, "/")
}

const asWanted = "off, off, read committed"

func TestConnectionsToPostgreSQLAreSetUp(t *testing.T) {
	address := databasetest.PostgresURL(t)
	if err := databasetest.Open(t, address).Write.Exec("ALTER DATABASE " + nameOf(t, address) + " SET default_transaction_isolation = serializable").Error; err != nil {
		t.Fatal(err)
	}
	db, told := openLogged(t, address)
	if got := settings(t, db); got != asWanted || told != "" {
		t.Errorf("the settings are %s, and the log says %q", got, told)
	}
}

func TestOfAPoolerNothingIsSetButWhatTheOperatorSets(t *testing.T) {
	address := databasetest.PostgresURL(t)
	operator := databasetest.Open(t, address)
	if err := operator.Write.Exec("ALTER DATABASE " + nameOf(t, address) + " SET default_transaction_isolation = serializable").Error; err != nil {
		t.Fatal(err)
	}
	db, told := openLogged(t, databasetest.Pooler(t, address))
	if got := settings(t, db); got != "on, on, serializable" {
		t.Errorf("the settings are %s", got)
	}
	statements := regexp.MustCompile(`ALTER ROLE postgres IN DATABASE auditlogs_test_\w+ SET [^;]*;`).FindAllString(told, -1)
	if strings.Count(told, "level=WARN") != 1 || len(statements) != 3 {
		t.Fatalf("the log says %s", told)
	}
	for _, statement := range statements {
		if err := operator.Write.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	// Its connections are as old as it is.
	db, told = openLogged(t, databasetest.Pooler(t, address))
	if got := settings(t, db); got != asWanted || told != "" {
		t.Errorf("the settings are %s, and the log says %q", got, told)
	}
}
