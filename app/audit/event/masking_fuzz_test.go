package event

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// sentinel is a secret that is planted and must not come out.
const sentinel = "hunter2"

// FuzzMasking plants secrets under keys that look like credentials all over a document.
func FuzzMasking(f *testing.F) {
	f.Add([]byte(`{"a":[{"b":1}],"name":"x"}`), uint8(0), uint64(0), "db_", "_hash")
	f.Add([]byte(`{"changes":{"replicas":{"after":5,"before":2}}}`), uint8(10), uint64(0x1234567890abcdef), "x.", "")
	f.Add([]byte(`[null,true,1e400,"\u0000","\ud800"]`), uint8(5), uint64(1<<63), "", "s")
	f.Add([]byte(`{"env":[{"Name":"A","value":"b"}],"nested":{"token":null}}`), uint8(12), uint64(0xffff), "\xff", "\x00")
	f.Fuzz(func(t *testing.T, document []byte, word uint8, style uint64, prefix, suffix string) {
		checkEncoding(t, json.RawMessage(document))

		var tree any
		if strings.Contains(string(document)+prefix+suffix, sentinel) || json.Unmarshal(document, &tree) != nil {
			return
		}
		key := prefix + dress(wordOf(word), style) + suffix
		if by := own.Load().treat(key, ordinary); by == ordinary || by == telling {
			if prefix+suffix == "" {
				t.Errorf("%q is taken for a fact", key)
			}
			return // such as token_id, where the sentinel may stand
		}
		planted := map[string]any{"document": plant(tree, key, style)}
		if text := checkEncoding(t, planted); strings.Contains(text, sentinel) {
			t.Errorf("%q stands in %s", sentinel, text)
		}
	})
}

// checkEncoding answers with the stored form, which is checked.
func checkEncoding(t *testing.T, metadata any) string {
	t.Helper()
	if plain, err := jsonOf(metadata); err == nil && own.Load().isStorable(plain) {
		if mended, err := own.Load().mendMetadata(plain); err != nil || mended != plain {
			t.Errorf("%s is taken as storable, and mended it is %s, %v", plain, mended, err)
		}
	}
	text, err := own.Load().encodeMetadata(metadata)
	if err != nil {
		var invalid *fault.Field
		if !errors.As(err, &invalid) || invalid.Field != "metadata" {
			t.Errorf("answers %v, want a *fault.Field about metadata", err)
		}
		return ""
	}
	if text == "" {
		return ""
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil && !strings.Contains(err.Error(), "cannot unmarshal number") {
		t.Errorf("%s is no JSON object: %v", text, err)
	}
	if depth := depthOf(object); len(text) > maxMetadata || depth > maxMetadataDepth {
		t.Errorf("%d bytes and %d levels were let through", len(text), depth)
	}
	if strings.Contains(text, `\u0000`) && !strings.Contains(text, `\\u0000`) {
		t.Errorf("U+0000 was let through: %s", text)
	}
	if again, err := own.Load().encodeMetadata(json.RawMessage(text)); err != nil || again != text {
		t.Errorf("%s, encoded again, is %s, %v", text, again, err)
	}
	return text
}

// depthOf counts nested objects and lists; a flat object has one level.
func depthOf(value any) int {
	deepest := 0
	switch v := value.(type) {
	case map[string]any:
		for _, child := range v {
			deepest = max(deepest, depthOf(child))
		}
	case []any:
		for _, child := range v {
			deepest = max(deepest, depthOf(child))
		}
	default:
		return 0
	}
	return deepest + 1
}

// plant puts the sentinel into every object, in every form it may have.
func plant(value any, key string, style uint64) any {
	ways := []any{sentinel, []any{sentinel}, map[string]any{"in": sentinel}, map[string]any{"before": sentinel, "after": nil},
		map[string]any{"after": map[string]any{"before": sentinel}}}
	if own.Load().treat(key, ordinary) == heading {
		ways = ways[:2] // an object under authorization is ordinary data
	}
	switch v := value.(type) {
	case map[string]any:
		for name, child := range v {
			v[name] = plant(child, key, style>>1)
		}
		v[key] = ways[style%uint64(len(ways))]
	case []any:
		for i, child := range v {
			v[i] = plant(child, key, style>>1)
		}
		return append(v, map[string]any{"name": key, "value": sentinel}, map[string]any{key: sentinel})
	}
	return value
}

func wordOf(n uint8) string {
	words := slices.Concat(guessable, issued)
	return words[int(n)%len(words)]
}

// dress writes a word in other letters and with separators, by the bits of style.
func dress(word string, style uint64) string {
	separators := []string{"", "_", "-", ".", " ", "/", "\x00", "\u200b"}
	var dressed strings.Builder
	for i, r := range word {
		if style&1 == 1 {
			r = unicode.ToUpper(r)
		}
		if i > 0 && style&2 == 2 {
			dressed.WriteString(separators[style>>2&7])
		}
		dressed.WriteRune(r)
		style = style>>5 | style<<59
	}
	return dressed.String()
}
