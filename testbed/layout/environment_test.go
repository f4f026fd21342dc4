package layout

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironmentOfACommand(t *testing.T) {
	got := Environment([]string{"HOME=/h", "AWS_PROFILE=mine", "KUBECONFIG=/other"}, []string{"KUBECONFIG=/bed", "AWS_PROFILE=", "EQ=a=b"})
	if diff := cmp.Diff([]string{"KUBECONFIG=/bed", "EQ=a=b", "HOME=/h"}, got); diff != "" {
		t.Errorf("the bed's values win and its empty ones unset (-want +got):\n%s", diff)
	}
}
