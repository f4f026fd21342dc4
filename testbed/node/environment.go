package node

import (
	"context"
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	resourcehelper "k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"

	"github.com/stepcanary/stepcanary/testbed/layout"
)

// environment is the environment of the container's process: what the image
// and the node give it, the Services of its namespace, and then what the pod's
// spec says, which wins. Nothing of the bed's own environment is in it.
func (c *container) environment(ctx context.Context, img image) ([]string, error) {
	object := c.pod.object()
	values := map[string]string{
		"PATH":       "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME":       "/",
		"HOSTNAME":   object.Name,
		"POD_IP":     c.pod.address,
		"VERSION":    img.version,
		mountRoot:    c.mounts(),
		layout.EnvID: c.pod.node.layout.ID,
	}
	if object.Spec.EnableServiceLinks == nil || *object.Spec.EnableServiceLinks {
		if err := c.pod.serviceLinks(object.Namespace, values); err != nil {
			return nil, err
		}
	}
	values["KUBERNETES_SERVICE_HOST"] = c.pod.node.layout.Address()
	values["KUBERNETES_SERVICE_PORT"] = strconv.Itoa(c.pod.node.layout.APIPort)
	for _, from := range c.spec.EnvFrom {
		if err := c.addAll(ctx, object.Namespace, from, values); err != nil {
			return nil, err
		}
	}
	for i := range c.spec.Env {
		v := &c.spec.Env[i]
		value, ok, err := c.value(ctx, object, v, values)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", v.Name, err)
		}
		if ok {
			values[v.Name] = value
		}
	}
	env := make([]string, 0, len(values))
	for name, value := range values {
		env = append(env, name+"="+value)
	}
	sort.Strings(env)
	return env, nil
}

// value resolves one variable; false when it refers to something optional that
// is missing.
func (c *container) value(ctx context.Context, object *corev1.Pod, v *corev1.EnvVar, known map[string]string) (string, bool, error) {
	from := v.ValueFrom
	switch {
	case from == nil:
		return expansion.Expand(v.Value, expansion.MappingFuncFor(known)), true, nil
	case from.FieldRef != nil:
		value, err := c.pod.field(object, from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err := resourcehelper.ExtractResourceValueByContainerName(from.ResourceFieldRef, object, c.spec.Name)
		return value, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		data, err := c.pod.configMap(ctx, object.Namespace, ref.Name)
		return pick(data, ref.Key, fmt.Sprintf("configmap %q", ref.Name), ref.Optional, err)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		data, err := c.pod.secret(ctx, object.Namespace, ref.Name)
		return pick(data, ref.Key, fmt.Sprintf("secret %q", ref.Name), ref.Optional, err)
	}
	return "", false, fmt.Errorf("valueFrom of a kind that this node does not know")
}

// pick takes one key out of a ConfigMap's or a Secret's data.
func pick(data map[string][]byte, key, source string, optional *bool, err error) (string, bool, error) {
	mayMiss := optional != nil && *optional
	if err != nil {
		if mayMiss && apierrors.IsNotFound(err) {
			return "", false, nil
		}
		return "", false, err
	}
	value, ok := data[key]
	if !ok && !mayMiss {
		return "", false, fmt.Errorf("couldn't find key %s in %s", key, source)
	}
	return string(value), ok, nil
}

// addAll adds every key of a ConfigMap or Secret to the environment.
func (c *container) addAll(ctx context.Context, namespace string, from corev1.EnvFromSource, values map[string]string) error {
	var data map[string][]byte
	var err error
	optional := false
	switch {
	case from.ConfigMapRef != nil:
		data, err = c.pod.configMap(ctx, namespace, from.ConfigMapRef.Name)
		optional = from.ConfigMapRef.Optional != nil && *from.ConfigMapRef.Optional
	case from.SecretRef != nil:
		data, err = c.pod.secret(ctx, namespace, from.SecretRef.Name)
		optional = from.SecretRef.Optional != nil && *from.SecretRef.Optional
	}
	if err != nil {
		if optional && apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	for key, value := range data {
		values[from.Prefix+key] = string(value)
	}
	return nil
}

// field resolves a downward API field of the pod.
func (p *pod) field(object *corev1.Pod, path string) (string, error) {
	switch path {
	case "spec.nodeName":
		return Name, nil
	case "spec.serviceAccountName":
		return object.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return p.node.layout.Address(), nil
	case "status.podIP", "status.podIPs":
		return p.address, nil
	}
	return fieldpath.ExtractFieldPathAsString(object, path)
}

func (p *pod) configMap(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	m, err := p.node.client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	for k, v := range m.Data {
		data[k] = []byte(v)
	}
	for k, v := range m.BinaryData {
		data[k] = v
	}
	return data, nil
}

func (p *pod) secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	s, err := p.node.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return s.Data, nil
}

// serviceLinks adds NAME_SERVICE_HOST and NAME_SERVICE_PORT for each Service
// of the namespace. A bed has no DNS; this is how its pods find each other.
func (p *pod) serviceLinks(namespace string, values map[string]string) error {
	services, err := p.node.services.Services(namespace).List(labels.Everything())
	if err != nil {
		return err
	}
	for _, s := range services {
		if net.ParseIP(s.Spec.ClusterIP) == nil || len(s.Spec.Ports) == 0 {
			continue
		}
		name := strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
		values[name+"_SERVICE_HOST"] = s.Spec.ClusterIP
		values[name+"_SERVICE_PORT"] = strconv.Itoa(int(s.Spec.Ports[0].Port))
		for _, port := range s.Spec.Ports {
			if port.Name != "" {
				values[name+"_SERVICE_PORT_"+strings.ToUpper(strings.ReplaceAll(port.Name, "-", "_"))] = strconv.Itoa(int(port.Port))
			}
		}
	}
	return nil
}

// expandCommand is the program and its arguments: the pod's command, or else
// the image's executable, with $(NAME) replaced from the environment.
func expandCommand(spec *corev1.Container, img image, env []string) (string, []string) {
	known := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		known[name] = value
	}
	expand := func(words []string) []string {
		var out []string
		for _, w := range words {
			out = append(out, expansion.Expand(w, expansion.MappingFuncFor(known)))
		}
		return out
	}
	command, args := expand(spec.Command), expand(spec.Args)
	if len(command) == 0 {
		return img.path, args
	}
	return command[0], append(command[1:], args...)
}
