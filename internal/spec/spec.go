package spec

import (
	"encoding/json"

	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// A Spec is deploy.json with its defaults filled in. Make one with Parse or
// Load: the zero Spec has no defaults. What each field means, and in which unit
// it is written, says specfiles/deploy.schema.json.
type Spec struct {
	Cluster               string           `json:"cluster_name"`
	Namespace             string           `json:"kubernetes_namespace"`
	Service               string           `json:"microservice_name"`
	PercentageStep        rollout.Weight   `json:"percentage_step,omitempty"`
	Steps                 []rollout.Step   `json:"steps,omitempty"`
	WaitTime              rollout.Duration `json:"wait_time"`
	FailureThresholdValue float64          `json:"failure_threshold_value"`
	FailureThresholdTime  rollout.Duration `json:"failure_threshold_time"`
	Image                 string           `json:"container_image,omitempty"`
	ConfigFile            string           `json:"config_file,omitempty"`

	Strategy    Strategy            `json:"strategy"`
	Bake        rollout.Duration    `json:"bake"`
	Drain       rollout.Duration    `json:"drain"`
	Queue       rollout.Duration    `json:"queue"`
	Pace        Pace                `json:"pace"`
	LongestStep rollout.Duration    `json:"longest_step"`
	Patience    rollout.Duration    `json:"patience"`
	PauseLimit  rollout.Duration    `json:"pause_limit"`
	OnUndecided rollout.OnUndecided `json:"on_undecided"`

	Analysis  Analysis  `json:"analysis,omitzero"`
	Metrics   Metrics   `json:"metrics,omitzero"`
	Router    Router    `json:"router,omitzero"`
	Deadlines Deadlines `json:"deadlines"`
	Alarms    []string  `json:"alarms,omitempty"`
	// Match are requests that go to the canary whatever its weight.
	Match []traffic.Match `json:"match,omitempty"`
	// Webhooks are asked, Notifications are told.
	Webhooks      []Webhook      `json:"webhooks,omitempty"`
	Notifications []Notification `json:"notifications,omitempty"`
	Autoscaler    Autoscaler     `json:"autoscaler,omitzero"`

	// CountFailures tells that the ancestor's threshold is checked: analysis was
	// absent, or one of the threshold's fields was written.
	CountFailures bool `json:"-"`
	// TemplatePath is the file that ConfigFile was read from; empty where the
	// document itself had it.
	TemplatePath string `json:"-"`
}

// A Strategy is how the new version takes over.
type Strategy string

const (
	// Canary goes step by step and judges.
	Canary Strategy = "canary"
	// Replace switches at once when the new version is ready.
	Replace Strategy = "replace"
)

// A Pace is what ends a step.
type Pace string

const (
	// ByClock ends a step when its time is over.
	ByClock Pace = "clock"
	// ByEvidence ends a step when enough is known.
	ByEvidence Pace = "evidence"
)

// Analysis is what the canary is held against.
type Analysis struct {
	// Written is false where the document has no analysis at all.
	Written          bool             `json:"-"`
	Interval         rollout.Duration `json:"interval"`
	MinRequests      int64            `json:"min_requests"`
	MissingTolerated float64          `json:"missing_tolerated"`
	Limits           []Limit          `json:"limits,omitempty"`
	Compare          Comparison       `json:"compare"`
	SampleRatio      bool             `json:"sample_ratio"`
}

// A Limit is one bound on a number of the canary.
type Limit struct {
	Name                string           `json:"name"`
	Metric              string           `json:"metric"`
	Max                 Bound            `json:"max,omitzero"`
	Min                 Bound            `json:"min,omitzero"`
	Percentile          float64          `json:"percentile"`
	Above               rollout.Duration `json:"above,omitempty"`
	Window              rollout.Duration `json:"window"`
	FailuresAllowed     int              `json:"failures_allowed"`
	InconclusiveAllowed int              `json:"inconclusive_allowed"`
	Advisory            bool             `json:"advisory"`
}

// A Comparison says how the canary is compared with stable. The fields are
// those of analysis.Comparison.
type Comparison struct {
	// Off is what `false` says.
	Off           bool               `json:"-"`
	Tolerated     float64            `json:"tolerated"`
	RollbackAt    float64            `json:"rollback_at"`
	HoldRatio     float64            `json:"hold_ratio"`
	HoldAt        float64            `json:"hold_at"`
	GoodRatio     float64            `json:"good_ratio"`
	GoodAt        float64            `json:"good_at"`
	GoodBelow     float64            `json:"good_below"`
	IgnoreBelow   float64            `json:"ignore_below"`
	ProveBy       int                `json:"prove_by"`
	LatencyBounds []rollout.Duration `json:"latency_bounds,omitempty"`
	Warmup        rollout.Duration   `json:"warmup"`
}

// UnmarshalJSON reads an object, or false.
func (c *Comparison) UnmarshalJSON(data []byte) error {
	if string(data) == "false" {
		*c = Comparison{Off: true}
		return nil
	}
	type fields Comparison
	return json.Unmarshal(data, (*fields)(c))
}

// Metrics says where requests were counted. Empty fields are the engine's to
// fill. Its JSON is what package meters reads.
type Metrics struct {
	Provider  string            `json:"provider,omitempty"`
	Address   string            `json:"address,omitempty"`
	Region    string            `json:"region,omitempty"`
	Namespace string            `json:"namespace,omitempty"`
	Queries   string            `json:"queries,omitempty"`
	Auth      Auth              `json:"auth,omitzero"`
	CA        string            `json:"ca,omitempty"`
	Query     map[string]string `json:"query,omitempty"`

	ScrapeInterval rollout.Duration `json:"scrape_interval,omitempty"`
	Lag            rollout.Duration `json:"lag,omitempty"`

	LoadBalancer string            `json:"load_balancer,omitempty"`
	TargetGroups map[string]string `json:"target_groups,omitempty"`
}

// Auth is how the source knows us: at most one of the three is set.
type Auth struct {
	Bearer SecretRef `json:"bearer,omitempty"`
	Basic  Basic     `json:"basic,omitzero"`
	SigV4  SigV4     `json:"sigv4,omitzero"`
}

// Basic is HTTP basic authentication.
type Basic struct {
	Username string    `json:"username"`
	Password SecretRef `json:"password"`
}

// SigV4 is AWS request signing. Service is empty where it is not asked for.
type SigV4 struct {
	Service string `json:"service"`
	Role    string `json:"role,omitempty"`
}

// A SecretRef is where a secret is, never the secret: env:STEPCANARY_SECRET_NAME or
// the ARN of a secret in AWS Secrets Manager.
type SecretRef string

// Router says what splits the traffic. Empty fields follow from the template.
type Router struct {
	Kind  string `json:"kind,omitempty"`
	Route string `json:"route,omitempty"`
}

// Deadlines are times after which something that did not happen is an error.
type Deadlines struct {
	Ready    rollout.Duration `json:"ready"`
	Observed rollout.Duration `json:"observed"`
	// Rollout is zero where the document says nothing: then Budget.Longest is the limit
	// that the other times make up.
	Rollout rollout.Duration `json:"rollout,omitempty"`
}
