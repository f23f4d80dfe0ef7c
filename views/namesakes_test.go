package views

import (
	"testing"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

func TestNamesThatLookLikeAutomation(t *testing.T) {
	for _, name := range []string{"system", "System", "SYSTEM", "sys\u200btem", "ｓｙｓｔｅｍ", "ѕуѕтем", "System.", "[system]", "s y s t e m", "\u2068system\u2069"} {
		if !poses("usr_1", name) {
			t.Errorf("%q passes for a person's name", name)
		}
		if poses(models.SystemActorID, name) {
			t.Errorf("automation poses as itself as %q", name)
		}
	}
	if !poses("usr_1", "Anonymous") || poses(event.AnonymousID, "anonymous") {
		t.Error("a person passes for nobody known, or that for a person")
	}
	for _, name := range []string{"Ada", "systems", "System Administrator", "سيستم", ""} {
		if poses("usr_1", name) {
			t.Errorf("%q counts as automation's name", name)
		}
	}
}
