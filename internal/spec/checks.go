package spec

import (
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// checks are the rules that concern several fields, and those that a schema
// cannot say.
type checks struct {
	source
	spec     Spec
	problems Errors
}

func (c *checks) run() Errors {
	c.steps()
	c.image()
	c.template()
	c.limits()
	c.comparison()
	c.metrics()
	c.matches()
	c.webhooks()
	c.notifications()
	c.autoscaler()
	if len(c.problems) == 0 {
		c.budget()
	}
	if len(c.problems) == 0 {
		// What only the judge itself knows. It names the setting, not its place.
		if err := c.spec.Policy().Validate(); err != nil {
			c.problems = append(c.problems, c.whole("analysis", "a policy that cannot judge: "+err.Error(), ""))
		}
	}
	return c.problems
}

// add complains about the value at a place, or about what stands above it where
// the document does not have it.
func (c *checks) add(want string, keys ...string) {
	node, key := find(c.docs[0], keys)
	found := describe(node)
	if key == nil && !isIndex(keys[len(keys)-1]) {
		found = "nothing"
	}
	c.problems = append(c.problems, c.at(node, place(keys).String(), found, want))
}

func isIndex(key string) bool {
	_, err := strconv.Atoi(key)
	return err == nil
}

func (c *checks) has(keys ...string) bool {
	_, key := find(c.docs[0], keys)
	return key != nil
}

func (c *checks) steps() {
	listed, linear := c.has("steps"), c.has("percentage_step")
	switch {
	case listed && linear:
		_, key := find(c.docs[0], place{"percentage_step"})
		c.problems = append(c.problems, c.at(key, "percentage_step", "the field beside steps", "one of the two"))
	case !listed && !linear && c.spec.Strategy == Canary:
		c.add("percentage_step, or a list of steps", "percentage_step")
	}
	last := rollout.Weight(0)
	for i, s := range c.spec.Steps {
		at := []string{"steps", strconv.Itoa(i)}
		if c.has(append(at, "weight")...) {
			at = append(at, "weight")
		}
		if s.Weight <= last {
			c.add(fmt.Sprintf("a weight above %d, the step before", last), at...)
		}
		if last = s.Weight; i == len(c.spec.Steps)-1 && last < 100 {
			c.add("100 as the last step", at...)
		}
		if hold := []string{"steps", strconv.Itoa(i), "hold"}; last == 100 && c.has("bake") && c.has(hold...) && s.Hold != c.spec.Bake {
			c.add(fmt.Sprintf("%v, which bake says, or no hold", c.spec.Bake), hold...)
		}
	}
	if c.spec.PauseLimit == 0 && c.asksPeople() {
		c.add("a time above 0, in which a person can answer: an approval is asked for", "pause_limit")
	}
	if c.spec.Pace == ByEvidence && c.spec.Analysis.Compare.Off {
		c.add("the comparison, because pace is evidence", "analysis", "compare")
	}
	if c.spec.Pace == ByEvidence && c.spec.LongestStep < c.spec.WaitTime {
		c.add(fmt.Sprintf("at least wait_time, %v", c.spec.WaitTime), "longest_step")
	}
}

// asksPeople tells whether a person is ever waited for.
func (c *checks) asksPeople() bool {
	return c.spec.OnUndecided == rollout.UndecidedAsks || slices.ContainsFunc(c.spec.Steps, func(s rollout.Step) bool { return s.Approve })
}

func (c *checks) image() {
	if !c.has("container_image") {
		return
	}
	if want := imageProblem(c.spec.Image); want != "" {
		c.add(want, "container_image")
	}
}

func (c *checks) template() {
	if !c.has("config_file") {
		return
	}
	node, _ := find(c.docs[0], place{"config_file"})
	if data, err := decodeTemplate(c.spec.ConfigFile); err != nil {
		c.problems = append(c.problems, c.at(node, "config_file", err.Error(), "base64 of kubernetes_template.yml"))
	} else if len(data) == 0 {
		c.problems = append(c.problems, c.at(node, "config_file", "an empty template", "base64 of kubernetes_template.yml"))
	}
}

// decodeTemplate reads base64 as the ancestor's build made it: lines of 76
// columns with line breaks in between.
func decodeTemplate(text string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fmt.Errorf("text that is no base64 (%w)", err)
	}
	return data, nil
}

