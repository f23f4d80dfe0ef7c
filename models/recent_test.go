package models

import "testing"

func TestRecentKeepsWhatWasAskedForLast(t *testing.T) {
	var r recent[int, string]
	if value, ok := r.get(1); ok || value != "" {
		t.Errorf("empty, it has %q", value)
	}
	r.put(-1, "asked for")
	r.put(-2, "not asked for")
	for i := range 3 * generation {
		r.put(i, "")
		if value, ok := r.get(-1); !ok || value != "asked for" {
			t.Fatalf("after %d others it is %q, %t", i+1, value, ok)
		}
	}
	if _, ok := r.get(-2); ok {
		t.Error("it still has what nobody asked for")
	}
	if n := len(r.new) + len(r.older); n > 2*generation {
		t.Errorf("it has %d", n)
	}
}
