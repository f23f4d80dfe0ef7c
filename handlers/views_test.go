package handlers

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gofiber/template/html/v2"

	"github.com/auditlogs/auditlogs/static"
	"github.com/auditlogs/auditlogs/views"
)

// testViews is the engine pages are rendered with, with assets under plain names.
func testViews(t *testing.T) *html.Engine {
	t.Helper()
	engine := html.NewFileSystem(http.FS(views.Files), ".html")
	engine.AddFuncMap(TemplateFuncs(func(name string) string { return "/static/" + name }))
	if err := engine.Load(); err != nil {
		t.Fatal(err)
	}
	return engine
}

func TestTemplatesParse(t *testing.T) { testViews(t) }

// Every icon that templates or Go name is in the sprite, and no other.
func TestIconsAreThoseInUse(t *testing.T) {
	files, err := static.Files()
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]bool{}
	for _, m := range regexp.MustCompile(`<symbol id="([^"]+)"`).FindAllStringSubmatch(string(files["icons.svg"]), -1) {
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
	err = fs.WalkDir(views.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".html") {
			return err
		}
		text, err := views.Files.ReadFile(path)
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
	for _, source := range sources {
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
