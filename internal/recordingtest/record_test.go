package recordingtest

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

var anna = audit.Actor{ID: "u1", Name: "Anna Álvarez", Email: "anna@example.com"}

// anEvent is a valid one; tests change what they are about.
func anEvent(change ...func(*audit.Event)) audit.Event {
	e := audit.Event{
		Organization: "acme",
		Action:       action.ServiceUpdate,
		EntityID:     "svc-1",
		EntityName:   "API",
		Actor:        anna,
		Metadata:     map[string]any{"service_name": "API"},
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func ensure(t *testing.T, db *gorm.DB, organization audit.Organization) string {
	t.Helper()
	slug, err := audit.EnsureOrganization(t.Context(), db, organization)
	if err != nil {
		t.Fatal(err)
	}
	return slug
}

func entries(t *testing.T, db *gorm.DB) []models.Entry {
	t.Helper()
	var rows []models.Entry
	if err := db.WithContext(t.Context()).Order("id").Find(&rows).Error; err != nil {
		t.Fatal(err)
	}
	return rows
}

func set(t *testing.T, db *gorm.DB, sql string, args ...any) {
	t.Helper()
	if err := db.Exec(sql, args...).Error; err != nil {
		t.Fatal(err)
	}
}

func TestRecordSharesTheCallersTransaction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		undone := errors.New("undone")
		err := db.Write.Transaction(func(tx *gorm.DB) error {
			if _, err := audit.Record(t.Context(), tx, anEvent()); err != nil {
				t.Fatal(err)
			}
			return undone
		})
		if !errors.Is(err, undone) || len(entries(t, db.Write)) != 0 {
			t.Fatalf("after a rollback: %v, %d entries", err, len(entries(t, db.Write)))
		}
		var receipt audit.Receipt
		err = db.Write.Transaction(func(tx *gorm.DB) (err error) {
			receipt, err = audit.Record(t.Context(), tx, anEvent())
			return err
		})
		rows := entries(t, db.Write)
		if err != nil || len(rows) != 1 || !receipt.Stored || rows[0].ID.String() != receipt.EntryID {
			t.Fatalf("after a commit: %v, %+v, %d entries", err, receipt, len(rows))
		}
		if e := rows[0]; e.Action != "service:update" || e.EntityType != "service" || e.EntityID != "svc-1" || e.EntityName != "API" ||
			e.ActorID != "u1" || e.ActorName != "Anna Álvarez" || e.ActorKey != "anna álvarez" || e.ActorEmail != "anna@example.com" ||
			e.Metadata != `{"service_name":"API"}` || e.OccurredAt != e.RecordedAt {
			t.Errorf("stored %+v", e)
		}
	})
}

func TestRecordTakesActorAndRequestFromTheContext(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		ctx := audit.WithActor(t.Context(), anna)
		ctx = audit.WithRequest(ctx, audit.Request{IP: "192.0.2.1", UserAgent: strings.Repeat("ü", 400), ID: "req-1"})
		fromContext := anEvent(func(e *audit.Event) { e.Actor = audit.Actor{} })
		if _, err := audit.Record(ctx, db.Write, fromContext); err != nil {
			t.Fatal(err)
		}
		automated := anEvent(func(e *audit.Event) { e.Actor = audit.System("github-webhook") })
		if _, err := audit.Record(ctx, db.Write, automated); err != nil {
			t.Fatal(err)
		}
		rows := entries(t, db.Write)
		if e := rows[0]; e.ActorID != "u1" || e.IP != "192.0.2.1" || e.UserAgent != strings.Repeat("ü", 256) || e.RequestID != "req-1" {
			t.Errorf("stored %+v", e)
		}
		if e := rows[1]; e.ActorID != "system" || e.ActorName != "system" || e.Source != "github-webhook" {
			t.Errorf("stored %+v", e)
		}
	})
}

