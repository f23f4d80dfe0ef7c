package exchange_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/handlers/exchange"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

var acme = exchange.Log{
	Organization: models.Organization{Slug: "acme", Name: "Acme"}, Server: "https://audit.example.com", Path: "/orgs/acme/settings/audit-logs",
}

// written returns an entry as the form has it.
func written(t *testing.T, form string, e models.Entry) (text []byte, object map[string]any) {
	t.Helper()
	f, ok := exchange.Named(form)
	if !ok {
		t.Fatalf("there is no form %s", form)
	}
	text, err := json.Marshal(f.Of(acme, &e))
	if err != nil {
		t.Fatal(err)
	}
	return text, parsed[map[string]any](t, text)
}

// parsed reads JSON; numbers stay as they are written.
func parsed[T any](t *testing.T, text []byte) (value T) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v: %.200s", err, text)
	}
	return value
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eachKind checks every kind of entry in a form; check returns what is wrong with one.
func eachKind(t *testing.T, form string, check func(t *testing.T, text []byte, object map[string]any) []string) {
	for name, e := range logtest.Kinds() {
		t.Run(name, func(t *testing.T) {
			text, object := written(t, form, e)
			for _, fault := range check(t, text, object) {
				t.Error(fault)
			}
			if t.Failed() {
				t.Logf("%s", text)
			}
		})
	}
}

// change returns a copy of an object with another value at a path; nil removes it.
func change(t *testing.T, object map[string]any, path string, value any) map[string]any {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	changed := parsed[map[string]any](t, text)
	inner, names := changed, strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		inner = inner[name].(map[string]any)
	}
	if name := names[len(names)-1]; value == nil {
		delete(inner, name)
	} else {
		inner[name] = value
	}
	if text, err = json.Marshal(changed); err != nil {
		t.Fatal(err)
	}
	return parsed[map[string]any](t, text)
}

// The validators of these tests see what they are for.
func wantFault(t *testing.T, faults []string, want string) {
	t.Helper()
	if !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, want) }) {
		t.Errorf("the faults are %q; want %q", faults, want)
	}
}

func TestActionsHaveTheirKind(t *testing.T) {
	for action, want := range map[string]string{
		"service:create": "Create creation", "service:domain_add": "Create creation", "iam:create_role": "Create creation",
		"service:update": "Update change", "user:deleted": "Delete deletion", "api_key:revoke": "Delete deletion",
		"iam:delete_access_key": "Delete deletion", "secretsmanager:get_secret_value": "Read access", "session:list": "Read access",
		"subscription:scale_up": "Update change", "deployment:cancel": "cancel info", "user:sign_in": "sign_in start", "user:sign_out": "sign_out end",
		"event:other": "other info",
	} {
		e := models.Entry{Action: action, ActorName: "Ada"}
		_, ocsf := written(t, "ocsf", e)
		_, ecs := written(t, "ecs", e)
		if got := fmt.Sprint(ocsf["activity_name"], " ", ecs["event"].(map[string]any)["type"].([]any)[0]); got != want {
			t.Errorf("%s is %s, want %s", action, got, want)
		}
	}
}

func TestAnEntryInALine(t *testing.T) {
	for name, want := range map[string]string{
		"all fields": "role:create arn:aws:iam::123456789012:role/web by Deploy bot for Ada Lovelace (denied)",
		"no field":   "session:list by Ada Lovelace",
	} {
		if _, object := written(t, "ecs", logtest.Kinds()[name]); object["message"] != want {
			t.Errorf("%s is %q, want %q", name, object["message"], want)
		}
	}
}
