package main

import (
	"sync"
	"testing"
)

// TestE2E runs the scenarios, several at a time however few CPUs there are:
// what takes them long is waiting, mostly for sends in doubt. One alone:
// -run 'TestE2E/Kills'.
func TestE2E(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 5)
	var scenarios sync.WaitGroup
	defer scenarios.Wait()
	// The longest come first.
	for _, s := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Kills", e2eKills},
		{"FlappingPort", e2eFlappingPort},
		{"Hangs", e2eHangs},
		{"SwappedPorts", e2eSwappedPorts},
		{"Budgets", e2eBudgets},
		{"Frozen", e2eFrozen},
		{"Ser2netRaw", e2eSer2netRaw},
		{"Ser2netTelnet", e2eSer2netTelnet},
		{"DoubtEndsByCode", e2eDoubtEndsByCode},
		{"Unplugged", e2eUnplugged},
		{"AllModemsDie", e2eAllModemsDie},
		{"Story", e2eStory},
		{"DoubtEndsByReport", e2eDoubtEndsByReport},
		{"StubbornClients", e2eStubbornClients},
		{"ReportsAfterRestart", e2eReportsAfterRestart},
		{"KilledStarts", e2eKilledStarts},
		{"Reports", e2eReports},
		{"NothingIsGivenAway", e2eNothingIsGivenAway},
		{"StopInTheAir", e2eStopInTheAir},
		{"Reload", e2eReload},
		{"Routes", e2eRoutes},
		{"Renumbered", e2eRenumbered},
		{"OnePortForTwo", e2eOnePortForTwo},
		{"FullDisk", e2eFullDisk},
		{"NoModem", e2eNoModem},
		{"GuessesOverKill", e2eGuessesOverKill},
		{"RefusedStarts", e2eRefusedStarts},
	} {
		slots <- struct{}{}
		scenarios.Go(func() {
			defer func() { <-slots }()
			t.Run(s.name, s.run)
		})
	}
}
