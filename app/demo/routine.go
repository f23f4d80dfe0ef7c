package demo

import (
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// routine plans what happens by itself on a day (UTC): the automations, and who works when.
func (w *world) routine(day time.Time) {
	weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
	for _, p := range w.people {
		w.workday(p, day)
	}
	w.planAutoscaling(day, weekend)
	w.at(day.Add(3*time.Hour+w.minutes(0, 10)), func() { w.nightlyScans() })
	w.at(day.Add(4*time.Hour+w.minutes(0, 10)), func() { w.removePreviews(0.4) })
	if w.chance(0.25) {
		w.at(day.Add(w.minutes(0, 23*60)), func() {
			s := w.service("web-dashboard")
			w.renewCertificate(s, pick(w, s.domains), "expiring")
		})
	}
	if w.chance(0.2) {
		w.at(day.Add(6*time.Hour+w.minutes(0, 600)), func() { editInstallationBySystem(w) })
	}
	if day.Weekday() == time.Tuesday || day.Weekday() == time.Thursday {
		w.at(day.Add(13*time.Hour+w.minutes(0, 20)), func() { w.releaseTrain(w.person(pick(w, []string{jonas, lucas, daniel}))) })
	}
	if weekend { // whoever is on call looks in
		for range w.between(1, 4) {
			w.at(day.Add(9*time.Hour+w.minutes(0, 600)), func() {
				p := w.person(pick(w, []string{lucas, daniel}))
				w.signIn(p)
				w.after(9*time.Minute, func() { w.choose(p.duties)(w, p) })
			})
		}
		for range w.between(2, 6) { // dependency updates merge by themselves
			w.at(day.Add(2*time.Hour+w.minutes(0, 1200)), func() { merge(w, w.person(priya)) })
		}
	}
}

// planAutoscaling scales up where traffic rises and down where it falls.
func (w *world) planAutoscaling(day time.Time, weekend bool) {
	waves := w.between(3, 5)
	if weekend {
		waves = w.between(1, 3)
	}
	for range waves {
		name := pick(w, []string{"tracking-api", "event-ingest", "web-dashboard", "webhook-relay", "rate-engine", "eta-predictor"})
		rises := day.Add(6*time.Hour + w.minutes(0, 11*60))
		falls := rises.Add(w.minutes(25, 240))
		w.at(rises, func() { w.autoscale(name, +w.between(1, 4)) })
		w.at(falls, func() { w.autoscale(name, -w.between(1, 4)) })
	}
}

func (w *world) autoscale(name string, by int) {
	s := w.service(name)
	before, _ := s.settings["replicas"].(int)
	after := min(max(before+by, 2), 14)
	if after == before {
		return
	}
	s.settings["replicas"] = after
	details := s.context()
	details["cpu_percent"] = w.between(74, 93)
	details["reason"] = "CPU above 70 % for five minutes"
	if after < before {
		details["cpu_percent"] = w.between(9, 28)
		details["reason"] = "CPU below 30 % for fifteen minutes"
	}
	w.recordChange(w.auto("autoscaler"), action.ServiceUpdate, s.entity(), changes{"replicas": {Before: before, After: after}}, details)
}

// nightlyScans has a few services scanned.
func (w *world) nightlyScans() {
	for range w.between(2, 4) {
		s := pick(w, w.applications())
		w.after(w.minutes(1, 40), func() { w.scan(w.auto("scheduler"), s) })
	}
}

// editInstallationBySystem is a change made on GitHub, which tells of it.
func editInstallationBySystem(w *world) {
	w.recordChange(w.auto("github-webhook"), action.GitHubInstallationUpdate, githubInstallation(), changes{
		"permissions.checks": {Before: pick(w, []string{"read", "none"}), After: "write"}}, metadata{"account": "northwind"})
}
