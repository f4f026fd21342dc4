package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A Config is what a platform team writes down, in stepcanary.json: one engine in one account and
// region, the clusters that it may reach, and one pipeline for each service.
type Config struct {
	// Name begins the name of everything that is made, so that two engines can live
	// side by side. Default: stepcanary.
	Name string `json:"name"`
	// Account is the AWS account's number, Region its region.
	Account string `json:"account"`
	Region  string `json:"region"`
	// Clusters are the EKS clusters of that account and region.
	Clusters []Cluster `json:"clusters"`
	// Services get a pipeline each. May be empty: rollouts can be started by hand.
	Services []Service `json:"services"`
	// Metrics completes the field metrics of every deploy.json, and is checked by the engine. Its
	// auth_addresses are where a deploy.json may have a secret of Secrets or signed requests sent, beside its address.
	Metrics json.RawMessage `json:"metrics"`
	// Workspaces are the ARNs of the Amazon Managed Prometheus workspaces to ask, Secrets those of
	// the secrets that the field metrics of deploy.json files refers to.
	Workspaces []string `json:"workspaces"`
	Secrets    []string `json:"secrets"`
	// Hooks says where webhooks and notifications may go beyond public addresses, and is checked by
	// the engine: {"allow_private": true}. HookSecrets are the ARNs of the secrets that they refer to.
	Hooks       json.RawMessage `json:"hooks"`
	HookSecrets []string        `json:"hook_secrets"`
	// MetricRoles are the ARNs of the roles that metrics.auth.sigv4.role of a deploy.json may name.
	MetricRoles []string `json:"metric_roles"`
	// Network puts the functions into a VPC, for clusters with a private endpoint.
	Network *Network `json:"network"`
	// EncryptionKey is empty for keys that AWS owns, "create" for one of our own, or a key's ARN.
	EncryptionKey string `json:"encryption_key"`
	// PermissionsBoundary is the ARN of a policy that bounds every role.
	PermissionsBoundary string `json:"permissions_boundary"`
	// LogDays is how long logs are kept, in days. Default: 30.
	LogDays int `json:"log_days"`
	// Emails are told of every end of a rollout and of every alarm.
	Emails []string `json:"emails"`
}

// A Cluster is an EKS cluster that the engine may reach.
type Cluster struct {
	Name string `json:"name"`
	// AccessEntry false leaves the access entries to somebody else.
	AccessEntry *bool `json:"access_entry"`
}

// A Network is a VPC's part that reaches the clusters' endpoints.
type Network struct {
	Subnets        []string `json:"subnets"`
	SecurityGroups []string `json:"security_groups"`
}

// A Service is a source that becomes rollouts: one pipeline.
type Service struct {
	// Name is the service's microservice_name.
	Name string `json:"name"`
	// Repository is a CodeCommit repository's name or, with Connection, OWNER/NAME.
	Repository string `json:"repository"`
	// Connection is the ARN of a CodeConnections connection; empty means CodeCommit.
	Connection string `json:"connection"`
	// Branch starts the pipeline. Default: main.
	Branch string `json:"branch"`
	// Folder holds deploy.json, kubernetes_template.yml and build.yml. Default: specfiles.
	Folder string `json:"folder"`
	// Approval asks a person before each rollout.
	Approval bool `json:"approval"`
	// Architecture of the build machine and so of the image: amd64 (default) or arm64.
	Architecture string `json:"architecture"`
}

// ReadConfig reads and checks a configuration and fills in the defaults.
func ReadConfig(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := parseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("check configuration %s: %w", path, err)
	}
	return c, nil
}

func parseConfig(data []byte) (Config, error) {
	var c Config
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("line %d: %w", lineOf(data, d, err), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("line %d: found more after the object, expected the end", lineOf(data, d, nil))
	}
	c.complete()
	return c, c.check()
}

// lineOf tells in which line decoding stopped.
func lineOf(data []byte, d *json.Decoder, err error) int {
	at := d.InputOffset()
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
	case err != nil && strings.Contains(err.Error(), "unknown field"):
		name := err.Error()[strings.Index(err.Error(), `"`):]
		at = int64(max(0, bytes.Index(data, []byte(name))))
	}
	return 1 + bytes.Count(data[:min(at, int64(len(data)))], []byte("\n"))
}

func (c *Config) complete() {
	orElse(&c.Name, "stepcanary")
	if c.LogDays == 0 {
		c.LogDays = 30
	}
	for i := range c.Services {
		s := &c.Services[i]
		orElse(&s.Branch, "main")
		orElse(&s.Folder, "specfiles")
		orElse(&s.Architecture, "amd64")
	}
}

func orElse(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// Entered tells whether the engine makes its own access entries in the cluster.
func (c Cluster) Entered() bool { return c.AccessEntry == nil || *c.AccessEntry }
