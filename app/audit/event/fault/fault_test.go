package fault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

func TestAFieldIsFoundByItsCodeAndAsItself(t *testing.T) {
	err := fmt.Errorf("record: %w", fault.Newf("metadata", fault.TooLarge, "has %d bytes", 300))
	if !errors.Is(err, fault.TooLarge) || errors.Is(err, fault.Invalid) {
		t.Errorf("%v is TooLarge: %t, Invalid: %t", err, errors.Is(err, fault.TooLarge), errors.Is(err, fault.Invalid))
	}
	var field *fault.Field
	if !errors.As(err, &field) || *field != (fault.Field{Field: "metadata", Code: fault.TooLarge, Reason: "has 300 bytes"}) {
		t.Errorf("as a field: %+v", field)
	}
	var code fault.Code
	if !errors.As(err, &code) || code != fault.TooLarge {
		t.Errorf("as a code: %q", code)
	}
	if err.Error() != "record: metadata: has 300 bytes" {
		t.Errorf("reads %q", err)
	}
}

func TestACodeIsAnErrorByItself(t *testing.T) {
	err := fmt.Errorf("look the key up: %w", fault.NotFound)
	if !errors.Is(err, fault.NotFound) || err.Error() != "look the key up: not found" {
		t.Errorf("%v", err)
	}
}

func TestAFieldAsJSON(t *testing.T) {
	sent, err := json.Marshal(fault.Newf("id", fault.IDReused, "was used for another event"))
	if err != nil || string(sent) != `{"field":"id","code":"id_reused","detail":"was used for another event"}` {
		t.Errorf("%s %v", sent, err)
	}
}
