//go:build unix

// Package soak kills what records, while it records, and reads afterwards what is in the log: every
// event that was acknowledged, once, and none that was never sent.
//
// As part of all tests it takes seconds. SOAK_KILLS=20, which make soak sets, makes it thorough;
// SOAK_SEED repeats a run's random choices, though not its timing.
package soak

import (
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// patience is how long anything may take before the test is given up.
const patience = 5 * time.Minute

// TestMain runs the tests or, in a process that one of them has started, that test's child.
func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		if err := children[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	for _, remove := range atExit {
		remove()
	}
	os.Exit(code)
}

// atExit is what there is to do when all tests have ended.
var atExit []func()

// load is one way of recording, under way in an organization that is nobody else's.
type load interface {
	// await returns when so many more events are acknowledged.
	await(t *testing.T, more int)
	// kill ends, with SIGKILL, one of the processes that record, and starts it again.
	kill(t *testing.T, chance *rand.Rand)
	// finish repeats what nothing is known of, ends in order, and compares what was acknowledged with
	// what is in the log.
	finish(t *testing.T)
}

// way is a way into the log.
type way struct {
	name  string
	start func(t *testing.T, chance *rand.Rand, to target) load
}

// target is where a load records.
type target struct {
	databaseURL  string
	organization string // its slug
}

var ways = []way{{"client", throughSpool}, {"http", overHTTP}, {"batcher", batcher}}

func TestNothingAcknowledgedIsLostWhenKilled(t *testing.T) {
	kill := func(t *testing.T, fresh func(t *testing.T) string) {
		for _, way := range ways {
			t.Run(way.name, func(t *testing.T) {
				chance := chance(t)
				load := way.start(t, chance, prepare(t, fresh(t), "acme"))
				for range kills(t) {
					load.await(t, 1+chance.IntN(600))
					pause(chance, 20*time.Millisecond)
					load.kill(t, chance)
				}
				t.Logf("killed %d times", kills(t))
				load.finish(t)
			})
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		kill(t, func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "log.db") })
	})
	t.Run("postgres", func(t *testing.T) {
		server := databasetest.StartServer(t)
		kill(t, func(t *testing.T) string { return server.Database(t) })
	})
}

func TestNothingAcknowledgedIsLostWhenPostgreSQLStops(t *testing.T) {
	servers, databaseURL := startServers(t)
	chance := chance(t)
	all := append(slices.Clone(ways), way{"impatient batcher", impatientBatcher}, way{"transaction", inTransactions})
	loads := make([]load, len(all))
	var web *logServer
	for i, way := range all {
		loads[i] = way.start(t, chance, prepare(t, databaseURL, strings.ReplaceAll(way.name, " ", "-")))
		if posting, ok := loads[i].(*posting); ok {
			web = posting.server
		}
	}
	servers.prepared(t, databaseURL)
	for n := range kills(t) {
		for _, load := range loads {
			load.await(t, 1+chance.IntN(100))
		}
		pause(chance, 20*time.Millisecond)
		server := servers.stop(n, chance)
		if server == servers[0] {
			web.awaitHealth(t, http.StatusServiceUnavailable)
		}
		pause(chance, 500*time.Millisecond)
		server.Start()
		web.awaitHealth(t, http.StatusOK)
	}
	t.Logf("PostgreSQL stopped %d times", kills(t))
	servers.recovered(t, databaseURL)
	for i, way := range all {
		t.Run(way.name, func(t *testing.T) {
			loads[i].await(t, 1)
			loads[i].finish(t)
		})
	}
}

// kills is how often each test kills.
func kills(t *testing.T) int {
	t.Helper()
	return number(t, "SOAK_KILLS", 3)
}

// chance makes a test's random choices.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := number(t, "SOAK_SEED", rand.IntN(1_000_000))
	t.Logf("SOAK_SEED=%d", seed)
	name := fnv.New64()
	_, _ = name.Write([]byte(t.Name()))
	return rand.New(rand.NewPCG(uint64(seed), name.Sum64()))
}

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s=%s is not a number", variable, text)
	}
	return n
}

// pause waits for a random time below limit: what follows happens at a moment of its own.
func pause(chance *rand.Rand, limit time.Duration) {
	time.Sleep(time.Duration(chance.Int64N(int64(limit))))
}

// prepare makes the schema and an organization.
func prepare(t *testing.T, databaseURL, organization string) target {
	t.Helper()
	within(t, databaseURL, func(db *database.DB) error {
		if err := db.Migrate(t.Context()); err != nil {
			return err
		}
		return db.Write.Transaction(func(tx *gorm.DB) error {
			_, err := audit.EnsureOrganization(t.Context(), tx, audit.Organization{Slug: organization})
			return err
		})
	})
	return target{databaseURL, organization}
}

// within opens the database for do only.
func within(t *testing.T, databaseURL string, do func(db *database.DB) error) {
	t.Helper()
	db, err := database.Open(t.Context(), databaseURL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}
