package exchange_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/internal/logtest"
)

// ocsfSchema is what OCSF says of the class API Activity and the objects in it: see testdata/NOTE.md.
type ocsfSchema struct {
	Version string                  `json:"version"`
	Class   ocsfObject              `json:"class"`
	Objects map[string]ocsfObject   `json:"objects"`
	Types   map[string]ocsfTextType `json:"types"`
}

type ocsfObject struct {
	Attributes  map[string]ocsfAttribute `json:"attributes"`
	Constraints map[string][]string      `json:"constraints"`
}

type ocsfAttribute struct {
	Type        string            `json:"type"`
	Object      string            `json:"object_type"`
	List        bool              `json:"is_array"`
	Requirement string            `json:"requirement"`
	Profiles    []string          `json:"profiles"` // in one of which the attribute is; in any case where there are none
	Enum        map[string]string `json:"enum"`     // the caption of each value
	Sibling     string            `json:"sibling"`
}

// ocsfTextType is a type of texts, or of numbers.
type ocsfTextType struct {
	Base   string `json:"type"`
	Regex  string `json:"regex"`
	MaxLen int    `json:"max_len"`
}

// ocsfCheck lists what is wrong with an event.
type ocsfCheck struct {
	ocsfSchema
	profiles []any
	faults   []string
}

func (c *ocsfCheck) fault(path, format string, args ...any) {
	c.faults = append(c.faults, path+": "+fmt.Sprintf(format, args...))
}

// applies reports whether the event has the attribute's profile.
func (c *ocsfCheck) applies(a ocsfAttribute) bool {
	return len(a.Profiles) == 0 || slices.ContainsFunc(a.Profiles, func(profile string) bool { return slices.Contains(c.profiles, any(profile)) })
}

func (s ocsfSchema) check(event map[string]any) []string {
	c := ocsfCheck{ocsfSchema: s}
	if metadata, ok := event["metadata"].(map[string]any); ok {
		c.profiles, _ = metadata["profiles"].([]any)
	}
	c.object("", s.Class, event)
	return c.faults
}

func (c *ocsfCheck) object(path string, of ocsfObject, value map[string]any) {
	for name, attribute := range of.Attributes {
		if attribute.Requirement == "required" && value[name] == nil && c.applies(attribute) {
			c.fault(path+name, "is required")
		}
	}
	for constraint, names := range of.Constraints {
		n := 0
		for _, name := range names {
			if value[name] != nil {
				n++
			}
		}
		if constraint == "at_least_one" && n == 0 || constraint == "just_one" && n != 1 {
			c.fault(path, "%s of %v, and there are %d", constraint, names, n)
		}
	}
	for name, inner := range value {
		attribute, known := of.Attributes[name]
		switch {
		case !known:
			c.fault(path+name, "is unknown")
		case !c.applies(attribute):
			c.fault(path+name, "is of the profiles %v", attribute.Profiles)
		case attribute.List:
			list, ok := inner.([]any)
			if !ok || len(list) == 0 {
				c.fault(path+name, "is no list, or empty")
			}
			for i, item := range list {
				c.value(fmt.Sprintf("%s%s[%d]", path, name, i), attribute, item)
			}
		default:
			c.value(path+name, attribute, inner)
			if caption, id := attribute.Enum[fmt.Sprint(inner)], fmt.Sprint(inner); attribute.Sibling != "" && id != "99" && value[attribute.Sibling] != nil && value[attribute.Sibling] != caption {
				c.fault(path+attribute.Sibling, "is %v beside %s, which is %q", value[attribute.Sibling], id, caption)
			}
		}
	}
}

func (c *ocsfCheck) value(path string, of ocsfAttribute, value any) {
	if _, known := of.Enum[fmt.Sprint(value)]; of.Enum != nil && !known {
		c.fault(path, "%v is no value of the enum", value)
	}
	base := of.Type
	for c.Types[base].Base != "" {
		base = c.Types[base].Base
	}
	switch value := value.(type) {
	case string:
		limits := c.Types[of.Type]
		if base != "string_t" {
			c.fault(path, "%q is no %s", value, of.Type)
		}
		if limits.Regex != "" && !regexp.MustCompile(limits.Regex).MatchString(value) || limits.MaxLen > 0 && utf8.RuneCountInString(value) > limits.MaxLen {
			c.fault(path, "%q is no %s", value, of.Type)
		}
	case json.Number:
		if _, err := value.Int64(); err != nil || base != "integer_t" && base != "long_t" {
			c.fault(path, "%s is no %s", value, of.Type)
		}
	case map[string]any:
		switch inner, known := c.Objects[of.Object]; {
		case of.Object == "object": // anything
		case base != "object_t" || !known:
			c.fault(path, "is no %s", of.Type)
		default:
			c.object(path+".", inner, value)
		}
	default:
		c.fault(path, "%v is not expected", value)
	}
}

func TestOCSFIsAsItsSchemaSays(t *testing.T) {
	schema := parsed[ocsfSchema](t, testdata(t, "ocsf.json"))
	eachKind(t, "ocsf", func(t *testing.T, _ []byte, event map[string]any) []string {
		if version := event["metadata"].(map[string]any)["version"]; version != schema.Version {
			t.Errorf("the version is %v, want %s", version, schema.Version)
		}
		return schema.check(event)
	})

	// And what is not so is found.
	_, event := written(t, "ocsf", logtest.Kinds()["all fields"])
	for _, bad := range []struct {
		path  string
		value any
		want  string
	}{
		{"colour", "red", "colour: is unknown"},
		{"src_endpoint", nil, "src_endpoint: is required"},
		{"api.operation", nil, "api.operation: is required"},
		{"src_endpoint.ip", nil, "src_endpoint.: at_least_one"},
		{"src_endpoint.ip", "here", "src_endpoint.ip: \"here\" is no ip_t"},
		{"time", "today", `time: "today" is no timestamp_t`},
		{"time_dt", "today", `time_dt: "today" is no datetime_t`},
		{"activity_id", 7, "activity_id: 7 is no value of the enum"},
		{"activity_name", "Delete", "activity_name: is Delete beside 1"},
		{"type_uid", 600307, "type_uid: 600307 is no value of the enum"},
		{"metadata.profiles", []string{"datetime"}, "action_id: is of the profiles [security_control]"},
		{"resources", map[string]any{}, "resources: is no list"},
		{"message", 7, "message: 7 is no string_t"},
		{"actor.user", "Ada", `actor.user: "Ada" is no object_t`},
		{"actor.user.email_addr", "Ada", "actor.user.email_addr: "},
	} {
		wantFault(t, schema.check(change(t, event, bad.path, bad.value)), bad.want)
	}
}
