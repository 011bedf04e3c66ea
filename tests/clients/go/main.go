// Life cycle of a connection through go-fivetran, unmodified: what infrastructure tools do, call by call.
//
//	client life   URL PACKAGE.zip PYTHON   ends with one line of JSON: what was seen
//	client limit  URL REQUESTS             many at once; the client waits out every 429 by itself
//
// The key and secret are read from FIVETRAN_APIKEY and FIVETRAN_APISECRET. Any surprise ends with exit code 1 and the step.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fivetran/go-fivetran"
	"github.com/fivetran/go-fivetran/connections"
)

const patience = 120 * time.Second

var (
	ctx    = context.Background()
	client *fivetran.Client
	seen   = map[string]any{}
)

// fail ends the program unless ok.
func must(step string, ok bool, got any) {
	if !ok {
		text, _ := json.Marshal(got)
		fmt.Fprintf(os.Stderr, "%s: %s\n", step, text)
		os.Exit(1)
	}
}

// did ends the program when a call failed; go-fivetran decodes before it looks at the status, so the answer tells why.
func did(step string, err error, answer any) {
	if err != nil {
		text, _ := json.Marshal(answer)
		fmt.Fprintf(os.Stderr, "%s: %v: %s\n", step, err, text)
		os.Exit(1)
	}
}

func number(n int) *int { return &n }

func hello(group *string) {
	account, err := client.AccountInfo().Do(ctx)
	did("account info", err, account)
	must("account info", account.Data.AccountId != "" && account.Data.AccountName != "", account)
	people, err := client.NewUsersList().Do(ctx)
	did("users", err, people)
	must("users", len(people.Data.Items) > 0, people)
	found, err := client.NewGroupsList().Limit(500).Do(ctx)
	did("groups", err, found)
	must("groups", len(found.Data.Items) == 1, found)
	*group = found.Data.Items[0].ID
	destination, err := client.NewDestinationDetails().DestinationID(*group).DoCustom(ctx)
	did("destination", err, destination)
	must("destination", destination.Data.GroupID == *group && destination.Data.SetupStatus == "connected", destination)
	types, err := client.NewMetadataDetails().Service("connector_sdk").Do(ctx)
	did("metadata", err, types)
	must("metadata", types.Code == "Success", types)
}

func upload(path string) string {
	zip, err := os.ReadFile(path)
	did("reading the package", err, nil)
	made, err := client.NewConnectorSdkPackageCreate().FileContent(bytes.NewReader(zip)).Do(ctx)
	did("package create", err, made)
	must("package create", len(made.Data.FileSha256Hash) == 64 && made.Data.ConnectionID == "", made)
	seen["sha256"] = made.Data.FileSha256Hash
	one, err := client.NewConnectorSdkPackageDetails().PackageID(made.Data.ID).Do(ctx)
	did("package details", err, one)
	must("package details", one.Data == made.Data, one)
	all, err := client.NewConnectorSdkPackageList().Do(ctx)
	did("package list", err, all)
	must("package list", len(all.Data.Items) == 1 && all.Data.Items[0].ID == made.Data.ID, all)
	again, err := client.NewConnectorSdkPackageUpdate().PackageID(made.Data.ID).FileContent(bytes.NewReader(zip)).Do(ctx)
	did("package update", err, again)
	must("package update", again.Data.ID == made.Data.ID && again.Data.FileSha256Hash == made.Data.FileSha256Hash, again)
	return made.Data.ID
}

func create(group, pkg, python string) string {
	config := map[string]any{
		"schema": "go_probe", "package_id": pkg, "python_version": python,
		"secrets_list": []map[string]string{{"key": "my_key", "value": "a secret of the test"}},
	}
	con, err := client.NewConnectionCreate().Service("connector_sdk").GroupID(group).RunSetupTests(true).Paused(true).
		SyncFrequency(number(360)).ConfigCustom(&config).DoCustom(ctx)
	did("connection create", err, con)
	must("connection create", con.Data.ID != "" && con.Data.Schema == "go_probe" && con.Data.Paused != nil && *con.Data.Paused &&
		con.Data.SyncFrequency != nil && *con.Data.SyncFrequency == 360 && con.Data.Config["python_version"] == python &&
		con.Data.Status.SetupState == "connected" && con.Data.Status.SyncState == "paused" && len(con.Data.SetupTests) > 0 &&
		con.Data.SucceededAt.IsZero() && con.Data.FailedAt.IsZero(), con)
	text, _ := json.Marshal(con)
	must("secrets are masked", !strings.Contains(string(text), "a secret of the test"), con)
	seen["connection"] = con.Data.ID
	return con.Data.ID
}

