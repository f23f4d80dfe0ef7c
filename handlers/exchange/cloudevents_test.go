package exchange_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/pb33f/jsonschema/v6"

	"github.com/auditlogs/auditlogs/internal/logtest"
)

func TestCloudEventsAreAsTheirSchemaSays(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(testdata(t, "cloudevents.json")))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("cloudevents.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("cloudevents.json")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("^[a-z0-9]+$") // which the schema cannot say
	check := func(object map[string]any) (faults []string) {
		if err := schema.Validate(object); err != nil {
			faults = append(faults, err.Error())
		}
		for attribute := range object {
			if !name.MatchString(attribute) {
				faults = append(faults, attribute+" is no name of an attribute")
			}
		}
		return faults
	}
	kinds := logtest.Kinds()
	eachKind(t, "cloudevents", func(t *testing.T, _ []byte, object map[string]any) []string { return check(object) })
	_, object := written(t, "cloudevents", kinds["all fields"])
	wantFault(t, check(change(t, object, "time", "today")), "time")
	wantFault(t, check(change(t, object, "id", nil)), "id")
	wantFault(t, check(change(t, object, "event_type", "x")), "event_type is no name")

	for attribute, want := range map[string]any{
		"specversion": "1.0", "type": "io.github.auditlogs.role.create", "source": "https://audit.example.com/orgs/acme/settings/audit-logs",
		"subject": "iam_role/arn:aws:iam::123456789012:role/web", "time": "2026-06-01T09:30:15.123456Z",
	} {
		if object[attribute] != want {
			t.Errorf("%s is %v, want %v", attribute, object[attribute], want)
		}
	}
	if _, ofNothing := written(t, "cloudevents", kinds["no field"]); ofNothing["subject"] != nil {
		t.Errorf("the subject of an event that affected nothing is %q", ofNothing["subject"])
	}
	// What is around it does not change our own form.
	own, err := json.Marshal(object["data"])
	if err != nil {
		t.Fatal(err)
	}
	if got := parsed[map[string]any](t, own); got["native_action"] != "iam:CreateRole" || got["actor"].(map[string]any)["type"] != "agent" {
		t.Errorf("data is %s", own)
	}
}