func TestRecordRefusesWhatCannotBeStored(t *testing.T) {
	nested := map[string]any{}
	for range 40 {
		nested = map[string]any{"deeper": nested}
	}
	cases := map[string]struct {
		change func(*audit.Event)
		is     error
		field  string
	}{
		"no organization":        {func(e *audit.Event) { e.Organization = "" }, audit.ErrNoOrganization, ""},
		"unknown organization":   {func(e *audit.Event) { e.Organization = "nobody" }, audit.ErrNoOrganization, ""},
		"unstorable slug":        {func(e *audit.Event) { e.Organization = "a\x00\xff" }, audit.ErrNoOrganization, ""},
		"slug and external ID":   {func(e *audit.Event) { e.ExternalID = "x" }, nil, "organization"},
		"closed organization":    {func(e *audit.Event) { e.Organization = "closed" }, audit.ErrOrganizationClosed, ""},
		"no actor":               {func(e *audit.Event) { e.Actor = audit.Actor{} }, audit.ErrNoActor, ""},
		"actor without an ID":    {func(e *audit.Event) { e.Actor.ID = "" }, audit.ErrNoActor, ""},
		"pretended system":       {func(e *audit.Event) { e.Actor.ID = "system" }, nil, "actor.id"},
		"long actor name":        {func(e *audit.Event) { e.Actor.Name = strings.Repeat("x", 201) }, nil, "actor.name"},
		"upper case action":      {func(e *audit.Event) { e.Action = "Service:update" }, nil, "action"},
		"action without a verb":  {func(e *audit.Event) { e.Action = "service" }, nil, "action"},
		"long action":            {func(e *audit.Event) { e.Action = action.Action("a:" + strings.Repeat("b", 99)) }, nil, "action"},
		"entity type":            {func(e *audit.Event) { e.EntityType = "a b" }, nil, "entity_type"},
		"no entity ID":           {func(e *audit.Event) { e.EntityID = "" }, nil, "entity_id"},
		"long entity ID":         {func(e *audit.Event) { e.EntityID = strings.Repeat("x", 513) }, nil, "entity_id"},
		"NUL in the entity ID":   {func(e *audit.Event) { e.EntityID = "a\x00" }, nil, "entity_id"},
		"entity ID not UTF-8":    {func(e *audit.Event) { e.EntityID = "a\xff" }, nil, "entity_id"},
		"entity ID after space":  {func(e *audit.Event) { e.EntityID = " svc-1" }, nil, "entity_id"},
		"entity ID before space": {func(e *audit.Event) { e.EntityID = "svc-1\u00a0" }, nil, "entity_id"},
		"actor ID after space":   {func(e *audit.Event) { e.Actor.ID = "\u2003u1" }, nil, "actor.id"},
		"actor ID before space":  {func(e *audit.Event) { e.Actor.ID = "u1 " }, nil, "actor.id"},
		"padded system":          {func(e *audit.Event) { e.Actor.ID = "system " }, nil, "actor.id"},
		"a name given twice":     {func(e *audit.Event) { e.Metadata = json.RawMessage(`{"a":1,"a":1}`) }, nil, "metadata"},
		"long entity name":       {func(e *audit.Event) { e.EntityName = strings.Repeat("x", 201) }, nil, "entity_name"},
		"far in the future":      {func(e *audit.Event) { e.OccurredAt = time.Now().Add(time.Hour) }, nil, "occurred_at"},
		"before 1970":            {func(e *audit.Event) { e.OccurredAt = time.Unix(-1, 0) }, nil, "occurred_at"},
		"script URL":             {func(e *audit.Event) { e.URL = "javascript://x/%0aalert(1)" }, nil, "url"},
		"URL with a password":    {func(e *audit.Event) { e.URL = "https://user:pass@example.com/x" }, nil, "url"},
		"URL with a user":        {func(e *audit.Event) { e.URL = "https://console.example.com@evil.example.net/" }, nil, "url"},
		"relative URL":           {func(e *audit.Event) { e.URL = "/services/1" }, nil, "url"},
		"metadata is a list":     {func(e *audit.Event) { e.Metadata = []int{1} }, nil, "metadata"},
		"metadata is a function": {func(e *audit.Event) { e.Metadata = map[string]any{"f": func() {}} }, nil, "metadata"},
		"metadata panics":        {func(e *audit.Event) { e.Metadata = map[string]any{"p": panics{}} }, nil, "metadata"},
		"40 levels":              {func(e *audit.Event) { e.Metadata = nested }, nil, "metadata"},
		"10 MB":                  {func(e *audit.Event) { e.Metadata = map[string]any{"s": strings.Repeat("x", 10<<20)} }, nil, "metadata"},
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		ensure(t, db.Write, audit.Organization{Slug: "closed"})
		set(t, db.Write, "UPDATE audit_organizations SET closed_at = 1 WHERE slug = 'closed'")
		for name, c := range cases {
			err := db.Write.Transaction(func(tx *gorm.DB) error {
				receipt, err := audit.Record(t.Context(), tx, anEvent(c.change))
				var invalid *audit.InvalidEventError
				switch {
				case receipt != (audit.Receipt{}):
					t.Errorf("%s: receipt %+v", name, receipt)
				case c.is != nil && !errors.Is(err, c.is):
					t.Errorf("%s: error %v, want %v", name, err, c.is)
				case c.is == nil && (!errors.As(err, &invalid) || invalid.Field != c.field):
					t.Errorf("%s: error %v, want field %q", name, err, c.field)
				}
				// The transaction is the caller's to decide.
				_, err = audit.Record(t.Context(), tx, anEvent(func(e *audit.Event) { e.EntityID = name }))
				return err
			})
			if err != nil {
				t.Errorf("%s: the transaction was spoiled: %v", name, err)
			}
		}
		if got := len(entries(t, db.Write)); got != len(cases) {
			t.Errorf("%d entries, want the %d valid ones", got, len(cases))
		}
	})
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("no") }

