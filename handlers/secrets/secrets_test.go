package secrets_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/handlers/secrets"
)

func box(t *testing.T, keys ...string) *secrets.Box {
	t.Helper()
	made, err := secrets.New(strings.Join(keys, ","))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestWhatIsSealedOpensForItsPurposeOnly(t *testing.T) {
	b, plain := box(t, secrets.NewKey()), []byte("hush")
	sealed := b.Seal("row:1", plain)
	if bytes.Contains(sealed, plain) {
		t.Fatal("the secret can be read")
	}
	if again := b.Seal("row:1", plain); bytes.Equal(sealed, again) {
		t.Error("sealing twice gives the same: whoever reads the database sees who shares a secret")
	}
	opened, renew, err := b.Open("row:1", sealed)
	if err != nil || renew || !bytes.Equal(opened, plain) {
		t.Errorf("opened: %q, renew %v, %v", opened, renew, err)
	}

	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	other := bytes.Clone(sealed)
	other[0]++
	for name, try := range map[string]struct {
		purpose string
		sealed  []byte
		box     *secrets.Box
	}{
		"another purpose": {"row:2", sealed, b},
		"another key":     {"row:1", sealed, box(t, secrets.NewKey())},
		"changed":         {"row:1", changed, b},
		"another version": {"row:1", other, b},
		"cut off":         {"row:1", sealed[:5], b},
		"empty":           {"row:1", nil, b},
	} {
		if opened, _, err := try.box.Open(try.purpose, try.sealed); !errors.Is(err, secrets.ErrSealed) {
			t.Errorf("%s: %q, %v", name, opened, err)
		}
	}
}

func TestAnEarlierKeyGoesOnOpening(t *testing.T) {
	older, newer := secrets.NewKey(), secrets.NewKey()
	sealed := box(t, older).Seal("row:1", []byte("hush"))
	both := box(t, newer, older)
	opened, renew, err := both.Open("row:1", sealed)
	if err != nil || !renew || string(opened) != "hush" {
		t.Fatalf("opened: %q, renew %v, %v", opened, renew, err)
	}
	if _, renew, err := box(t, newer).Open("row:1", both.Seal("row:1", opened)); err != nil || renew {
		t.Errorf("sealed again: renew %v, %v", renew, err)
	}
}

func TestABadKeyIsRefusedAndNeverQuoted(t *testing.T) {
	good := secrets.NewKey()
	for _, keys := range []string{"", "hunter2", good[:40], good + good, "," + good, good + ",", good + ",hunter2"} {
		_, err := secrets.New(keys)
		if !errors.Is(err, secrets.ErrKey) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q gives %v", keys, err)
		}
	}
	if _, err := secrets.New(" " + good + "\n"); err != nil {
		t.Errorf("a key with white space around it: %v", err)
	}
}