func find(group, id string) {
	listed, err := client.NewConnectionsList().GroupID(group).Schema("go_probe").Do(ctx)
	did("connections by name", err, listed)
	must("connections by name", len(listed.Data.Items) == 1 && listed.Data.Items[0].ID == id, listed)
	other, err := client.NewConnectionsList().GroupID(group).Schema("go%probe").Do(ctx)
	did("connections by another name", err, other)
	must("connections by another name", len(other.Data.Items) == 0, other)
	grouped, err := client.NewGroupListConnections().GroupID(group).Schema("go_probe").Do(ctx)
	did("connections of the group", err, grouped)
	must("connections of the group", len(grouped.Data.Items) == 1, grouped)
}

// ended waits until a sync ended after the time before, and the state has left syncing with it.
func ended(id string, before time.Time) connections.DetailsWithCustomConfigNoTestsResponse {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		con, err := client.NewConnectionDetails().ConnectionID(id).DoCustom(ctx)
		did("connection details", err, con)
		must("the sync", con.Data.FailedAt.IsZero(), con)
		if con.Data.SucceededAt.After(before) {
			must("state and time come together", con.Data.Status.SyncState == "scheduled", con)
			return con
		}
	}
	must("the sync did not end", false, id)
	panic("not reached")
}

func run(id string) {
	changed, err := client.NewConnectionUpdate().ConnectionID(id).Paused(false).SyncFrequency(number(60)).ScheduleType("auto").DoCustom(ctx)
	did("unpause", err, changed)
	must("unpause", *changed.Data.SyncFrequency == 60 && !*changed.Data.Paused && changed.Data.ScheduleType == "auto", changed)
	tests, err := client.NewConnectionSetupTests().ConnectionID(id).DoCustom(ctx)
	did("setup tests", err, tests)
	must("setup tests", len(tests.Data.SetupTests) > 0 && tests.Data.SetupTests[0].Status == "PASSED", tests)
	first := ended(id, time.Time{})
	must("no longer historical", first.Data.Status.IsHistoricalSync != nil && !*first.Data.Status.IsHistoricalSync, first)
	forced, err := client.NewConnectionSync().ConnectionID(id).Do(ctx)
	did("force", err, forced)
	must("force", forced.Message == fmt.Sprintf("Sync has been successfully triggered for connection with id '%s'", id), forced)
	second := ended(id, first.Data.SucceededAt)
	resynced, err := client.NewConnectionReSyncTable().ConnectionID(id).Schema("go_probe").Table("t").Do(ctx)
	did("table resync", err, resynced)
	third := ended(id, second.Data.SucceededAt)
	seen["succeeded_at"] = []time.Time{first.Data.SucceededAt, second.Data.SucceededAt, third.Data.SucceededAt}
}

func schemas(id string) {
	found, err := client.NewConnectionSchemaDetails().ConnectionID(id).Do(ctx)
	did("schemas", err, found)
	must("schemas", found.Data.Schemas["go_probe"] != nil && found.Data.Schemas["go_probe"].Tables["t"] != nil, found)
	reloaded, err := client.NewConnectionSchemaReload().ConnectionID(id).ExcludeMode("PRESERVE").Do(ctx)
	did("schemas reload", err, reloaded)
	must("schemas reload", reloaded.Data.Schemas["go_probe"] != nil, reloaded)
	columns, err := client.NewConnectionColumnConfigListService().ConnectionId(id).Schema("go_probe").Table("t").Do(ctx)
	did("columns", err, columns)
	must("columns", columns.Data.Columns["id"] != nil, columns)
	off, err := client.NewConnectionTableConfigUpdateService().ConnectionId(id).Schema("go_probe").Table("u").Enabled(false).Do(ctx)
	did("table off", err, off)
	must("table off", !*off.Data.Schemas["go_probe"].Tables["u"].Enabled && *off.Data.Schemas["go_probe"].Tables["t"].Enabled, off)
}

