package demo

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

var silent = slog.New(slog.DiscardHandler)

// anchor is a Sunday morning.
var anchor = time.Date(2026, 1, 18, 9, 30, 0, 0, time.UTC)

func storeAt(t *testing.T, db *database.DB, moment time.Time) *models.Store {
	t.Helper()
	store, err := db.Store(func() time.Time { return moment })
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func prepare(t *testing.T, store *models.Store) {
	t.Helper()
	if err := Prepare(t.Context(), store, silent); err != nil {
		t.Fatal(err)
	}
}

func organization(t *testing.T, store *models.Store, slug string) models.Organization {
	t.Helper()
	return logtest.FindOrganization(t, store, slug)
}

func entries(t *testing.T, store *models.Store, org models.Organization) []models.Entry {
	t.Helper()
	var rows []models.Entry
	if err := store.Reader(t.Context()).Where("org_id = ?", org.ID).Order("id").Find(&rows).Error; err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestDemo looks at one filled database from all sides: filling takes seconds.
func TestDemo(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := storeAt(t, db, anchor)
		prepare(t, store)
		t.Run("the log is that of a company", func(t *testing.T) { looksReal(t, store) })
		t.Run("the settings have a past", func(t *testing.T) { settingsHaveAPast(t, store) })
		t.Run("keys are used", func(t *testing.T) { keysAreUsed(t, store) })
		t.Run("the accounts can sign in", func(t *testing.T) { accountsCanSignIn(t, store) })

		later := storeAt(t, db, anchor.Add(30*time.Hour))
		t.Run("another start changes nothing", func(t *testing.T) { startsAgain(t, later) })
		t.Run("life goes on", func(t *testing.T) { lifeGoesOn(t, later) })
		t.Run("life ends with its context", func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			end()
			if err := Run(ctx, later, silent); err != nil {
				t.Error(err)
			}
		})
	})
}

func looksReal(t *testing.T, store *models.Store) {
	org := organization(t, store, large)
	log := entries(t, store, org)
	for i := range log {
		if err := models.ReadParts(t.Context(), store.Reader(t.Context()), org.ID, &log[i]); err != nil {
			t.Fatal(err)
		}
	}
	if len(log) < 6000 {
		t.Errorf("%d entries, want at least 6000", len(log))
	}

	actions, people, sources, few := map[string]int{}, map[string]string{}, map[string]int{}, map[string]int{}
	withChanges, withURL, late := 0, 0, 0
	for _, e := range log {
		actions[e.Action]++
		if e.BySystem() {
			sources[e.Source]++
		} else if e.ActorType == "" {
			people[e.ActorID] = e.ActorName
		}
		for _, said := range []string{string(e.Outcome), string(e.ActorType), e.NativeAction} {
			few[said]++
		}
		if e.OnBehalfOf != nil {
			few["on behalf of "+people[e.OnBehalfOf.ID]]++
		}
		for _, r := range e.Related {
			few["related "+r.Role]++
		}
		if e.OccurredAt < org.KeptSince(anchor) || e.OccurredAt >= models.MicrosOf(anchor) {
			t.Errorf("%s at %v is outside of what is kept", e.Action, e.OccurredAt.Time())
		}
		if e.RecordedAt < e.OccurredAt || e.RecordedAt > models.MicrosOf(anchor) {
			t.Errorf("%s of %v was recorded at %v", e.Action, e.OccurredAt.Time(), e.RecordedAt.Time())
		}
		if e.RecordedAt.Time().Sub(e.OccurredAt.Time()) > time.Minute {
			late++
		}
		if e.URL != "" {
			withURL++
		}
		if e.Action == string(action.ServiceUpdate) && len(e.Metadata) > 0 {
			withChanges++
		}
	}
	for _, group := range action.Catalogue() {
		for _, action := range group.Actions {
			if actions[string(action)] == 0 {
				t.Errorf("no entry of %s", action)
			}
		}
	}
	for _, said := range []string{"failure", "denied", "agent", "service", "anonymous", "ec2:RunInstances", "Login failed",
		"related subnet", "related replaced", "on behalf of Tomasz Nowak", "on behalf of Daniel Kim"} {
		if few[said] == 0 {
			t.Errorf("no entry says %s", said)
		}
	}
	if len(people) != 12 {
		t.Errorf("%d people act, want 12: %v", len(people), people)
	}
	if names := slices.Compact(slices.Sorted(maps.Values(people))); len(names) != 11 {
		t.Errorf("%d different names, want 11, two of the people being namesakes", len(names))
	}
	system := 0
	for _, count := range sources {
		system += count
	}
	if share := float64(system) / float64(len(log)); share < 0.28 || share > 0.40 {
		t.Errorf("%.0f %% by system, want about a third", 100*share)
	}
	for _, source := range []string{"github-webhook", "autoscaler", "scheduler", "ai-scanner"} {
		if sources[source] == 0 {
			t.Errorf("nothing by system (%s)", source)
		}
	}
	if late == 0 || late > 20 {
		t.Errorf("%d entries were recorded late, want a few", late)
	}
	if withURL == 0 || withURL > len(log)/2 {
		t.Errorf("%d of %d entries carry a URL, want some", withURL, len(log))
	}
	if withChanges < 1000 {
		t.Errorf("%d updates of services carry metadata", withChanges)
	}
	if first := log[0].OccurredAt.Time(); anchor.Sub(first) < 89*24*time.Hour {
		t.Errorf("the log begins on %v, want 90 days before %v", first, anchor)
	}

	second := entries(t, store, organization(t, store, small))
	if len(second) < 20 || len(second) > 500 {
		t.Errorf("the small organization has %d entries", len(second))
	}
}

