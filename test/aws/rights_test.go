package aws

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRights(t *testing.T) {
	r := rights{"hold": {
		"eks:DescribeCluster":      {"arn:aws:eks:eu-west-1:1:cluster/demo"},
		"states:DescribeExecution": {"arn:aws:states:eu-west-1:1:execution:stepcanary:*"},
	}}
	for name, tt := range map[string]struct {
		function, action, resource string
		want                       bool
	}{
		"granted":                 {"hold", "eks:DescribeCluster", "arn:aws:eks:eu-west-1:1:cluster/demo", true},
		"any execution":           {"hold", "states:DescribeExecution", "arn:aws:states:eu-west-1:1:execution:stepcanary:x", true},
		"another cluster":         {"hold", "eks:DescribeCluster", "arn:aws:eks:eu-west-1:1:cluster/demo2", false},
		"another machine's":       {"hold", "states:DescribeExecution", "arn:aws:states:eu-west-1:1:execution:other:x", false},
		"another action":          {"hold", "eks:ListClusters", "arn:aws:eks:eu-west-1:1:cluster/demo", false},
		"another function":        {"promote", "eks:DescribeCluster", "arn:aws:eks:eu-west-1:1:cluster/demo", false},
		"a dot is not any letter": {"hold", "eks:DescribeCluster", "arn:aws:eks:eu-west-1:1:cluster-demo", false},
	} {
		if got := r.allow(tt.function, tt.action, tt.resource); got != tt.want {
			t.Errorf("%s: allow = %v, want %v", name, got, tt.want)
		}
	}
	called := map[string]map[string]int{"hold": {"eks:DescribeCluster": 1, "sts:AssumeRole": 2}, "promote": {}}
	if diff := cmp.Diff([]string{
		"hold called sts:AssumeRole 2 times and is not granted it",
		"hold is granted states:DescribeExecution and did not call it",
	}, r.unlike(called)); diff != "" {
		t.Errorf("unlike (-want +got):\n%s", diff)
	}
}

// Rights that are held against calls are those of every function there is.
func TestEveryFunctionHasItsRights(t *testing.T) {
	folders, err := filepath.Glob("../../lambdas/*/main.go")
	if err != nil || len(folders) == 0 {
		t.Fatal(folders, err)
	}
	var functions []string
	for _, f := range folders {
		functions = append(functions, filepath.Base(filepath.Dir(f)))
	}
	r, err := readRights()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(functions, slices.Sorted(maps.Keys(r))); diff != "" {
		t.Errorf("functions (-there are +with rights):\n%s", diff)
	}
}
