package importer

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// cloudTrail are the records of AWS CloudTrail: files of a trail, what lookup-events prints, and results of
// queries in CloudTrail Lake with the column eventjson.
var cloudTrail = format{
	name:  "cloudtrail",
	lists: []string{"Records", "Events", "QueryResultRows"}, besides: []string{"QueryStatus", "QueryStatistics", "NextToken"},
	newestIn: "Events", // of lookup-events
	unwrap: func(raw json.RawMessage, r record) (json.RawMessage, record, error) {
		var err error
		for _, name := range []string{"CloudTrailEvent", "eventjson", "eventJson"} {
			if r[name] != nil {
				raw, r, err = r.within(name)
				break
			}
		}
		if inner := r.object("eventData"); inner != nil { // of another product, in CloudTrail Lake
			inner["eventID"] = r["eventID"]
			return raw, inner, err
		}
		return raw, r, err
	},
	id: []string{"eventID"}, action: []string{"eventName"}, time: []string{"eventTime"},
	ip: []string{"sourceIPAddress"}, userAgent: []string{"userAgent"}, requestID: []string{"requestID"},
	actor:     cloudTrailActor,
	resources: cloudTrailResources,
	outcome: func(r record) (event.Outcome, string) {
		code, message := r.text("errorCode"), r.text("errorMessage")
		reason := strings.Trim(code+": "+message, ": ")
		switch {
		case cloudTrailDenied.MatchString(code):
			return event.OutcomeDenied, reason
		case code != "" || r.text("responseElements.ConsoleLogin") == "Failure" || r.text("responseElements.CheckMfa") == "Failure":
			return event.OutcomeFailure, cmp.Or(reason, "Failure")
		}
		return "", ""
	},
	more: func(r record, e *event.Event) {
		e.NativeAction = shorten(cloudTrailService(r)+":"+r.text("eventName"), event.MaxNativeAction)
		if r.text("eventName") == "" {
			e.NativeAction = ""
		}
	},
}

var cloudTrailDenied = regexp.MustCompile(`AccessDenied|Unauthorized|NotAuthorized|Forbidden|AuthFailure|AuthorizationError`)

func cloudTrailService(r record) string {
	return strings.TrimSuffix(r.text("eventSource"), ".amazonaws.com")
}

// cloudTrailActor returns who a record's userIdentity says it was.
func cloudTrailActor(r record) event.Actor {
	by := r.text("userIdentity.invokedBy")
	actor := cloudTrailIdentity(r)
	// A service that acts with the rights of whoever called it. signin is the console.
	if kind := r.text("userIdentity.type"); by != "" && by != actor.ID && kind != "" && kind != "AWSService" && by != "signin.amazonaws.com" {
		session := ""
		if actor.OnBehalfOf != nil {
			session = actor.OnBehalfOf.Session
		}
		caller := service(by, by)
		caller.OnBehalfOf = principal(actor, session)
		return caller
	}
	return actor
}

