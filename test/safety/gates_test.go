package safety

import (
	"slices"
	"testing"
)

// TestNoReceiverChangesThePath holds that messages are told beside the work: a receiver that fails, or
// never answers, leaves every scenario on its path.
func TestNoReceiverChangesThePath(t *testing.T) {
	for _, s := range slices.Concat(Scenarios, Small) {
		s.Team = ""
		want := Run(s, nil).Path
		for _, s.Team = range []Team{TeamHears, TeamFails, TeamSilent} {
			if r := Run(s, nil); r.Path != want || len(r.Broken) > 0 {
				t.Errorf("scenario %s with a team that %s: path %s, broken %q; want %s", s.Name, s.Team, r.Path, r.Broken, want)
			}
		}
	}
}