func (c *checks) comparison() {
	a := c.spec.Analysis
	judges := slices.ContainsFunc(a.Limits, func(l Limit) bool { return !l.Advisory })
	if a.Compare.Off && !judges && !c.spec.CountFailures && c.spec.Strategy != Replace && c.spec.Pace != ByEvidence {
		c.add("a limit that is not advisory, or the comparison: without both nothing is judged, and nothing promoted", "analysis", "compare")
	}
	bounds := c.spec.Analysis.Compare.LatencyBounds
	for i, b := range bounds {
		if b <= 0 || i > 0 && b <= bounds[i-1] {
			c.add("times above 0, rising", "analysis", "compare", "latency_bounds", strconv.Itoa(i))
		}
	}
}

// metrics refuses what the named provider would ignore.
func (c *checks) metrics() {
	only := func(provider string, fields ...string) {
		for _, f := range fields {
			if c.has("metrics", f) && c.spec.Metrics.Provider != "" && c.spec.Metrics.Provider != provider {
				_, key := find(c.docs[0], place{"metrics", f})
				c.problems = append(c.problems, c.at(key, "metrics."+f, "the field beside provider "+c.spec.Metrics.Provider, "it with "+provider+" only"))
			}
		}
	}
	only("prometheus", "address", "auth", "ca", "scrape_interval")
	only("cloudwatch", "namespace", "load_balancer", "target_groups")
	for name, query := range c.spec.Metrics.Query {
		for _, m := range queryVariable.FindAllStringSubmatch(query, -1) {
			if !slices.Contains(queryVariables, m[1]) {
				node, _ := find(c.docs[0], place{"metrics", "query", name})
				c.problems = append(c.problems, c.at(node, "metrics.query."+name, m[0], "one of ${"+strings.Join(queryVariables, "}, ${")+"}"))
			}
		}
	}
}

// matches refuses conditions that no router could take, or that two could read differently.
func (c *checks) matches() {
	for i, m := range c.spec.Match {
		c.once(i, m)
		for kind, conditions := range map[string][]traffic.Header{"headers": m.Headers, "cookies": m.Cookies} {
			for j, h := range conditions {
				at := []string{"match", strconv.Itoa(i), kind, strconv.Itoa(j)}
				if (h.Value == "") == (h.Regex == "") {
					c.add("either value or regex, and not empty", at...)
				}
				if _, err := regexp.Compile(h.Regex); err != nil {
					c.add("a regular expression in the syntax of RE2: "+err.Error(), append(at, "regex")...)
				}
			}
		}
	}
}

// once refuses a header that one entry names twice, as a list of cookies does with the header that carries them all:
// a route takes one condition on each.
func (c *checks) once(i int, m traffic.Match) {
	seen := map[string]bool{"cookie": len(m.Cookies) > 0}
	for j, h := range m.Headers {
		name := strings.ToLower(h.Name)
		if seen[name] {
			c.add("each header once in an entry, Cookie not beside cookies", "match", strconv.Itoa(i), "headers", strconv.Itoa(j), "name")
		}
		seen[name] = true
	}
	if len(m.Cookies) > 1 {
		c.add("one cookie in an entry; a second one in one regex of the header Cookie", "match", strconv.Itoa(i), "cookies")
	}
}

// queryVariables are what queries.Fill fills in.
var (
	queryVariable  = regexp.MustCompile(`\$\{([^}]*)\}?`)
	queryVariables = []string{"CLUSTER", "NAMESPACE", "SERVICE", "ROUTE", "VERSION", "STABLE", "WINDOW"}
)

func (c *checks) budget() {
	b := c.spec.Budget()
	field := "wait_time"
	if len(c.spec.Steps) > 0 {
		field = "steps"
	}
	if b.Longest >= year {
		c.problems = append(c.problems, c.whole(field, fmt.Sprintf("a rollout of up to %s", days(b.Longest)), "less than a year, which is how long Step Functions lets an execution last"))
	}
	if b.Events >= maxEvents {
		c.problems = append(c.problems, c.whole(field, fmt.Sprintf("a rollout of up to %d history events", b.Events), fmt.Sprintf("fewer than %d, the limit of Step Functions: fewer steps, or less hold, patience or pause_limit", maxEvents)))
	}
	if d := time.Duration(c.spec.Deadlines.Rollout); d > 0 && d < b.Shortest {
		c.add(fmt.Sprintf("at least %v, which the plan's holds alone take", b.Shortest), "deadlines", "rollout")
	}
}

func (c *checks) whole(field, found, want string) Problem {
	node, _ := find(c.docs[0], place{field})
	return c.at(node, field, found, want)
}

func days(d time.Duration) string {
	return fmt.Sprintf("%.0f days", math.Ceil(d.Hours()/24))
}
