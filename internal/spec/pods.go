package spec

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What the baseline level of Kubernetes' Pod Security Standards allows, in its
// version of Kubernetes 1.34.
var (
	profiles     = []string{"RuntimeDefault", "Localhost"}
	seLinuxTypes = []string{"container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
	capabilities = []string{"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
	sysctls      = []string{"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem"}
)

// hosts are the fields by which the node's kubelet could be sent to any address.
var hosts = func() (fields [][]string) {
	for _, hook := range [][]string{{"livenessProbe"}, {"readinessProbe"}, {"startupProbe"}, {"lifecycle", "postStart"}, {"lifecycle", "preStop"}} {
		for _, action := range []string{"httpGet", "tcpSocket"} {
			fields = append(fields, append(hook[:len(hook):len(hook)], action, "host"))
		}
	}
	return fields
}()

// pod refuses pods that reach into their node: what the baseline level of the
// Pod Security Standards refuses.
func (c *confinement) pod(at []string) {
	template := sub(c.current.node, at...)
	spec := sub(template, "spec")
	if spec == nil {
		c.add(template, place(at).with("spec").String(), "nothing", "a pod")
		return
	}
	c.appArmor(sub(template, "metadata", "annotations"), place(at).with("metadata").with("annotations"))
	at = place(at).with("spec")
	for _, field := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		c.mustBe(spec, at, "false", "the node's own is not for pods of a service", field)
	}
	c.context(sub(spec, "securityContext"), place(at).with("securityContext"))
	c.each(spec, at, "volumes", func(v *yaml.Node, at place) {
		if p := sub(v, "hostPath"); p != nil {
			c.add(p, at.with("hostPath").String(), "a path of the node", "another kind of volume")
		}
	})
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		c.each(spec, at, list, c.container)
	}
}

func (c *confinement) container(n *yaml.Node, at place) {
	context := sub(n, "securityContext")
	c.context(context, at.with("securityContext"))
	for _, keys := range hosts {
		c.mustBe(n, at, "", "a probe asks the pod itself", keys...)
	}
	c.each(n, at, "ports", func(p *yaml.Node, at place) {
		if h := sub(p, "hostPort"); h != nil && h.Value != "0" {
			c.add(h, at.with("hostPort").String(), describe(h), "no port of the node")
		}
	})
	if add := sub(context, "capabilities", "add"); add != nil {
		for i, capability := range add.Content {
			if !slices.Contains(capabilities, capability.Value) {
				c.add(capability, at.with("securityContext.capabilities.add").with(strconv.Itoa(i)).String(), describe(capability), "a capability of the baseline level of the Pod Security Standards")
			}
		}
	}
}

// context checks a securityContext, a pod's or a container's.
func (c *confinement) context(n *yaml.Node, at place) {
	c.mustBe(n, at, "false", "a privileged container is the node's root", "privileged")
	c.mustBe(n, at, "Default", "the node's /proc is not for pods", "procMount")
	c.mustBe(n, at, "false", "a host process is the node's own", "windowsOptions", "hostProcess")
	c.among(n, at, profiles, "seccompProfile", "type")
	c.among(n, at, profiles, "appArmorProfile", "type")
	c.among(n, at, seLinuxTypes, "seLinuxOptions", "type")
	c.mustBe(n, at, "", "the node's own confinement stays", "seLinuxOptions", "user")
	c.mustBe(n, at, "", "the node's own confinement stays", "seLinuxOptions", "role")
	c.each(n, at, "sysctls", func(s *yaml.Node, at place) {
		if name := sub(s, "name"); name == nil || !slices.Contains(sysctls, name.Value) {
			c.add(s, at.String(), strconv.Quote(brief(text(s, "name"))), "a sysctl of the baseline level of the Pod Security Standards")
		}
	})
}

// appArmor checks the annotations by which pods were confined before there was a field for it.
func (c *confinement) appArmor(annotations *yaml.Node, at place) {
	if annotations == nil || annotations.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(annotations.Content); i += 2 {
		key, profile := annotations.Content[i].Value, annotations.Content[i+1]
		if strings.HasPrefix(key, "container.apparmor.security.beta.kubernetes.io/") && profile.Value != "runtime/default" && !strings.HasPrefix(profile.Value, "localhost/") {
			c.add(profile, at.with(key).String(), describe(profile), "runtime/default or localhost/PROFILE")
		}
	}
}

// among refuses every value under keys that is not allowed; absent is fine.
func (c *confinement) among(n *yaml.Node, at place, allowed []string, keys ...string) {
	v := sub(n, keys...)
	if v == nil || v.Kind == yaml.ScalarNode && slices.Contains(allowed, v.Value) {
		return
	}
	c.add(v, slices.Concat(at, keys).String(), describe(v), "one of "+strings.Join(allowed, ", "))
}

// mustBe refuses every other value than the one under keys; absent is fine.
func (c *confinement) mustBe(n *yaml.Node, at place, value, why string, keys ...string) {
	v := sub(n, keys...)
	if v == nil || v.Kind == yaml.ScalarNode && strings.EqualFold(v.Value, value) {
		return
	}
	for _, k := range keys {
		at = at.with(k)
	}
	c.add(v, at.String(), describe(v), cmp.Or(value, "nothing")+": "+why)
}

// each visits the items of a list.
func (c *confinement) each(n *yaml.Node, at place, key string, visit func(*yaml.Node, place)) {
	list := sub(n, key)
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	for i, item := range list.Content {
		visit(item, at.with(key).with(strconv.Itoa(i)))
	}
}
