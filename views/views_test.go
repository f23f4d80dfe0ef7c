package views

import (
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTemplatesParse(t *testing.T) {
	if _, err := Load(); err != nil {
		t.Fatal(err)
	}
}

// Every icon that templates or Go name is in the sprite, and no other.
func TestIconsAreThoseInUse(t *testing.T) {
	sprite, err := os.ReadFile("../static/icons.svg")
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]bool{}
	for _, m := range regexp.MustCompile(`<symbol id="([^"]+)"`).FindAllStringSubmatch(string(sprite), -1) {
		drawn[m[1]] = true
	}

	named := map[string]bool{}
	collect := func(text string, pattern string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			named[m[1]] = true
			if !drawn[m[1]] {
				t.Errorf("icon %q is named but not in static/icons.svg", m[1])
			}
		}
	}
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".html") {
			return err
		}
		text, err := files.ReadFile(path)
		collect(string(text), `(?:icon|glyph) "([^"]+)"`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	handlers, err := filepath.Glob("../handlers/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range append(sources, handlers...) {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(source, "_test.go") {
			collect(string(text), `(?:Icon|Glyph|icon|glyph): +"([a-z0-9-]+)"`)
		}
	}
	for name := range drawn {
		if !named[name] {
			t.Errorf("icon %q is in static/icons.svg but nothing names it", name)
		}
	}
}

// A long ID may break where its parts end, and is read and escaped as it is.
func TestIDsBreakBetweenTheirParts(t *testing.T) {
	breakable := functions(nil)["breakable"].(func(string) template.HTML)
	for id, want := range map[string]template.HTML{
		"i-0b7c":                    "i-0b7c",
		"arn:aws:iam::1:role/web":   "arn:<wbr>aws:<wbr>iam:<wbr>:<wbr>1:<wbr>role/<wbr>web",
		`<a href="/">&amp;</a>@b.c`: "&lt;a href=&#34;/<wbr>&#34;&gt;&amp;amp;&lt;/<wbr>a&gt;@<wbr>b.<wbr>c",
	} {
		if got := breakable(id); got != want {
			t.Errorf("%s is written %s, want %s", id, got, want)
		}
	}
}
