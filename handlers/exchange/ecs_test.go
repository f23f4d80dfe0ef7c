package exchange_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/internal/logtest"
)

// ecsSchema are fields that ECS publishes: see testdata/NOTE.md.
type ecsSchema struct {
	Version string `json:"version"`
	Fields  map[string]struct {
		Type    string              `json:"type"`
		List    bool                `json:"array"`
		Allowed map[string][]string `json:"allowed"` // values, and of event.category the types that go with each
	} `json:"fields"`
}

// check lists what is wrong with a document.
func (s ecsSchema) check(document map[string]any) (faults []string) {
	for path, value := range leaves("", document) {
		if strings.HasPrefix(path, "auditlogs.") {
			continue
		}
		field, known := s.Fields[path]
		if !known {
			faults = append(faults, path+" is no field")
			continue
		}
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		if isList != field.List || len(list) == 0 {
			faults = append(faults, fmt.Sprintf("%s is a list: %t", path, isList))
		}
		for _, item := range list {
			text, isText := item.(string)
			var err error
			switch field.Type {
			case "keyword", "wildcard", "match_only_text":
			case "date":
				_, err = time.Parse(time.RFC3339Nano, text)
			case "ip":
				_, err = netip.ParseAddr(text)
				isText = isText && !strings.Contains(text, "%")
			case "long":
				var number json.Number
				number, isText = item.(json.Number)
				_, err = number.Int64()
			default:
				err = fmt.Errorf("the type %s is not expected", field.Type)
			}
			if err != nil || !isText {
				faults = append(faults, fmt.Sprintf("%s: %v is no %s", path, item, field.Type))
			}
			if _, allowed := field.Allowed[text]; field.Allowed != nil && !allowed {
				faults = append(faults, fmt.Sprintf("%s: %v is not allowed", path, item))
			}
		}
	}
	// Every type goes with one of the categories.
	event := document["event"].(map[string]any)
	var expected []string
	for _, category := range event["category"].([]any) {
		expected = append(expected, s.Fields["event.category"].Allowed[category.(string)]...)
	}
	for _, kind := range event["type"].([]any) {
		if !slices.Contains(expected, kind.(string)) {
			faults = append(faults, fmt.Sprintf("event.type: %v does not go with %v", kind, event["category"]))
		}
	}
	return faults
}

// leaves returns the values of an object that are no objects, by path.
func leaves(prefix string, object map[string]any) map[string]any {
	found := map[string]any{}
	for name, value := range object {
		if inner, ok := value.(map[string]any); ok {
			for path, leaf := range leaves(prefix+name+".", inner) {
				found[path] = leaf
			}
		} else {
			found[prefix+name] = value
		}
	}
	return found
}

func TestECSHasPublishedFieldsOnly(t *testing.T) {
	schema := parsed[ecsSchema](t, testdata(t, "ecs.json"))
	eachKind(t, "ecs", func(t *testing.T, _ []byte, document map[string]any) []string {
		if version := document["ecs"].(map[string]any)["version"]; version != schema.Version {
			t.Errorf("the version is %v, want %s", version, schema.Version)
		}
		return schema.check(document)
	})

	// And what is not so is found.
	_, document := written(t, "ecs", logtest.Kinds()["all fields"])
	for _, bad := range []struct {
		path  string
		value any
		want  string
	}{
		{"event.colour", "red", "event.colour is no field"},
		{"event.kind", "entry", "event.kind: entry is not allowed"},
		{"event.type", []string{"group"}, "event.type: group does not go with [api]"},
		{"event.created", "today", "event.created: today is no date"},
		{"event.action", 7, "event.action: 7 is no keyword"},
		{"source.ip", "fe80::1%eth0", "source.ip: fe80::1%eth0 is no ip"},
	} {
		wantFault(t, schema.check(change(t, document, bad.path, bad.value)), bad.want)
	}
	wantFault(t, schema.check(change(t, document, "related.user", "Ada")), "related.user is a list: false")
}

// An agent acts with the rights of whom it acts for; a role that somebody took on does not.
func TestWhoseRightsAnActorHasInECS(t *testing.T) {
	for name, want := range map[string]string{"all fields": "u-7", "for a service": "ci", "a role": "", "a person": ""} {
		_, document := written(t, "ecs", logtest.Kinds()[name])
		effective, _ := leaves("", document)["user.effective.id"].(string)
		if effective != want {
			t.Errorf("%s: user.effective.id is %q, want %q", name, effective, want)
		}
	}
}
