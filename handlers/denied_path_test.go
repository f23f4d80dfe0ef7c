package handlers

import (
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

func TestAnyAddressThatIsRefusedCanBeRecorded(t *testing.T) {
	for path, want := range map[string]string{
		"/orgs/acme/settings/audit":          "/orgs/acme/settings/audit",
		"/orgs/acme/\u0085/\u202e\xff/ \x00": "/orgs/acme/?/??/??",
		strings.Repeat("/", 300):             strings.Repeat("/", maxDeniedPath) + "…",
		"/" + strings.Repeat("ü", 300):       "/" + strings.Repeat("?", (maxDeniedPath-1)/2+1) + "…",
	} {
		got := deniedPath(path)
		err := event.Validate(t.Context(), audit.Event{Organization: "acme", Action: action.AccessDenied, EntityID: got, Actor: audit.Actor{ID: "usr_1"}})
		if got != want || err != nil {
			t.Errorf("%q is named %q (%v), want %q", path, got, err, want)
		}
	}
}
