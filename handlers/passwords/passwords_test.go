package passwords_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/passwords"
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

func TestPasswords(t *testing.T) {
	ctx := t.Context()
	for _, password := range []string{"", "short", "123456789", strings.Repeat("a", 201)} {
		var invalid *fault.Field
		if _, err := passwords.HashAny(ctx, password); !errors.As(err, &invalid) {
			t.Errorf("a password of %d bytes: %v, want a fault.Field", len(password), err)
		}
	}
	hash, err := passwords.HashAny(ctx, "audit-demo")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %q", hash)
	}
	for _, test := range []struct {
		hash, password string
		want           bool
	}{
		{hash, "audit-demo", true},
		{hash, "audit-Demo", false},
		{hash, "", false},
		{hash, strings.Repeat("a", 1<<20), false},
		{"", "audit-demo", false},
		{"", "the password of nobody", false},
	} {
		got, err := passwords.Match(ctx, test.hash, test.password)
		if err != nil || got != test.want {
			t.Errorf("Match(%.10q, %.20q) = %v, %v", test.hash, test.password, got, err)
		}
	}
}
