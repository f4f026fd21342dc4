package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// fromKubeconfig reads the kubeconfig and chooses the context for the cluster. A
// rollout must never reach another cluster than the one that its file names, so
// the current context counts only where several lead to that one.
func fromKubeconfig(c Config) (*rest.Config, error) {
	file, err := clientcmd.LoadFromFile(c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w: %w", c.Kubeconfig, fault.Invalid, err)
	}
	name, err := chooseContext(file, c)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w: %w", c.Kubeconfig, fault.Invalid, err)
	}
	loading := &clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig}
	config, err := clientcmd.NewNonInteractiveClientConfig(*file, name, &clientcmd.ConfigOverrides{}, loading).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: context %q: %w: %w", c.Kubeconfig, name, fault.Invalid, err)
	}
	return config, nil
}

func chooseContext(file *api.Config, c Config) (string, error) {
	names := slices.Sorted(maps.Keys(file.Contexts))
	if c.Context != "" {
		if file.Contexts[c.Context] == nil {
			return "", fmt.Errorf("no context %q; it has %s", c.Context, describe(file, names))
		}
		return c.Context, nil
	}
	var found []string
	for _, name := range names {
		if isNamed(name, c.Cluster) || isNamed(file.Contexts[name].Cluster, c.Cluster) {
			found = append(found, name)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return "", fmt.Errorf("no context or cluster is named %q (cluster_name); it has %s", c.Cluster, describe(file, names))
	case slices.Contains(found, file.CurrentContext):
		return file.CurrentContext, nil
	}
	return "", fmt.Errorf("several contexts lead to cluster %q: %s; one must be chosen", c.Cluster, describe(file, found))
}

// isNamed knows the names that the AWS CLI (the cluster's ARN) and eksctl
// (NAME.REGION.eksctl.io) give to an EKS cluster.
func isNamed(entry, cluster string) bool {
	if cluster == "" {
		return false
	}
	return entry == cluster ||
		strings.HasPrefix(entry, "arn:") && strings.HasSuffix(entry, ":cluster/"+cluster) ||
		strings.HasPrefix(entry, cluster+".") && strings.HasSuffix(entry, ".eksctl.io")
}

func describe(file *api.Config, contexts []string) string {
	if len(contexts) == 0 {
		return "no context at all"
	}
	var out []string
	for _, name := range contexts {
		out = append(out, fmt.Sprintf("context %q (cluster %q)", name, file.Contexts[name].Cluster))
	}
	return strings.Join(out, ", ")
}

// CurrentContext is the kubeconfig's current context; empty where it has none.
func CurrentContext(path string) (string, error) {
	file, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return "", fmt.Errorf("kubeconfig %s: %w: %w", path, fault.Invalid, err)
	}
	return file.CurrentContext, nil
}

// CheckKubeconfig reads the kubeconfig and finds the context in it, where one is named, without
// asking a cluster. What it finds wrong is fault.Invalid.
func CheckKubeconfig(path, context string) error {
	file, err := clientcmd.LoadFromFile(path)
	if err == nil && context != "" {
		_, err = chooseContext(file, Config{Context: context})
	}
	if err != nil {
		return fmt.Errorf("kubeconfig %s: %w: %w", path, fault.Invalid, err)
	}
	return nil
}
