package models

import (
	"strings"
	"testing"
)

func TestActionPatternsMatchWholeNames(t *testing.T) {
	for pattern, names := range map[string]struct{ matched, not string }{
		"secret:read": {"secret:read Secret:Read", "secret:reads a:secret:read secret"},
		"secret:*":    {"secret:read secret: SECRET:x", "secrets:read x:secret:read"},
		"*:read":      {"secret:read :read", "secret:reader secret:read:x"},
		"*":           {"x secret:read", ""},
		"a*b*c":       {"abc axbxc abbc a*b*c abcbc", "acb ab bc axc"},
		"a**b":        {"ab axb", "a b"},
		"vault.*Peek": {"Vault.Peek vault.xpeek", "vaultxpeek"},
		"100%_":       {"100%_", "1000_ 100%x"},
	} {
		parsed, err := ParseActionPatterns("f", pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(names.matched) {
			if !parsed.Match(name) {
				t.Errorf("%s does not match %s", pattern, name)
			}
		}
		for _, name := range strings.Fields(names.not) {
			if parsed.Match(name) {
				t.Errorf("%s matches %s", pattern, name)
			}
		}
	}
}
