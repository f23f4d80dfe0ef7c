package static

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
)

func TestEveryFileIsThere(t *testing.T) {
	files, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"app.css":     "@layer reset,tokens,base,components,utilities;",
		"app.js":      "savePreferences",
		"htmx.min.js": "htmx",
		"icons.svg":   `<symbol id="search"`,
	} {
		if !strings.Contains(string(contentOf(files, name)), want) {
			t.Errorf("%s does not hold %q", name, want)
		}
	}
	if !bytes.Contains(bytes.SplitN(contentOf(files, "app.css"), []byte("{"), 2)[0], []byte("@layer reset")) {
		t.Error("app.css does not begin with the order of its layers")
	}
}

// A first visit of the log may load 60 kB, of which 22 kB are left to the page itself.
func TestFilesAreSmall(t *testing.T) {
	files, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, file := range files.byAddress {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(file.content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		total += packed.Len()
	}
	if total > 38_000 {
		t.Errorf("compressed, the static files are %d bytes: more than 38,000", total)
	}
}

func contentOf(files *Files, name string) []byte { return files.byAddress[files.Address(name)].content }