func cloudTrailIdentity(r record) event.Actor {
	of := r.object("userIdentity")
	arn, id, name, account, by := of.text("arn"), of.text("principalId"), of.text("userName"), of.text("accountId"), of.text("invokedBy")
	issuer := of.object("sessionContext.sessionIssuer")
	_, session, _ := strings.Cut(id, ":")
	switch kind := of.text("type"); {
	case kind == "Root":
		return person(cmp.Or(arn, account), "root", "")
	case kind == "IAMUser" && arn == "" && name == "HIDDEN_DUE_TO_SECURITY_REASONS":
		return event.Anonymous()
	case kind == "IAMUser":
		if arn == "" && account != "" && name != "" { // of a failed sign-in
			arn = "arn:aws:iam::" + account + ":user/" + name
		}
		return person(cmp.Or(arn, id, name), name, "")
	case kind == "AssumedRole", kind == "" && issuer != nil:
		role := service(cmp.Or(issuer.text("arn"), arn, id), issuer.text("userName"))
		if parts := strings.Split(arn, "/"); len(parts) > 1 {
			role.Name = cmp.Or(role.Name, parts[1])
			session = cmp.Or(session, parts[len(parts)-1])
		}
		source := of.text("sessionContext.sourceIdentity")
		who := person(cmp.Or(source, session), "", cmp.Or(source, session))
		if source == "" && who.Email == "" && !strings.Contains(role.Name, "AWSReservedSSO_") && !strings.Contains(role.ID, "aws-reserved/sso.amazonaws.com") {
			who.Type = event.ActorService
		}
		role.OnBehalfOf = principal(who, id)
		return role
	case kind == "FederatedUser":
		user := person(arn, session, "")
		issued := person(issuer.text("arn"), issuer.text("userName"), "")
		if issuer.text("type") == "Role" {
			issued.Type = event.ActorService
		}
		user.OnBehalfOf = principal(issued, id)
		return user
	case kind == "AWSAccount" && account == "ANONYMOUS_PRINCIPAL":
		return event.Anonymous()
	case kind == "AWSAccount":
		user := person(cmp.Or(id, account), "account "+account, "")
		if strings.HasPrefix(user.ID, "AROA") || session != "" {
			user.Type = event.ActorService
		}
		return user
	case kind == "WebIdentityUser" || kind == "SAMLUser":
		user := person(id, name, name)
		if strings.Contains(of.text("identityProvider"), "token.actions.githubusercontent.com") {
			user.Type = event.ActorService
		}
		return user
	case kind == "IdentityCenterUser":
		return person(cmp.Or(of.text("onBehalfOf.userId"), id), name, "")
	case kind == "CustomUser": // of another product
		return person(id, name, of.text("details.email"))
	case kind == "AWSService" || by != "":
		return service(cmp.Or(by, arn, id, r.text("eventSource")), by)
	}
	return service(cmp.Or(arn, id, account, r.text("eventSource")), name)
}

// cloudTrailKinds are the parameters of requests and answers that say what a record is about.
var cloudTrailKinds = [][2]string{
	{"roleName", "role"}, {"userName", "user"}, {"groupName", "group"}, {"policyArn", "policy"}, {"instanceProfileName", "instance_profile"},
	{"bucketName", "bucket"}, {"functionName", "function"}, {"secretId", "secret"}, {"SecretId", "secret"}, {"secretArn", "secret"},
	{"trailName", "trail"}, {"dBSnapshotIdentifier", "db_snapshot"}, {"dBInstanceIdentifier", "db_instance"}, {"dBClusterIdentifier", "db_cluster"},
	{"snapshotId", "snapshot"}, {"imageId", "image"}, {"instanceId", "instance"}, {"networkInterfaceId", "network_interface"},
	{"groupId", "security_group"}, {"vpcId", "vpc"}, {"subnetId", "subnet"}, {"keyId", "key"}, {"roleArn", "role"},
	{"repositoryName", "repository"}, {"guardrailIdentifier", "guardrail"}, {"stackName", "stack"}, {"projectName", "project"},
	{"accountId", "account"}, {"regionName", "region"}, {"documentName", "document"}, {"accessKeyId", "access_key"},
	{"agentRuntimeArn", "agent_runtime"}, {"family", "task_definition"},
}

