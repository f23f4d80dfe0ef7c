// Package action holds the actions of an audit log: the catalogue, and those an application registers.
//
//	audit.Event{Action: action.DeploymentCreate, …}
package action

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Action is what happened, as entity:verb.
type Action string

// MaxLength is the size limit of an action, in bytes.
const MaxLength = 100

// Valid reports whether the action is entity:verb in lower case, [a-z][a-z0-9_]*:[a-z][a-z0-9_]*, and
// at most MaxLength bytes.
func (a Action) Valid() bool {
	entity, verb, found := strings.Cut(string(a), ":")
	return found && len(a) <= MaxLength && isIdentifier(entity) && isIdentifier(verb)
}

// Entity returns the part before the colon.
func (a Action) Entity() string { entity, _, _ := strings.Cut(string(a), ":"); return entity }

// Verb returns the part after the colon.
func (a Action) Verb() string { _, verb, _ := strings.Cut(string(a), ":"); return verb }

// ValidEntityType reports whether s can name a type of entity: [a-z][a-z0-9_]*, at most MaxLength bytes.
func ValidEntityType(s string) bool { return len(s) <= MaxLength && isIdentifier(s) }

// isIdentifier reports whether s is [a-z][a-z0-9_]*.
func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// The catalogue of tracked actions.
const (
	DeploymentCreate   Action = "deployment:create"
	DeploymentCancel   Action = "deployment:cancel"
	DeploymentRollback Action = "deployment:rollback"
	DeploymentDelete   Action = "deployment:delete"

	ServiceCreate         Action = "service:create"
	ServiceUpdate         Action = "service:update"
	ServiceDelete         Action = "service:delete"
	ServiceDomainAdd      Action = "service:domain_add"
	ServiceDomainUpdate   Action = "service:domain_update"
	ServiceDomainRemove   Action = "service:domain_remove"
	ServiceAIScanStart    Action = "service:ai_scan_start"
	ServiceAIScanComplete Action = "service:ai_scan_complete"
	ServiceAIScanFail     Action = "service:ai_scan_fail"

	ProjectCreate Action = "project:create"
	ProjectUpdate Action = "project:update"
	ProjectDelete Action = "project:delete"

	WorkflowCreate  Action = "workflow:create"
	WorkflowUpdate  Action = "workflow:update"
	WorkflowDelete  Action = "workflow:delete"
	WorkflowEnable  Action = "workflow:enable"
	WorkflowDisable Action = "workflow:disable"

	NotificationChannelCreate Action = "notification_channel:create"
	NotificationChannelUpdate Action = "notification_channel:update"
	NotificationChannelDelete Action = "notification_channel:delete"

	OrganizationCreate            Action = "organization:create"
	OrganizationUpdate            Action = "organization:update"
	OrganizationDelete            Action = "organization:delete"
	OrganizationAIConfigUpdate    Action = "organization:ai_config_update"
	OrganizationAuditConfigUpdate Action = "organization:audit_config_update"

	GitHubInstallationLink   Action = "github_installation:link"
	GitHubInstallationUpdate Action = "github_installation:update"
	GitHubInstallationUnlink Action = "github_installation:unlink"
	SlackConnect             Action = "slack:connect"
	SlackDisconnect          Action = "slack:disconnect"

	SubscriptionActivate  Action = "subscription:activate"
	SubscriptionScaleUp   Action = "subscription:scale_up"
	SubscriptionScaleDown Action = "subscription:scale_down"
	SubscriptionUpdate    Action = "subscription:update"
	SubscriptionCancel    Action = "subscription:cancel"

	// DeploymentStatusUpdate is recorded when GitHub reports how a deployment goes. It is not in the
	// catalogue: only the server records it, and its filters offer it.
	DeploymentStatusUpdate Action = "deployment:status_update"

	// Access: what the web app itself records.
	UserSignIn        Action = "user:sign_in"
	UserSignOut       Action = "user:sign_out"
	UserSignInRefused Action = "user:sign_in_refused"
	// A link was made with which somebody can set a new password for an account.
	UserPasswordResetLink Action = "user:password_reset_link"
	// Such a link was revoked before it was used.
	UserPasswordResetLinkRevoke Action = "user:password_reset_link_revoke"
	// A new password was set with such a link.
	UserPasswordReset Action = "user:password_reset"
	// Somebody changed their own password, or gave a wrong one when asked for the old.
	UserPasswordChange        Action = "user:password_change"
	UserPasswordChangeRefused Action = "user:password_change_refused"
	// Somebody ended sessions of theirs in other browsers.
	UserSessionEnd Action = "user:session_end"
	// Somebody was refused what their role does not include.
	AccessDenied     Action = "access:denied"
	MemberInvite     Action = "member:invite"
	MemberJoin       Action = "member:join"
	MemberRoleUpdate Action = "member:role_update"
	MemberRemove     Action = "member:remove"
	// Somebody changed what those with a role may see of the log.
	RoleRestrict   Action = "role:restrict"
	AuditLogExport Action = "audit_log:export"
	// What an admin did with a view of the log that the organization shares.
	AuditViewCreate Action = "audit_view:create"
	AuditViewUpdate Action = "audit_view:update"
	AuditViewDelete Action = "audit_view:delete"
	APIKeyCreate    Action = "api_key:create"
	// Somebody changed what is masked of the events that come with a key.
	APIKeyUpdate Action = "api_key:update"
	APIKeyRevoke Action = "api_key:revoke"
)