func TestRecordStoresAwkwardTextSafely(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		awkward := anEvent(func(e *audit.Event) {
			e.EntityName = " a\x00b\xffc\nd "
			e.Metadata = map[string]any{"nul\x00": "\x00", "utf": "\xff", "html": "<script>&", "n": 1e300, "big": []byte("x")}
		})
		if _, err := audit.Record(t.Context(), db.Write, awkward); err != nil {
			t.Fatal(err)
		}
		e := entries(t, db.Write)[0]
		if e.EntityName != "a\uFFFDb\uFFFDc d" {
			t.Errorf("name %q", e.EntityName)
		}
		if want := `{"big":"eA==","html":"<script>&","n":1e+300,"nul` + "\uFFFD" + `":"` + "\uFFFD" + `","utf":"` + "\uFFFD" + `"}`; e.Metadata != want {
			t.Errorf("metadata %s, want %s", e.Metadata, want)
		}
	})
}

func TestRecordWhenLoggingIsOff(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		set(t, db.Write, "UPDATE audit_organizations SET logging_enabled = ?", false)
		receipt, err := audit.Record(t.Context(), db.Write, anEvent())
		if err != nil || receipt.Stored || receipt.EntryID != "" {
			t.Errorf("receipt %+v, %v; want nothing stored and no error", receipt, err)
		}
		var invalid *audit.InvalidEventError
		if _, err := audit.Record(t.Context(), db.Write, anEvent(func(e *audit.Event) { e.Action = "x" })); !errors.As(err, &invalid) {
			t.Errorf("an invalid event while off: %v", err)
		}
		for _, action := range []action.Action{action.OrganizationAuditConfigUpdate, action.OrganizationDelete} {
			receipt, err := audit.Record(t.Context(), db.Write, anEvent(func(e *audit.Event) { e.Action = action }))
			if err != nil || !receipt.Stored {
				t.Errorf("%s: receipt %+v, %v; want it stored", action, receipt, err)
			}
		}
		if got := len(entries(t, db.Write)); got != 2 {
			t.Errorf("%d entries, want 2", got)
		}
	})
}

func TestEntriesNeverChange(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		if _, err := audit.Record(t.Context(), db.Write, anEvent()); err != nil {
			t.Fatal(err)
		}
		before := entries(t, db.Write)
		if err := db.Write.Exec("UPDATE audit_entries SET actor_name = 'nobody'").Error; err == nil {
			t.Error("an entry was updated")
		}
		if err := db.Write.Save(&before[0]).Error; err == nil {
			t.Error("an entry was saved again")
		}
		if after := entries(t, db.Write); len(after) != 1 || !reflect.DeepEqual(after[0], before[0]) {
			t.Errorf("the entry changed: %+v", after)
		}
	})
}

func TestEnsureOrganization(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		cases := []struct {
			organization audit.Organization
			slug         string
		}{
			{audit.Organization{Slug: "acme", Name: "Acme"}, "acme"},
			{audit.Organization{Slug: "acme"}, "acme"},
			{audit.Organization{ExternalID: "t-1", Name: "Größe & Co."}, "gr-sse-co"},
			{audit.Organization{ExternalID: "t-1", Name: "Renamed"}, "gr-sse-co"},
			{audit.Organization{ExternalID: "t-2", Name: "Acme"}, "acme-2"},
			{audit.Organization{ExternalID: "t-3", Name: "Acme"}, "acme-3"},
			{audit.Organization{ExternalID: "t-2"}, "acme-2"},
			{audit.Organization{ExternalID: "日本"}, "org"},
		}
		for _, c := range cases {
			if got := ensure(t, db.Write, c.organization); got != c.slug {
				t.Errorf("%+v: slug %q, want %q", c.organization, got, c.slug)
			}
		}
		byExternalID := anEvent(func(e *audit.Event) { e.Organization, e.ExternalID = "", "t-2" })
		if receipt, err := audit.Record(t.Context(), db.Write, byExternalID); err != nil || !receipt.Stored {
			t.Errorf("recording by external ID: %+v, %v", receipt, err)
		}
		for _, refused := range []audit.Organization{{}, {Slug: "No Slug"}, {Slug: "acme", ExternalID: "t-9"}, {ExternalID: "\x00"}} {
			if slug, err := audit.EnsureOrganization(t.Context(), db.Write, refused); err == nil {
				t.Errorf("%+v: made %q, want an error", refused, slug)
			}
		}
	})
}

func TestCatalogue(t *testing.T) {
	seen, tracked := map[action.Action]bool{}, 0
	for _, group := range action.Catalogue() {
		if group.Name != action.Access {
			tracked += len(group.Actions)
		}
		for _, action := range group.Actions {
			if !action.Valid() || seen[action] {
				t.Errorf("%s: %q is invalid or listed twice", group.Name, action)
			}
			seen[action] = true
		}
	}
	if tracked != 39 {
		t.Errorf("%d tracked actions, want the 39 of the document", tracked)
	}
	action.Register("invoice:pay", "invoice:pay")
	if got := action.Registered(); len(got) != 1 || got[0] != "invoice:pay" || got[0].Entity() != "invoice" || got[0].Verb() != "pay" {
		t.Errorf("registered %v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a malformed action was registered")
		}
	}()
	action.Register("Not An Action")
}
