package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awseks"
	"github.com/aws/jsii-runtime-go"
)

// addAccessEntries makes each function that talks to a cluster known there, as a member of one
// group. The group may do nothing until a namespace is onboarded, and then only there; no access
// policy of EKS is attached, because all of them allow more than a rollout needs.
func (e *engine) addAccessEntries() {
	for _, k := range e.config.Clusters {
		if !k.Entered() {
			continue
		}
		for _, f := range functions {
			if !f.cluster {
				continue
			}
			awseks.NewCfnAccessEntry(e.stack, jsii.String("Access-"+k.Name+"-"+f.name), &awseks.CfnAccessEntryProps{
				ClusterName:      jsii.String(k.Name),
				PrincipalArn:     e.roles[f.name].RoleArn(),
				KubernetesGroups: jsii.Strings(kubernetesGroup),
				Username:         jsii.String("stepcanary:" + f.name + ":{{SessionName}}"),
				Type:             jsii.String("STANDARD"),
			})
		}
	}
}
