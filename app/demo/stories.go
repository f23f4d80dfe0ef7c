package demo

import (
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// stagingDatabase is what the first story is about.
const stagingDatabase = "staging-database"

// onDay puts something on the agenda for so many days ago, at a time of day in UTC.
func (w *world) onDay(ago, hour, minute int, do func()) {
	w.at(w.dayAgo(ago).Add(time.Duration(hour)*time.Hour+time.Duration(minute)*time.Minute+w.minutes(0, 1)), do)
}

// onWeekday is onDay for the latest such day of the week that is at least so many days ago.
func (w *world) onWeekday(weekday time.Weekday, ago, hour, minute int, do func()) {
	for w.dayAgo(ago).Weekday() != weekday {
		ago++
	}
	w.onDay(ago, hour, minute, do)
}

// dayAgo is the midnight (UTC) that began so many days before the log was filled.
func (w *world) dayAgo(days int) time.Time {
	return w.anchor.UTC().Truncate(24*time.Hour).AddDate(0, 0, -days)
}

// stories are what is worth finding among the everyday.
func (w *world) stories() {
	w.theDeletedDatabase()
	w.theBadDeployment()
	w.theRefusedSignIns()
	w.theFailedScan()
	w.theNightOnCall()
	w.theNewColleague()
	w.theSandbox()
	w.theIntegrations()
	w.theSharedView()
	w.theSubscriptions()
	w.theNewService()
	w.theDelayedDeliveries()
	w.theAPIKeys()
	w.theAuditSettings()
	w.theSecretsKept()
	w.theAgents()
	w.theCloud()
}

// theDeletedDatabase: who deleted the staging database on Friday? There are two Daniel Kims.
func (w *world) theDeletedDatabase() {
	contractor, onCall := w.person(dkim), w.person(lucas)
	friday := func(hour, minute int, do func()) { w.onWeekday(time.Friday, 1, hour, minute, do) }
	friday(16, 31, func() {
		s := w.service(stagingDatabase)
		w.recordChange(w.as(contractor), action.ServiceUpdate, s.entity(), changes{"deletion_protection": {Before: true, After: false}}, s.context())
	})
	friday(16, 47, func() {
		s := w.service(stagingDatabase)
		details := s.context()
		details["reason"] = "cleaning up unused services"
		details["forced"] = true
		details["attached_volumes"] = 2
		w.record(w.as(contractor), action.ServiceDelete, s.entity(), details)
		w.removeService(s)
	})
	friday(16, 58, func() {
		w.setWorkflow(w.auto("scheduler"), w.workflows[1], false, "target staging-database not found")
	})
	friday(17, 24, func() {
		restored := w.newService(stagingDatabase, w.projects[4])
		w.services = append(w.services, restored)
		details := restored.context()
		details["restored_from"] = "backup of 03:00 UTC"
		w.record(w.as(onCall), action.ServiceCreate, restored.entity(), details)
	})
	friday(17, 41, func() { w.setWorkflow(w.as(onCall), w.workflows[1], true, "") })
	friday(18, 2, func() {
		w.recordChange(w.as(w.person(maya)), action.MemberRoleUpdate, contractor.asMember(),
			changes{"role": {Before: accounts.RoleAdmin, After: accounts.RoleMember}}, nil)
	})
}

// theBadDeployment: prices were wrong for half an hour, until the deployment was rolled back.
func (w *world) theBadDeployment() {
	author, operator := w.person(tomasz), w.person(daniel)
	day := func(hour, minute int, do func()) { w.onWeekday(time.Wednesday, 4, hour, minute, do) }
	var bad, queued deployment
	day(13, 12, func() {
		s := w.service("rate-engine")
		bad = w.newDeployment(s, "production", "main")
		details := bad.context()
		details["build"], details["trigger"], details["commit_author"] = bad.build, "manual", author.name
		details["commit_message"] = "Read surcharges from the new tariff table"
		w.record(w.as(author), action.DeploymentCreate, bad.entity(), details)
		s.previous, s.current = s.current, bad
	})
	day(13, 21, func() { w.autoscale("rate-engine", 5) })
	day(13, 33, func() {
		queued = w.newDeployment(w.service("rate-engine"), "production", "main")
		details := queued.context()
		details["build"], details["trigger"] = queued.build, "push"
		w.record(w.auto("github-webhook"), action.DeploymentCreate, queued.entity(), details)
	})
	day(13, 36, func() {
		details := queued.context()
		details["reason"] = "hold deployments until rates are right again"
		w.record(w.as(operator), action.DeploymentCancel, queued.entity(), details)
	})
	day(13, 41, func() {
		w.rollback(w.as(operator), bad, "12 % of quotes without surcharge since 13:12 UTC")
	})
	day(13, 44, func() { w.autoscale("rate-engine", -5) })
	day(15, 20, func() { w.deploy(w.as(author), w.service("rate-engine"), author) })
}

// theRefusedSignIns: somebody tried one account's password again and again.
func (w *world) theRefusedSignIns() {
	victim := w.person(maya)
	for i := range 14 {
		w.onDay(5, 3, 12+i/2, func() {
			stranger := audit.Request{IP: "192.0.2.201", UserAgent: "python-requests/2.32.3", ID: w.id("req_", 20)}
			w.record(hand{actor: victim.actor(), request: stranger}, action.UserSignInRefused, victim.entity(), metadata{"reason": "wrong password"})
		})
	}
	helper := w.person(olivia)
	w.onDay(5, 6, 27, func() { w.record(w.as(helper), action.UserPasswordResetLink, victim.entity(), nil) })
	w.onDay(5, 6, 30, func() { // it was sent to a namesake
		w.record(w.as(helper), action.UserPasswordResetLinkRevoke, victim.entity(), metadata{"reset_link": "rst_" + w.hex(64)})
	})
	w.onDay(5, 6, 31, func() { w.record(w.as(helper), action.UserPasswordResetLink, victim.entity(), nil) })
	w.onDay(5, 6, 38, func() {
		w.record(w.as(victim), action.UserPasswordReset, victim.entity(), metadata{"via": "reset link", "link_made_by": helper.facts()})
	})
	w.onDay(5, 6, 40, func() { w.signIn(victim) })
	w.onDay(5, 9, 3, func() {
		w.record(w.as(victim), action.UserPasswordChangeRefused, victim.entity(), metadata{"reason": "wrong password"})
	})
	w.onDay(5, 9, 4, func() { w.record(w.as(victim), action.UserPasswordChange, victim.entity(), nil) })
	w.onDay(5, 17, 20, func() {
		w.record(w.as(victim), action.UserSessionEnd, victim.entity(), metadata{"all_others": true, "sessions": 2})
	})
	w.onDay(5, 6, 52, func() {
		w.record(w.as(victim), action.AuditLogExport, w.logEntity(), metadata{"format": "csv",
			"filters": "action=user%3Asign_in_refused"})
	})
}

// theFailedScan: two scans fail until somebody changes the configuration.
func (w *world) theFailedScan() {
	guard := w.person(kenji)
	for _, try := range []int{0, 25} {
		w.onDay(4, 5, 10+try, func() {
			s := w.service("customs-documents")
			details := s.context()
			details["scan_id"] = w.id("scan_", 10)
			w.record(w.as(guard), action.ServiceAIScanStart, s.entity(), details)
			failed := s.context()
			failed["scan_id"] = details["scan_id"]
			failed["error"] = "model quota exceeded"
			failed["retry_after_seconds"] = 3600
			w.after(5*time.Minute, func() { w.record(w.auto("ai-scanner"), action.ServiceAIScanFail, s.entity(), failed) })
		})
	}
	w.onDay(4, 6, 2, func() {
		w.recordChange(w.as(w.person(maya)), action.OrganizationAIConfigUpdate, w.organizationEntity(), changes{
			"scans_per_day":  {Before: 25, After: 60},
			"fallback_model": {Before: nil, After: "small"},
		}, metadata{"requested_by": guard.name})
	})
	w.onDay(4, 6, 15, func() {
		s := w.service("customs-documents")
		details := s.context()
		details["scan_id"] = w.id("scan_", 10)
		w.record(w.as(guard), action.ServiceAIScanStart, s.entity(), details)
		found := s.context()
		found["scan_id"], found["files_scanned"] = details["scan_id"], 412
		found["findings"] = metadata{"critical": 1, "high": 0, "medium": 3, "low": 9}
		w.after(9*time.Minute, func() { w.record(w.auto("ai-scanner"), action.ServiceAIScanComplete, s.entity(), found) })
	})
}

// theNightOnCall: the carrier network is down at night, and Lucas is awake.
func (w *world) theNightOnCall() {
	night := w.person(lucas)
	w.onDay(19, 0, 52, func() { w.autoscale("carrier-sync", 6) })
	w.onDay(19, 0, 58, func() { w.autoscale("webhook-relay", 4) })
	w.onDay(19, 1, 6, func() {
		by := w.as(night)
		by.request.UserAgent, by.request.IP = iphoneSafari, night.homeIP
		w.record(by, action.UserSignIn, night.entity(), nil)
	})
	for i, field := range []string{"request_timeout_seconds", "replicas", "log_level", "memory_mb", "request_timeout_seconds"} {
		w.onDay(19, 1, 9+i*6, func() {
			s := w.service("carrier-sync")
			w.recordChange(w.as(night), action.ServiceUpdate, s.entity(), w.alter(s.settings, field), s.context())
		})
	}
	w.onDay(19, 1, 22, func() {
		c := w.channels[1]
		w.recordChange(w.as(night), action.NotificationChannelUpdate, c.entity(), w.alter(c.settings, "events"), nil)
	})
	w.onDay(19, 1, 47, func() { w.setWorkflow(w.as(night), w.workflows[2], false, "no releases while the carrier is down") })
	w.onDay(19, 2, 11, func() {
		s := w.service("carrier-sync")
		w.rollback(w.as(night), s.current, "connection pool exhausted")
	})
	w.onDay(19, 2, 35, func() { w.autoscale("carrier-sync", -6) })
	w.onDay(19, 7, 5, func() { w.setWorkflow(w.as(night), w.workflows[2], true, "") })
}

// theNewColleague: one joins, one leaves.
func (w *world) theNewColleague() {
	admin, joiner := w.person(maya), w.person(amara)
	invitation := entity{"member", "inv_" + w.hex(64), joiner.email, ""}
	w.onDay(joiner.joined+2, 9, 14, func() {
		w.record(w.as(admin), action.MemberInvite, invitation, metadata{
			"role": accounts.RoleMember, "expires_at": w.now.AddDate(0, 0, 7).Format(time.RFC3339)})
	})
	w.at(w.joinedAt(joiner), func() {
		w.record(w.as(joiner), action.MemberJoin, joiner.asMember(), metadata{
			"role": accounts.RoleMember, "invitation": invitation.id, "invited_by": admin.id, "link_made_by": admin.facts()})
	})
	w.onDay(70, 15, 45, func() {
		w.record(w.as(admin), action.MemberRemove, entity{"member", w.id("usr_", 26), "Erik Solberg", ""},
			metadata{"role": accounts.RoleMember, "left": false})
	})
}

// theAuditSettings is what was done to the log itself: retention was 180 days once, and one evening
// somebody switched the log off for a while.
func (w *world) theAuditSettings() {
	decide := func(ago, hour, minute int, email string, to models.AuditSettings) {
		w.onDay(ago, hour, minute, func() { w.decide(w.person(email), to) })
	}
	decide(300, 10, 12, maya, models.AuditSettings{RetentionDays: 180, LoggingEnabled: true})
	decide(64, 13, 37, maya, models.AuditSettings{RetentionDays: 90, LoggingEnabled: true})
	decide(31, 20, 4, olivia, models.AuditSettings{RetentionDays: 90, LoggingEnabled: false})
	decide(31, 20, 46, maya, models.AuditSettings{RetentionDays: 90, LoggingEnabled: true})
}

// theSecretsKept: while a leak was looked into, members did not see who did what with secrets.
func (w *world) theSecretsKept() {
	members, secrets := entity{"role", string(accounts.RoleMember), "", ""}, []string{"secret:*"}
	restrict := func(ago, hour, minute int, before, after []string) {
		w.onDay(ago, hour, minute, func() {
			w.recordChange(w.as(w.person(maya)), action.RoleRestrict, members, changes{"hidden_actions": {Before: before, After: after}}, nil)
		})
	}
	restrict(47, 9, 24, []string{}, secrets)
	restrict(44, 15, 3, secrets, []string{})
}