func clear(id, pkg string) {
	inUse, err := client.NewConnectorSdkPackageDelete().PackageID(pkg).Do(ctx)
	must("a package in use stays", err != nil && inUse.Code == "Forbidden", inUse)
	paused, err := client.NewConnectionUpdate().ConnectionID(id).Paused(true).DoCustom(ctx)
	did("pause", err, paused)
	must("pause", *paused.Data.Paused && paused.Data.Status.SyncState == "paused", paused)
	missing, err := client.NewConnectionDetails().ConnectionID("no_such").DoCustom(ctx)
	must("a missing connection", err != nil && strings.HasPrefix(missing.Code, "NotFound_Connect") && missing.Message != "", missing)
	gone, err := client.NewConnectionDelete().ConnectionID(id).Do(ctx)
	did("connection delete", err, gone)
	must("connection delete", gone.Message == fmt.Sprintf("Connection with id '%s' has been deleted", id), gone)
	after, err := client.NewConnectionDetails().ConnectionID(id).DoCustom(ctx)
	must("a deleted connection", err != nil && strings.HasPrefix(after.Code, "NotFound_Connect"), after)
	removed, err := client.NewConnectorSdkPackageDelete().PackageID(pkg).Do(ctx)
	did("package delete", err, removed)
	twice, err := client.NewConnectorSdkPackageDelete().PackageID(pkg).Do(ctx)
	must("a package deleted twice", err != nil && strings.HasPrefix(twice.Code, "NotFound_"), twice)
}

func groups() {
	made, err := client.NewGroupCreate().Name("GoWarehouse").Do(ctx)
	did("group create", err, made)
	renamed, err := client.NewGroupUpdate().GroupID(made.Data.ID).Name("Go Warehouse 2").Do(ctx)
	did("group update", err, renamed)
	one, err := client.NewGroupDetails().GroupID(made.Data.ID).Do(ctx)
	did("group details", err, one)
	must("group details", one.Data.Name == "Go Warehouse 2" && !one.Data.CreatedAt.IsZero(), one)
	gone, err := client.NewGroupDelete().GroupID(made.Data.ID).Do(ctx)
	did("group delete", err, gone)
	after, err := client.NewGroupDetails().GroupID(made.Data.ID).Do(ctx)
	must("a deleted group", err != nil && after.Code == "NotFound_Group", after)
}

// counting counts the refusals that the client waits out by itself.
type counting struct {
	sent, refused atomic.Int64
}

func (c *counting) Do(request *http.Request) (*http.Response, error) {
	c.sent.Add(1)
	answer, err := http.DefaultClient.Do(request)
	if err == nil && answer.StatusCode == http.StatusTooManyRequests {
		c.refused.Add(1)
	}
	return answer, err
}

func limit(requests int) {
	counted := &counting{}
	client.SetHttpClient(counted)
	var wait sync.WaitGroup
	var failed atomic.Int64
	todo := make(chan struct{}, requests)
	for i := 0; i < requests; i++ {
		todo <- struct{}{}
	}
	close(todo)
	for i := 0; i < 60; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range todo {
				answer, err := client.AccountInfo().Do(ctx)
				if err != nil || answer.Data.AccountId == "" {
					failed.Add(1)
				}
			}
		}()
	}
	wait.Wait()
	seen["sent"], seen["refused"], seen["failed"] = counted.sent.Load(), counted.refused.Load(), failed.Load()
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: client life URL PACKAGE PYTHON | client limit URL REQUESTS")
		os.Exit(2)
	}
	client = fivetran.New(os.Getenv("FIVETRAN_APIKEY"), os.Getenv("FIVETRAN_APISECRET"))
	client.BaseURL(os.Args[2] + "/v1")
	client.CustomUserAgent("sluice-tests")
	if os.Args[1] == "life" {
		var group string
		hello(&group)
		pkg := upload(os.Args[3])
		id := create(group, pkg, os.Args[4])
		find(group, id)
		run(id)
		schemas(id)
		clear(id, pkg)
		groups()
	} else {
		n, err := strconv.Atoi(os.Args[3])
		did("REQUESTS", err, nil)
		limit(n)
	}
	text, _ := json.Marshal(seen)
	fmt.Println(string(text))
}
