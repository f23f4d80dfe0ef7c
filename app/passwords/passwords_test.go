package passwords_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/app/passwords"
)

func TestPasswordsThatAreEasyToGuessAreRefused(t *testing.T) {
	for _, password := range []string{
		"1234567890", "qwertyuiop", "password123", "Password2026!", "P@ssw0rd123", "letmeinplease", "iloveyou123", "administrator",
		"aaaaaaaaaaaa", "abcdefghijkl", "welcome2025!", "1q2w3e4r5t6y", "passwordpassword", strings.Repeat("password", 25), strings.Repeat("a", 200),
		"ada@example.com", "Lovelace1815", "lovelace-ada", "acme-acme-acme", "27.11.2026",
	} {
		_, err := passwords.Hash(t.Context(), password, "Ada Lovelace", "ada@example.com", "Acme")
		var invalid *fault.Field
		if !errors.As(err, &invalid) || invalid.Field != "password" || !strings.Contains(invalid.Reason, "easy to guess") {
			t.Errorf("%.30q: %v, want it refused as easy to guess", password, err)
		}
	}
	for _, password := range []string{"correct horse", "audit-demo", "Xk29!mfqP0", "горный-ручей-под-липой", "\xff\xfeXk29!mfqP0", "wet llama sings"} {
		if _, err := passwords.Hash(t.Context(), password, "Ada Lovelace", "ada@example.com"); err != nil {
			t.Errorf("%q is refused: %v", password, err)
		}
	}
}