func cloudTrailResources(r record) (resources []event.Resource) {
	service, name := cloudTrailService(r), r.text("eventName")
	add := func(kind, id string) {
		resource := event.Resource{Type: kind, ID: id}
		if i := strings.LastIndexAny(id, ":/"); i >= 0 {
			resource.Name = id[i+1:]
		}
		same := func(other event.Resource) bool { // by its name, or by an ARN that ends in it
			return other.ID == id || endsIn(other.ID, id) || endsIn(id, other.ID)
		}
		if !slices.ContainsFunc(resources, same) {
			resources = append(resources, resource)
		}
	}
	for _, listed := range r.list("resources") {
		if id := listed.text("ARN", "arn", "ARNPrefix"); id != "" {
			kind := listed.text("type")
			add(cmp.Or(action.FoldType(kind[strings.LastIndex(kind, ":")+1:]), arnType(id, service)), id)
		}
	}
	if service == "signin" {
		return resources
	}
	listed := len(resources) > 0
	found := cloudTrailParameters(r, service, listed)
	// What the action's name is about comes first.
	verb := strings.Split(action.FoldType(name), "_")
	rank := func(kind string) int {
		last := kind[strings.LastIndex(kind, "_")+1:]
		if slices.Contains(verb, last) || slices.Contains(verb, last+"s") {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(found, func(a, b event.Resource) int { return rank(a.Type) - rank(b.Type) })
	for _, resource := range found {
		if service != "sts" || listed || resource.Type == "role" {
			add(resource.Type, resource.ID)
		}
	}
	return resources
}

// cloudTrailParameters returns what the parameters of the request and of its answer name.
func cloudTrailParameters(r record, service string, listed bool) (found []event.Resource) {
	from := []string{"requestParameters", "responseElements", "additionalEventData", "serviceEventDetails"}
	for _, creates := range []string{"Create", "Run", "Allocate", "Register", "Copy"} {
		if strings.HasPrefix(r.text("eventName"), creates) {
			from[0], from[1] = from[1], from[0] // the answer has the new ID
			break
		}
	}
	for _, path := range from {
		in := r.object(path)
		for _, kind := range cloudTrailKinds {
			if id := in.anywhere(kind[0]); id != "" && (kind[0] != "accountId" || !listed && len(found) == 0) {
				found = append(found, event.Resource{Type: kind[1], ID: id})
			}
		}
		if id := cmp.Or(in.anywhere("trailARN"), in.anywhere("name")); service == "cloudtrail" && id != "" {
			found = slices.Insert(found, 0, event.Resource{Type: "trail", ID: id})
		} else if id := in.text("aRN", "arn", "ARN", "name", "id"); len(found) == 0 && id != "" {
			found = append(found, event.Resource{Type: arnType(id, service), ID: id})
		}
	}
	return found
}

// anywhere returns the text under name that is nearest to the top.
func (r record) anywhere(name string) string {
	level := []any{map[string]any(r)}
	for len(level) > 0 {
		var below []any
		for _, value := range level {
			switch value := value.(type) {
			case []any:
				below = append(below, value...)
			case map[string]any:
				if _, list := value[name].([]any); !list {
					if text := textOf(value[name]); text != "" {
						return text
					}
				}
				for _, name := range slices.Sorted(maps.Keys(value)) {
					below = append(below, value[name])
				}
			}
		}
		level = below
	}
	return ""
}

// arnType returns the type of what an ARN names; of anything else the service it is of.
func arnType(arn, service string) string {
	parts := strings.SplitN(arn, ":", 6) // arn:aws:iam::123456789012:role/web
	if len(parts) < 6 || parts[0] != "arn" {
		return action.FoldType(service)
	}
	of, rest := parts[2], parts[5]
	i := strings.IndexAny(rest, ":/")
	switch {
	case of == "s3" && strings.Contains(rest, "/"):
		return "object"
	case of == "s3":
		return "bucket"
	case i < 0:
		return action.FoldType(of)
	}
	return action.FoldType(rest[:i])
}

// endsIn reports whether id is an address that ends in name.
func endsIn(id, name string) bool {
	before, found := strings.CutSuffix(id, name)
	return found && (strings.HasSuffix(before, ":") || strings.HasSuffix(before, "/"))
}

// joinedCells returns a row of GetQueryResults, which is a list of objects with a cell each, as one object; what
// is none it returns as it is.
func joinedCells(row []byte) []byte {
	var cells []map[string]any
	if json.Unmarshal(row, &cells) != nil {
		return row
	}
	joined := map[string]any{}
	for _, cell := range cells {
		maps.Copy(joined, cell)
	}
	object, err := json.Marshal(joined)
	if err != nil {
		return row
	}
	return object
}