// Group is a heading of the action filter and the actions under it.
type Group struct {
	Name    string
	Actions []Action
}

var catalogue = []Group{
	{"Deployments", []Action{DeploymentCreate, DeploymentCancel, DeploymentRollback, DeploymentDelete}},
	{"Services", []Action{ServiceCreate, ServiceUpdate, ServiceDelete, ServiceDomainAdd, ServiceDomainUpdate,
		ServiceDomainRemove, ServiceAIScanStart, ServiceAIScanComplete, ServiceAIScanFail}},
	{"Projects", []Action{ProjectCreate, ProjectUpdate, ProjectDelete}},
	{"Workflows", []Action{WorkflowCreate, WorkflowUpdate, WorkflowDelete, WorkflowEnable, WorkflowDisable}},
	{"Notification channels", []Action{NotificationChannelCreate, NotificationChannelUpdate, NotificationChannelDelete}},
	{"Organization", []Action{OrganizationCreate, OrganizationUpdate, OrganizationDelete,
		OrganizationAIConfigUpdate, OrganizationAuditConfigUpdate}},
	{"Integrations", []Action{GitHubInstallationLink, GitHubInstallationUpdate, GitHubInstallationUnlink,
		SlackConnect, SlackDisconnect}},
	{"Subscriptions", []Action{SubscriptionActivate, SubscriptionScaleUp, SubscriptionScaleDown,
		SubscriptionUpdate, SubscriptionCancel}},
	{Access, []Action{UserSignIn, UserSignOut, UserSignInRefused, UserPasswordResetLink,
		UserPasswordResetLinkRevoke, UserPasswordReset, UserPasswordChange, UserPasswordChangeRefused,
		UserSessionEnd, AccessDenied, MemberInvite, MemberJoin, MemberRoleUpdate, MemberRemove, RoleRestrict, AuditLogExport,
		AuditViewCreate, AuditViewUpdate, AuditViewDelete, APIKeyCreate, APIKeyUpdate, APIKeyRevoke}},
}

// Access is the name of the group that holds what the web app itself records.
const Access = "Access"

// own are evidence of who may read and change the log. Applications have organization:create, update and
// delete, too.
var own = func() map[Action]bool {
	own := map[Action]bool{OrganizationAuditConfigUpdate: true}
	for _, group := range catalogue {
		if group.Name == Access {
			for _, action := range group.Actions {
				own[action] = true
			}
		}
	}
	return own
}()

// Own reports whether the action is what the web app records of itself: the group Access and
// organization:audit_config_update.
func (a Action) Own() bool { return own[a] }

// Reserved reports whether nothing from outside of the program may be recorded under the action: it is
// the web app's own, or vouches that GitHub has signed it.
func (a Action) Reserved() bool { return own[a] || a == DeploymentStatusUpdate }

// Catalogue lists the tracked actions in the order in which filters show them; Access comes
// last. Actions an application registered are not in it, see Registered. The caller may change the
// result.
func Catalogue() []Group {
	groups := slices.Clone(catalogue)
	for i := range groups {
		groups[i].Actions = slices.Clone(groups[i].Actions)
	}
	return groups
}

var registered = struct {
	sync.RWMutex
	actions map[Action]bool
}{actions: map[Action]bool{}}

// Register declares actions of the application's own, so that the log's filters offer them before the
// first one is recorded: migrate.Up, or audit.SaveRegistered, brings them there. Recording an action
// does not require it. It panics on one that is not entity:verb, as that is a mistake in the program.
func Register(actions ...Action) {
	registered.Lock()
	defer registered.Unlock()
	for _, action := range actions {
		if !action.Valid() {
			panic(fmt.Sprintf("action.Register: action %q is not entity:verb in lower case", string(action)))
		}
		registered.actions[action] = true
	}
}

// Known reports whether the action is in the catalogue, or registered.
func (a Action) Known() bool {
	registered.RLock()
	defer registered.RUnlock()
	return registered.actions[a] || slices.ContainsFunc(catalogue, func(group Group) bool { return slices.Contains(group.Actions, a) })
}

// Registered returns the actions that Register declared, in alphabetical order.
func Registered() []Action {
	registered.RLock()
	defer registered.RUnlock()
	return slices.Sorted(maps.Keys(registered.actions))
}
