package audit

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Action is what happened, as entity:verb.
type Action string

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
	AuditLogExport   Action = "audit_log:export"
	APIKeyCreate     Action = "api_key:create"
	APIKeyRevoke     Action = "api_key:revoke"
)

// ActionGroup is a heading of the action filter and the actions under it.
type ActionGroup struct {
	Name    string
	Actions []Action
}

var catalogue = []ActionGroup{
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
	{AccessGroup, []Action{UserSignIn, UserSignOut, UserSignInRefused, UserPasswordResetLink,
		UserPasswordResetLinkRevoke, UserPasswordReset, UserPasswordChange, UserPasswordChangeRefused,
		UserSessionEnd, AccessDenied, MemberInvite, MemberJoin, MemberRoleUpdate, MemberRemove, AuditLogExport,
		APIKeyCreate, APIKeyRevoke}},
}

// AccessGroup is the name of the group that holds what the web app itself records.
const AccessGroup = "Access"

// ownActions are what the web app records of itself and nothing else may send: they are evidence of
// who may read and change the log. Applications have organization:create, update and delete, too.
var ownActions = func() map[Action]bool {
	own := map[Action]bool{OrganizationAuditConfigUpdate: true}
	for _, group := range catalogue {
		if group.Name == AccessGroup {
			for _, action := range group.Actions {
				own[action] = true
			}
		}
	}
	return own
}()

// reserved reports whether nothing from outside of this program may be recorded under the action: it is
// the web app's own, or tells that GitHub has signed it.
func (a Action) reserved() bool { return ownActions[a] || a == DeploymentStatusUpdate }

// Catalogue lists the tracked actions in the order in which filters show them; AccessGroup comes
// last. Actions an application registered are not in it, see Registered. The answer is the
// caller's own copy.
func Catalogue() []ActionGroup {
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

// Register declares actions of the application's own, so that filters offer them before the first
// one is recorded. Recording an action does not require it. It panics on one that is not
// entity:verb, as that is a mistake in the program.
func Register(actions ...Action) {
	registered.Lock()
	defer registered.Unlock()
	for _, action := range actions {
		if !action.Valid() {
			panic(fmt.Sprintf("audit.Register: action %q is not entity:verb in lower case", string(action)))
		}
		registered.actions[action] = true
	}
}

// Registered lists what Register declared, in alphabetical order.
func Registered() []Action {
	registered.RLock()
	defer registered.RUnlock()
	return slices.Sorted(maps.Keys(registered.actions))
}
