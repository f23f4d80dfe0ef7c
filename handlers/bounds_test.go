package handlers

import (
	"fmt"
	"testing"
	"time"
)

// Whoever tries ever more accounts makes the server forget none that was tried often.
func TestWrongPasswordsAreCountedInBoundedMemory(t *testing.T) {
	var all throttle
	now := time.Date(2026, 5, 20, 9, 30, 0, 0, time.UTC)
	try := func(email string, as outcome) (waits time.Duration) {
		t.Helper()
		attempt, wait, err := all.begin(t.Context(), now, atSignIn(email, email, "", false)) // from ever more addresses, too
		if err != nil {
			t.Fatal(err)
		}
		if wait == 0 {
			attempt.end(as)
		}
		return wait
	}
	for range triesPerAccount {
		try("ada@example.com", wrong)
	}
	for i := range 3 * throttleMaxEntries {
		try(fmt.Sprintf("user%d@example.com", i), wrong)
		if len(all.tries) > throttleMaxEntries {
			t.Fatalf("%d accounts are counted", len(all.tries))
		}
	}
	if try("ada@example.com", right) == 0 {
		t.Error("the account that was tried often was forgotten")
	}
	now = now.Add(throttleWindow)
	if try("ada@example.com", right) != 0 {
		t.Error("it waits longer than it must")
	}
	for i := range 3 * throttleMaxEntries {
		try(fmt.Sprintf("user%d@example.com", i), unknown)
	}
	if len(all.tries) > throttleMaxEntries {
		t.Errorf("%d accounts are counted", len(all.tries))
	}
	before := len(all.tries)
	try("grace@example.com", right)
	if len(all.tries) != before {
		t.Error("a right password is counted")
	}
}

// A client that says to be a proxy is allowed more wrong passwords, and not any number.
func TestTheCrowdBehindOneAddressIsBounded(t *testing.T) {
	var all throttle
	now := time.Date(2026, 5, 20, 9, 30, 0, 0, time.UTC)
	tried := 0
	for i := range 2 * triesPerCrowd {
		attempt, wait, err := all.begin(t.Context(), now, atSignIn("192.0.2.1", fmt.Sprintf("user%d@example.com", i), "", true))
		if err != nil {
			t.Fatal(err)
		}
		if wait == 0 {
			tried++
			attempt.end(wrong)
		}
	}
	if tried != triesPerCrowd {
		t.Errorf("%d wrong passwords were tried, want %d", tried, triesPerCrowd)
	}
	if _, wait, err := all.begin(t.Context(), now, atSignIn("192.0.2.1", "ada@example.com", "known", true)); wait != 0 || err != nil {
		t.Errorf("a browser that is known waits for %v, %v", wait, err)
	}
}

func TestRefusalsAreCountedInBoundedMemory(t *testing.T) {
	var all denials
	now := time.Date(2026, 5, 20, 9, 30, 0, 0, time.UTC)
	for i := range 3 * maxDenials {
		all.note(now, denialKey{1, fmt.Sprint(i)})
	}
	if len(all.counts) > maxDenials {
		t.Errorf("%d people are counted", len(all.counts))
	}
}
