package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Names of what is made are fixed, not left to CloudFormation, so that a policy can name a
// resource that is made after it, and a person can guess it.

func (c *Config) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", c.partition(), service, c.Region, c.Account, resource)
}

// partition is the part of AWS that the region belongs to.
func (c *Config) partition() string {
	switch {
	case strings.HasPrefix(c.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(c.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func (c *Config) stateMachine() string { return c.arn("states", "stateMachine:"+c.Name) }

// executions are all runs of the state machine; they are not known before they start.
func (c *Config) executions() string { return c.arn("states", "execution:"+c.Name+":*") }

func (c *Config) function(name string) string { return c.Name + "-" + name }

// functionARN is a function without version; with :* behind it, all of its versions.
func (c *Config) functionARN(name string) string {
	return c.arn("lambda", "function:"+c.function(name))
}

func (c *Config) topic() string { return c.arn("sns", c.Name+"-events") }

func (c *Config) clusterARNs() []string {
	var arns []string
	for _, k := range c.Clusters {
		arns = append(arns, c.arn("eks", "cluster/"+k.Name))
	}
	return arns
}

// kubernetesGroup is the group that the engine's roles have in every cluster. The Role of an
// onboarded namespace is bound to it.
const kubernetesGroup = "stepcanary"

// pascal is a function's name as a logical id: health-check is HealthCheck.
func pascal(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// compact is JSON without spaces, so that spelling does not change a template.
func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return string(raw) // check has refused it before
	}
	return b.String()
}

// kebab is a logical id as a name: DeadLettersAlarm is dead-letters-alarm.
func kebab(id string) string {
	var b strings.Builder
	for i, r := range id {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}
