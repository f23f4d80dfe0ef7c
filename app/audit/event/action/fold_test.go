package action_test

import (
	"os"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// Names that other systems give, and what is made of them.
func names(t testing.TB) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/names.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t")) // source, name, entity type, action
	}
	return rows[1:]
}

func TestFold(t *testing.T) {
	for _, row := range names(t) {
		if got := action.Fold(row[1], row[2]); string(got) != row[3] {
			t.Errorf("%s: %q of type %q is %s, want %s", row[0], row[1], row[2], got, row[3])
		}
	}
	for name, want := range map[string]action.Action{
		"Microsoft.Authorization/roleAssignments/write": "microsoft_authorization_role_assignments:write",
		"a.V2Service1Ab":     "a:v2_service1_ab",
		"VPCsListed":         "event:vpcs_listed",
		"e\u0301.cafe\u0301": "e:cafe",
		"x.\xff":             "event:x",
		"\xff:y":             "event:y",
		"user-login (v2)":    "event:user_login_v2",
		"7:9":                "n7:n9",
	} {
		if got := action.Fold(name, ""); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
	for entityType, want := range map[string]action.Action{
		"invoice": "invoice:deleted", "Invoice Item": "invoice_item:deleted", "請求": "event:deleted", "": "event:deleted",
	} {
		for _, name := range []string{"Deleted", "請求:Deleted"} {
			if got := action.Fold(name, entityType); got != want {
				t.Errorf("%q of type %q is %s, want %s", name, entityType, got, want)
			}
		}
	}
}

func FuzzFold(f *testing.F) {
	for _, row := range names(f) {
		f.Add(row[1], row[2])
	}
	f.Fuzz(func(t *testing.T, name, entityType string) {
		got := action.Fold(name, entityType)
		switch {
		case !got.Valid():
			t.Errorf("%q of type %q is %q, which is not valid", name, entityType, got)
		case action.Fold(name, entityType) != got:
			t.Errorf("%q of type %q is another action the second time", name, entityType)
		case action.Fold(string(got), entityType) != got:
			t.Errorf("%s does not stay", got)
		case action.Action(name).Valid() && string(got) != name:
			t.Errorf("%s is valid and becomes %s", name, got)
		case (action.Action(name).Problem() == "") != action.Action(name).Valid():
			t.Errorf("%q: problem %q", name, action.Action(name).Problem())
		}
	})
}

func TestProblemNamesTheCharacterAndWhatWouldBeRight(t *testing.T) {
	for name, want := range map[action.Action]string{
		"iam:create_role":  "",
		"":                 "is required",
		"IAM:Create Role":  `"IAM:Create Role" is not entity:verb: character 'I' is not a-z, 0-9 or _; write "iam:create_role"`,
		"user.signed_in":   `"user.signed_in" is not entity:verb: character '.' is not a-z, 0-9 or _; write "user:signed_in"`,
		"größe:set":        `"größe:set" is not entity:verb: character 'ö' is not a-z, 0-9 or _; write "gro_e:set"`,
		"login":            `"login" is not entity:verb: there is no colon between entity and verb; write "event:login"`,
		"a:b:c":            `"a:b:c" is not entity:verb: there is a second colon; write "a_b:c"`,
		":b":               `":b" is not entity:verb: there is no entity before the colon; write "event:b"`,
		"a:":               `"a:" is not entity:verb: there is no verb after the colon; write "event:a"`,
		"user:2fa_enabled": `"user:2fa_enabled" is not entity:verb: character '2' cannot begin the verb; write "user:n2fa_enabled"`,
		"_user:add":        `"_user:add" is not entity:verb: character '_' cannot begin the entity; write "user:add"`,
		"a:\xff":           `"a:\xff" is not entity:verb: character '�' is not a-z, 0-9 or _; write "event:a"`,
		action.Action("a:" + strings.Repeat("b", 99)): `"a:` + strings.Repeat("b", 99) + `" is not entity:verb: it has 101 bytes; at most 100 are allowed; write "a:` + strings.Repeat("b", 80) + `_c0feb6b3"`,
	} {
		if got := name.Problem(); got != want {
			t.Errorf("%q: %s\nwant %s", name, got, want)
		}
	}
}
