package audit

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

	// Access: what the web app itself records.
	UserSignIn        Action = "user:sign_in"
	UserSignOut       Action = "user:sign_out"
	UserSignInRefused Action = "user:sign_in_refused"
	MemberInvite      Action = "member:invite"
	MemberJoin        Action = "member:join"
	MemberRoleUpdate  Action = "member:role_update"
	MemberRemove      Action = "member:remove"
	AuditLogExport    Action = "audit_log:export"
)

// ActionGroup is a heading of the action filter and the actions under it.
type ActionGroup struct {
	Name    string
	Actions []Action
}

// Catalogue lists the tracked actions in the order in which filters show them; Access comes last.
// Actions an application registered are not in it, see Registered.
func Catalogue() []ActionGroup {
	panic("soon")
}

// Register declares actions of the application's own, so that filters offer them before the first
// one is recorded. It panics on one that is not entity:verb.
func Register(actions ...Action) { panic("soon") }

// Registered lists what Register declared, in alphabetical order.
func Registered() []Action { panic("soon") }