func settingsHaveAPast(t *testing.T, store *models.Store) {
	org := organization(t, store, large)
	if org.RetentionDays != models.DefaultRetentionDays || !org.LoggingEnabled {
		t.Errorf("settings are %+v, want the default ones", org.AuditSettings())
	}
	gaps, err := store.LoggingGaps(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	if len(gaps) != 1 {
		t.Fatalf("%d gaps, want 1", len(gaps))
	}
	for _, e := range entries(t, store, org) {
		if e.OccurredAt > gaps[0].From && e.OccurredAt < gaps[0].To && e.Action != string(action.OrganizationAuditConfigUpdate) {
			t.Errorf("%s was recorded at %v, while logging was off", e.Action, e.OccurredAt.Time())
		}
	}
}

func keysAreUsed(t *testing.T, store *models.Store) {
	org := organization(t, store, large)
	keys, err := accounts.NewStore(store).APIKeys(t.Context(), org.ID)
	if err != nil || len(keys) != 2 {
		t.Fatalf("the keys are %+v, %v, want two", keys, err)
	}
	release := keys[len(keys)-1] // made first
	var last models.Micros
	made := map[string]models.Micros{}
	for _, e := range entries(t, store, org) {
		if e.Action == string(action.APIKeyCreate) {
			made[e.EntityID] = e.OccurredAt
		}
		if e.APIKeyID == "" {
			continue
		}
		if e.APIKeyID != release.ID || e.APIKeyName != release.Name || e.OccurredAt < release.CreatedAt {
			t.Errorf("%s was sent with %s %s", e.ID, e.APIKeyID, e.APIKeyName)
		}
		last = e.RecordedAt
	}
	if last == 0 || release.LastUsedAt != last {
		t.Errorf("%s was last used at %v, want %v", release.Name, release.LastUsedAt.Time(), last.Time())
	}
	for _, key := range keys {
		if made[key.ID] != key.CreatedAt {
			t.Errorf("%s was made at %v, by the log at %v", key.Name, key.CreatedAt.Time(), made[key.ID].Time())
		}
	}
}

func accountsCanSignIn(t *testing.T, store *models.Store) {
	for _, account := range Accounts() {
		user, err := accounts.NewStore(store).UserByEmail(t.Context(), account.Email)
		if err != nil {
			t.Fatal(err)
		}
		if fits, err := passwords.Match(t.Context(), user.PasswordHash, account.Password); err != nil || !fits {
			t.Errorf("%s cannot sign in with %s (%v)", account.Email, account.Password, err)
		}
		if user.LastOrgID != organization(t, store, large).ID {
			t.Errorf("%s does not begin in the large organization", account.Email)
		}
		access, err := accounts.NewStore(store).AccessOf(t.Context(), user.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(access) != 2 {
			t.Errorf("%s may read %d organizations, want 2", account.Email, len(access))
		}
		for _, one := range access {
			if one.Role != account.Role {
				t.Errorf("%s is %s in %s, want %s", account.Email, one.Role, one.Slug, account.Role)
			}
		}
	}
}

func startsAgain(t *testing.T, store *models.Store) {
	before := entries(t, store, organization(t, store, large))
	prepare(t, store)
	after := entries(t, store, organization(t, store, large))
	if len(before) != len(after) {
		t.Errorf("%d entries became %d", len(before), len(after))
	}
}

func TestPrepareRefusesTheDatabaseOfOthers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := storeAt(t, db, anchor)
		err := store.Transaction(t.Context(), func(tx *gorm.DB) error {
			_, err := audit.EnsureOrganization(t.Context(), tx, audit.Organization{Slug: "theirs"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := Prepare(t.Context(), store, silent); !errors.Is(err, ErrNotDemo) {
			t.Errorf("got %v, want ErrNotDemo", err)
		}
		if _, err := models.OrganizationByRef(t.Context(), store.Reader(t.Context()), models.OrganizationRef{Slug: large}); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("the demo's organization: %v, want ErrNotFound", err)
		}
	})
}

func TestAnInterruptedFillLeavesNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := storeAt(t, db, anchor)
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		err := store.Transaction(ctx, func(tx *gorm.DB) error {
			w := northwind(anchor)
			if err := w.found(ctx, tx, map[string]string{}, passwordHashes{}); err != nil {
				return err
			}
			seen := 0
			var failed error
			w.report = func(h happening) {
				if seen++; seen == 700 {
					interrupt()
				}
				if failed == nil {
					_, failed = record(ctx, tx, h)
				}
			}
			w.liveUntil(anchor)
			return failed
		})
		if err == nil {
			t.Fatal("the interrupted fill succeeded")
		}
		prepare(t, store)
		if log := entries(t, store, organization(t, store, large)); len(log) < 6000 {
			t.Errorf("%d entries after the next start", len(log))
		}
	})
}

