package aws

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Rights are what roles are granted: by function and action, the resources.
type rights map[string]map[string][]string

// readRights reads the rights of the functions' code. A test in infra holds the file to be what
// the synthesized policies grant.
func readRights() (rights, error) {
	data, err := os.ReadFile("../../infra/testdata/permissions.json")
	if err != nil {
		return nil, err
	}
	var r rights
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read permissions.json: %w", err)
	}
	return r, nil
}

// allow tells whether IAM would let the function do this. In a resource, * stands for any text.
func (r rights) allow(function, action, resource string) bool {
	return slices.ContainsFunc(r[function][action], func(pattern string) bool {
		expression := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
		return regexp.MustCompile("^" + expression + "$").MatchString(resource)
	})
}

// unlike names each action that was called without being granted, and each that is granted and
// that nobody called.
func (r rights) unlike(called map[string]map[string]int) []string {
	var out []string
	for function, actions := range called {
		for action, n := range actions {
			if len(r[function][action]) == 0 {
				out = append(out, fmt.Sprintf("%s called %s %d times and is not granted it", function, action, n))
			}
		}
	}
	for function, actions := range r {
		for action := range actions {
			if called[function][action] == 0 {
				out = append(out, fmt.Sprintf("%s is granted %s and did not call it", function, action))
			}
		}
	}
	slices.Sort(out)
	return out
}
