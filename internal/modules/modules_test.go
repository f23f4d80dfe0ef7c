// Package modules tests what whoever imports or installs the modules of this repository gets: the working tree,
// released to a module proxy that is a folder.
package modules

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const root = "github.com/auditlogs/auditlogs"

// A program that imports the recording package keeps the versions it has, and they are enough.
func TestWhoImportsThePackageKeepsTheirVersions(t *testing.T) {
	p := newProgram(t, map[string]string{
		"github.com/gofiber/fiber/v2": "v2.50.0",
		"github.com/jackc/pgx/v5":     "v5.7.0",
		"gorm.io/gorm":                "v1.25.12",
	}, `
	_ "github.com/auditlogs/auditlogs/app/audit"
	_ "github.com/auditlogs/auditlogs/app/audit/audithttp"
	_ "github.com/auditlogs/auditlogs/app/audit/auditfiber"
	_ "github.com/auditlogs/auditlogs/app/audit/auditpgx"
	_ "github.com/auditlogs/auditlogs/app/audit/client"
	_ "github.com/auditlogs/auditlogs/app/audit/migrate"
	_ "github.com/gofiber/fiber/v2"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "gorm.io/gorm"
`)
	p.run("go", "mod", "tidy")
	p.run("go", "build", "./...")
	for path, version := range p.pinned {
		if got := strings.TrimSpace(p.run("go", "list", "-m", "-f", "{{.Version}}", path)); got != version {
			t.Errorf("%s is raised from %s to %s", path, version, got)
		}
	}
}

func TestTheClientBringsNoDatabase(t *testing.T) {
	p := newProgram(t, nil, `_ "github.com/auditlogs/auditlogs/app/audit/client"`)
	p.run("go", "mod", "tidy")
	for _, imported := range strings.Fields(p.run("go", "list", "-deps", "./...")) {
		standard := !strings.Contains(strings.Split(imported, "/")[0], ".")
		if !standard && !strings.HasPrefix(imported, root+"/app/audit/") && !strings.HasPrefix(imported, "vendor/") && imported != "example.com/program" {
			t.Errorf("the client imports %s", imported)
		}
	}
	if modules := strings.Fields(p.run("go", "list", "-m", "-f", "{{.Path}}", "all")); slices.ContainsFunc(modules, func(path string) bool {
		return path != "example.com/program" && !strings.HasPrefix(path, root+"/app/audit/")
	}) {
		t.Errorf("the client requires %v", modules)
	}
}

// All but compiling: that is what every other test of the server does, in the same versions.
func TestTheServerCanBeInstalled(t *testing.T) {
	p := newProgram(t, nil, "")
	out := p.run("go", "install", "-n", root+"/app/auditlogs@"+version(t))
	if !strings.Contains(out, "auditlogs") {
		t.Errorf("go install does nothing:\n%s", out)
	}
	var server, installed modfile.File
	for file, into := range map[string]*modfile.File{"go.mod": &server, "app/auditlogs/go.mod": &installed} {
		*into = *parse(t, filepath.Join("../..", file))
	}
	for _, required := range installed.Require {
		i := slices.IndexFunc(server.Require, func(r *modfile.Require) bool { return r.Mod.Path == required.Mod.Path })
		if required.Mod.Path != root && (i < 0 || server.Require[i].Mod != required.Mod) {
			t.Errorf("app/auditlogs/go.mod requires %s, unlike go.mod", required.Mod)
		}
	}
}

// program is the main module of somebody else.
type program struct {
	t           *testing.T
	folder      string
	environment []string
	pinned      map[string]string
}

