package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	engineName   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,29}$`)
	accountID    = regexp.MustCompile(`^[0-9]{12}$`)
	regionName   = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	clusterName  = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
	serviceName  = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	branchName   = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._/-]{0,254}$`)
	folderName   = regexp.MustCompile(`^[0-9A-Za-z._-]+(/[0-9A-Za-z._-]+)*$`)
	codeCommit   = regexp.MustCompile(`^[0-9A-Za-z._-]{1,100}$`)
	ownerAndName = regexp.MustCompile(`^[0-9A-Za-z._-]+(/[0-9A-Za-z._-]+)+$`)
	subnetID     = regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`)
	groupID      = regexp.MustCompile(`^sg-[0-9a-f]{8,17}$`)
	email        = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)
	roleARN      = regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]{12}:role/[0-9A-Za-z+=,.@_/-]+$`)
	boundary     = regexp.MustCompile(`^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$`)
)

// logDays are the retentions that CloudWatch Logs knows, as PutRetentionPolicy lists them.
var logDays = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// problems collects what is wrong, each with its path, so that one run tells all of it.
type problems []error

func (p *problems) add(path, found, want string) {
	*p = append(*p, fmt.Errorf("%s: found %s, expected %s", path, found, want))
}

func (p *problems) match(path, value, want string, re *regexp.Regexp) {
	if !re.MatchString(value) {
		p.add(path, fmt.Sprintf("%q", value), want)
	}
}

// arn checks a resource's ARN, and that it is of this account and region.
func (p *problems) arn(path, value, service string, c *Config) {
	parts := strings.SplitN(value, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] != c.partition() || parts[2] != service || parts[3] != c.Region ||
		parts[4] != c.Account || strings.ContainsAny(parts[5], "*?") {
		p.add(path, fmt.Sprintf("%q", value),
			fmt.Sprintf("an ARN of service %s in account %s and region %s, without wildcards", service, c.Account, c.Region))
	}
}

func (c *Config) check() error {
	var p problems
	p.match("name", c.Name, "a lower-case letter, then up to 29 of a-z, 0-9 and -", engineName)
	p.match("account", c.Account, "an account's 12 digits", accountID)
	p.match("region", c.Region, "a region such as eu-west-1", regionName)
	c.checkClusters(&p)
	for i := range c.Services {
		c.checkService(&p, i)
	}
	for i, a := range c.Workspaces {
		p.arn(fmt.Sprintf("workspaces[%d]", i), a, "aps", c)
	}
	for i, a := range c.Secrets {
		p.arn(fmt.Sprintf("secrets[%d]", i), a, "secretsmanager", c)
	}
	for i, a := range c.HookSecrets {
		p.arn(fmt.Sprintf("hook_secrets[%d]", i), a, "secretsmanager", c)
	}
	for i, a := range c.MetricRoles {
		p.match(fmt.Sprintf("metric_roles[%d]", i), a, "a role's ARN, without wildcards", roleARN)
	}
	for i, a := range c.Emails {
		p.match(fmt.Sprintf("emails[%d]", i), a, "an e-mail address", email)
	}
	c.checkRest(&p)
	return errors.Join(p...)
}

func (c *Config) checkClusters(p *problems) {
	if len(c.Clusters) == 0 {
		p.add("clusters", "none", "at least one EKS cluster")
	}
	seen := map[string]bool{}
	for i, k := range c.Clusters {
		path := fmt.Sprintf("clusters[%d].name", i)
		p.match(path, k.Name, "an EKS cluster's name", clusterName)
		if seen[k.Name] {
			p.add(path, fmt.Sprintf("%q twice", k.Name), "each cluster once")
		}
		seen[k.Name] = true
	}
}

func (c *Config) checkService(p *problems, i int) {
	s, path := c.Services[i], fmt.Sprintf("services[%d].", i)
	p.match(path+"name", s.Name, "a service's name: a-z, 0-9 and -, at most 63", serviceName)
	for _, other := range c.Services[:i] {
		if other.Name == s.Name {
			p.add(path+"name", fmt.Sprintf("%q twice", s.Name), "each service once")
		}
	}
	if s.Connection == "" {
		p.match(path+"repository", s.Repository, "a CodeCommit repository's name (or OWNER/NAME with connection)", codeCommit)
	} else {
		p.match(path+"repository", s.Repository, "OWNER/NAME", ownerAndName)
		if part := strings.SplitN(s.Connection, ":", 4); len(part) == 4 && part[2] == "codestar-connections" {
			p.arn(path+"connection", s.Connection, "codestar-connections", c)
		} else {
			p.arn(path+"connection", s.Connection, "codeconnections", c)
		}
	}
	p.match(path+"branch", s.Branch, "a branch's name", branchName)
	if !folderName.MatchString(s.Folder) || slices.Contains(strings.Split(s.Folder, "/"), "..") {
		p.add(path+"folder", fmt.Sprintf("%q", s.Folder), "a folder inside the repository, without .. and no / at its ends")
	}
	if s.Architecture != "amd64" && s.Architecture != "arm64" {
		p.add(path+"architecture", fmt.Sprintf("%q", s.Architecture), "amd64 or arm64")
	}
}

func (c *Config) checkRest(p *problems) {
	if len(c.Metrics) > 0 {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(c.Metrics, &m); err != nil {
			p.add("metrics", string(c.Metrics), "an object, as the field metrics of deploy.json")
		}
	}
	if len(c.Hooks) > 0 {
		d := json.NewDecoder(bytes.NewReader(c.Hooks))
		d.DisallowUnknownFields()
		if err := d.Decode(&struct {
			Private bool `json:"allow_private"`
		}{}); err != nil {
			p.add("hooks", string(c.Hooks), `{"allow_private": true} or {"allow_private": false}`)
		}
	}
	if n := c.Network; n != nil {
		if len(n.Subnets) == 0 || len(n.SecurityGroups) == 0 {
			p.add("network", fmt.Sprintf("%d subnets and %d security_groups", len(n.Subnets), len(n.SecurityGroups)), "at least one of each")
		}
		for i, s := range n.Subnets {
			p.match(fmt.Sprintf("network.subnets[%d]", i), s, "a subnet's id", subnetID)
		}
		for i, s := range n.SecurityGroups {
			p.match(fmt.Sprintf("network.security_groups[%d]", i), s, "a security group's id", groupID)
		}
	}
	if c.EncryptionKey != "" && c.EncryptionKey != "create" {
		p.arn("encryption_key", c.EncryptionKey, "kms", c)
	}
	if c.PermissionsBoundary != "" {
		p.match("permissions_boundary", c.PermissionsBoundary, "a managed policy's ARN", boundary)
	}
	if !slices.Contains(logDays, c.LogDays) {
		p.add("log_days", fmt.Sprint(c.LogDays), fmt.Sprintf("one of %v", logDays))
	}
}
