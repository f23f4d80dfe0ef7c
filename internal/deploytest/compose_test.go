//go:build linux

package deploytest

import (
	"crypto/rand"
	"encoding/base64"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// loadCompose reads deploy/compose.yaml as Compose does: checked against its schema, with the variables put in.
func loadCompose(t *testing.T, variables map[string]string) (*types.Project, error) {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join(root(t), "deploy"))
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  folder,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(folder, "compose.yaml")}},
		Environment: variables,
	}, func(o *loader.Options) { o.SetProjectName("deploy", false) })
}

func composeVariables() map[string]string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return map[string]string{"POSTGRES_PASSWORD": rand.Text(), "AUDITLOGS_SECRET_KEY": base64.StdEncoding.EncodeToString(key)}
}

func TestCompose(t *testing.T) {
	project, err := loadCompose(t, composeVariables())
	if err != nil {
		t.Fatal(err)
	}
	auditlogs, postgres := project.Services["auditlogs"], project.Services["postgres"]
	if auditlogs.User != "" || !auditlogs.ReadOnly || auditlogs.Privileged || !slices.Equal(auditlogs.CapDrop, []string{"ALL"}) ||
		len(auditlogs.CapAdd) > 0 || !slices.Contains(auditlogs.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("the server may more than the image asks for: %+v", auditlogs)
	}
	if absolute, err := filepath.Abs(root(t)); err != nil || auditlogs.Build == nil || auditlogs.Build.Context != absolute {
		t.Errorf("the server is built of %+v", auditlogs.Build)
	}
	exposed := instruction(t, read(t, "Dockerfile"), "EXPOSE")
	for _, port := range auditlogs.Ports {
		if port.HostIP != "127.0.0.1" || strconv.Itoa(int(port.Target)) != exposed {
			t.Errorf("a port is published that no proxy stands before, or that is not the image's: %+v", port)
		}
	}
	address, err := url.Parse(*auditlogs.Environment["AUDITLOGS_DATABASE"])
	if err != nil {
		t.Fatal(err)
	}
	type database struct{ host, user, password, name string }
	asked := database{address.Host, address.User.Username(), *auditlogs.Environment["PGPASSWORD"], strings.TrimPrefix(address.Path, "/")}
	made := database{postgres.Name, *postgres.Environment["POSTGRES_USER"], *postgres.Environment["POSTGRES_PASSWORD"], *postgres.Environment["POSTGRES_DB"]}
	if asked != made {
		t.Errorf("the server's database is %+v, and there is %+v", asked, made)
	}
	if auditlogs.DependsOn["postgres"].Condition != types.ServiceConditionHealthy || postgres.HealthCheck == nil {
		t.Error("the server does not wait until PostgreSQL is up")
	}
	for name := range composeVariables() {
		without := composeVariables()
		delete(without, name)
		if _, err := loadCompose(t, without); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// startInCompose starts the server with the arguments and variables of its service, on another database.
func startInCompose(t *testing.T, image image) {
	address, err := url.Parse(newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	variables := composeVariables()
	variables["POSTGRES_PASSWORD"], _ = address.User.Password()
	address.User = url.User(address.User.Username())
	project, err := loadCompose(t, variables)
	if err != nil {
		t.Fatal(err)
	}
	service := project.Services["auditlogs"]
	arguments := []string(service.Command)
	if arguments == nil {
		arguments = image.arguments
	}
	var environment []string
	for name, value := range service.Environment {
		environment = append(environment, name+"="+*value)
	}
	image.start(t, arguments, append(environment, "AUDITLOGS_DATABASE="+address.String())).answers(t, "/readyz")
}