func newProgram(t *testing.T, pinned map[string]string, imports string) *program {
	t.Helper()
	p := &program{t: t, folder: t.TempDir(), pinned: pinned}
	cache := strings.TrimSpace(p.run("go", "env", "GOMODCACHE"))
	others := strings.TrimSpace(p.run("go", "env", "GOPROXY"))
	p.environment = []string{
		// What was downloaded before is not downloaded again, and what is released here is not kept.
		"GOPROXY=file://" + release(t) + ",file://" + filepath.Join(cache, "cache/download") + "," + others,
		"GOMODCACHE=" + t.TempDir(), "GOFLAGS=-modcacherw -mod=mod -trimpath", "GOWORK=off",
		"GONOSUMDB=" + root + "," + root + "/*", "GONOPROXY=none", "GOPRIVATE=",
	}
	goMod := "module example.com/program\n\ngo 1.26.0\n"
	for path, version := range pinned {
		goMod += "\nrequire " + path + " " + version + "\n"
	}
	for path := range strings.Lines(imports) {
		if path = strings.TrimPrefix(strings.TrimSpace(path), "_ "); strings.HasPrefix(path, `"`+root) {
			goMod += "\nrequire " + strings.Trim(path, `"`) + " " + version(t) + "\n"
		}
	}
	p.write("go.mod", goMod)
	p.write("main.go", "package main\n\nimport ("+imports+")\n\nfunc main() {}\n")
	return p
}

func (p *program) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// run runs a command in the program's folder and returns what it prints.
func (p *program) run(name string, arguments ...string) string {
	p.t.Helper()
	command := exec.CommandContext(p.t.Context(), name, arguments...)
	command.Dir, command.Env = p.folder, append(os.Environ(), p.environment...)
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		p.t.Fatalf("%s %s: %v (the versions it asks for come from GOPROXY, over the network)\n%s", name, strings.Join(arguments, " "), err, problems.Bytes())
	}
	if len(out) == 0 {
		return problems.String()
	}
	return string(out)
}

// version is that of every module here in the next release: what they require of each other.
func version(t *testing.T) string {
	t.Helper()
	for _, required := range parse(t, "../../go.mod").Require {
		if strings.HasPrefix(required.Mod.Path, root) {
			return required.Mod.Version
		}
	}
	t.Fatal("go.mod requires no module of this repository")
	return ""
}

func parse(t *testing.T, path string) *modfile.File {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.Parse(path, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// release puts every module of the working tree into the folder of a proxy.
func release(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("list the files of the repository: %v", err)
	}
	files := strings.Fields(string(out))
	folders := map[string][]zip.File{}
	for _, file := range files {
		if filepath.Base(file) == "go.mod" {
			folders[filepath.Dir(file)] = nil
		}
	}
	for _, file := range files {
		folder := filepath.Dir(file)
		for _, isModule := folders[folder]; !isModule; _, isModule = folders[folder] {
			folder = filepath.Dir(folder)
		}
		if _, err := os.Stat(filepath.Join("../..", file)); err == nil { // and not just deleted
			folders[folder] = append(folders[folder], sourceFile{folder, file})
		}
	}
	proxy := t.TempDir()
	for folder, files := range folders {
		released(t, proxy, module.Version{Path: strings.TrimSuffix(root+"/"+folder, "/."), Version: version(t)}, folder, files)
	}
	return proxy
}

func released(t *testing.T, proxy string, m module.Version, folder string, files []zip.File) {
	t.Helper()
	goMod, err := os.ReadFile(filepath.Join("../..", folder, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if required := regexp.MustCompile(root+`\S* (v\S+)`).FindAllSubmatch(goMod, -1); slices.ContainsFunc(required, func(r [][]byte) bool { return string(r[1]) != m.Version }) {
		t.Errorf("%s/go.mod requires another version of a module here than %s", folder, m.Version)
	}
	info, err := json.Marshal(map[string]string{"Version": m.Version, "Time": "2026-01-01T00:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := zip.Create(&archive, m, files); err != nil {
		t.Fatalf("%s cannot be released: %v", m, err)
	}
	to := filepath.Join(proxy, m.Path, "@v")
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for extension, content := range map[string][]byte{".info": info, ".mod": goMod, ".zip": archive.Bytes()} {
		if err := os.WriteFile(filepath.Join(to, m.Version+extension), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(to, "list"), []byte(m.Version+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sourceFile is a file of a module.
type sourceFile struct{ folder, file string }

func (f sourceFile) Path() string {
	if f.folder == "." {
		return f.file
	}
	return strings.TrimPrefix(f.file, f.folder+"/")
}
func (f sourceFile) Lstat() (fs.FileInfo, error)  { return os.Lstat(filepath.Join("../..", f.file)) }
func (f sourceFile) Open() (io.ReadCloser, error) { return os.Open(filepath.Join("../..", f.file)) }