func TestEveryWeekdayIsAGoodDayToBegin(t *testing.T) {
	for day := range 7 {
		moment := anchor.AddDate(0, 0, day).Add(time.Duration(day*3) * time.Hour)
		count, actions := 0, map[action.Action]bool{}
		w := northwind(moment)
		w.report = func(h happening) { count++; actions[h.Action] = true }
		w.decide = func(*person, models.AuditSettings) { actions[action.OrganizationAuditConfigUpdate] = true }
		w.liveUntil(moment)
		if count < 6000 {
			t.Errorf("%v: %d entries", moment, count)
		}
		for _, group := range action.Catalogue() {
			for _, action := range group.Actions {
				if !actions[action] {
					t.Errorf("%v: no %s", moment, action)
				}
			}
		}
	}
}

func lifeGoesOn(t *testing.T, store *models.Store) {
	org := organization(t, store, large)
	before := len(entries(t, store, org))
	l, err := goOn(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		if err := l.step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if pause := l.pause(); pause < 3*time.Second || pause > 25*time.Second {
			t.Errorf("a pause of %v", pause)
		}
	}
	log := entries(t, store, org)
	if added := len(log) - before; added < 30 {
		t.Errorf("%d entries after 60 steps", added)
	}
	last := log[len(log)-1]
	if last.OccurredAt != models.MicrosOf(store.Now()) {
		t.Errorf("the latest entry is of %v, want %v", last.OccurredAt.Time(), store.Now())
	}
}

func TestTheWorldIsTheSameAfterARestart(t *testing.T) {
	live := func() map[string]string {
		w := northwind(anchor)
		w.liveUntil(anchor)
		state := map[string]string{}
		for _, s := range w.services {
			state[s.id] = s.name + s.current.id
		}
		return state
	}
	if first, second := live(), live(); !maps.Equal(first, second) {
		t.Errorf("two lives differ: %v and %v", first, second)
	}
}
