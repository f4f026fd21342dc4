package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mountRoot is the environment variable that holds the directory below which a
// container finds its mounts: a process sees this machine's file system, so
// the mount path /etc/app is $TESTBED_ROOT/etc/app. It is the process's working
// directory too, so that the relative path etc/app is the same place.
const mountRoot = "TESTBED_ROOT"

// mounts is the directory below which the container finds its mounts.
func (c *container) mounts() string { return filepath.Join(c.pod.dir, "root", c.spec.Name) }

// mountAll makes the pod's volumes. While something that they need is missing,
// it says so in an event and tries on. It reports false when the pod is to end
// first.
func (p *pod) mountAll(ctx context.Context) bool {
	for {
		err := p.mount(ctx)
		if err == nil {
			return true
		}
		p.node.events.Event(p.object(), corev1.EventTypeWarning, "FailedMount", err.Error())
		if !p.wait(retryEvery) {
			return false
		}
	}
}

func (p *pod) mount(ctx context.Context) error {
	object := p.object()
	for i := range object.Spec.Volumes {
		v := &object.Spec.Volumes[i]
		if err := p.fill(ctx, object, v); err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", v.Name, err)
		}
	}
	for _, c := range p.all() {
		for _, m := range c.spec.VolumeMounts {
			if err := p.link(c, m); err != nil {
				return fmt.Errorf("mount volume %q in container %s: %w", m.Name, c.spec.Name, err)
			}
		}
	}
	return nil
}

// link puts a volume where a container expects it.
func (p *pod) link(c *container, m corev1.VolumeMount) error {
	target := filepath.Join(c.mounts(), filepath.Clean("/"+m.MountPath))
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	source := filepath.Join(p.volume(m.Name), filepath.Clean("/"+m.SubPath))
	if err := os.Remove(target); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Symlink(source, target)
}

func (p *pod) volume(name string) string { return filepath.Join(p.dir, "volumes", name) }

// fill makes one volume.
func (p *pod) fill(ctx context.Context, object *corev1.Pod, v *corev1.Volume) error {
	dir := p.volume(v.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	switch {
	case v.EmptyDir != nil:
		return nil
	case v.ConfigMap != nil:
		data, err := p.configMap(ctx, object.Namespace, v.ConfigMap.Name)
		return write(dir, data, v.ConfigMap.Items, v.ConfigMap.Optional, err)
	case v.Secret != nil:
		data, err := p.secret(ctx, object.Namespace, v.Secret.SecretName)
		return write(dir, data, v.Secret.Items, v.Secret.Optional, err)
	case v.DownwardAPI != nil:
		return p.writeFields(dir, object, v.DownwardAPI.Items)
	case v.Projected != nil:
		for i := range v.Projected.Sources {
			if err := p.project(ctx, object, dir, &v.Projected.Sources[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("this node has emptyDir, configMap, secret, downwardAPI and projected volumes only")
}

// project adds one source to a projected volume.
func (p *pod) project(ctx context.Context, object *corev1.Pod, dir string, s *corev1.VolumeProjection) error {
	switch {
	case s.ConfigMap != nil:
		data, err := p.configMap(ctx, object.Namespace, s.ConfigMap.Name)
		return write(dir, data, s.ConfigMap.Items, s.ConfigMap.Optional, err)
	case s.Secret != nil:
		data, err := p.secret(ctx, object.Namespace, s.Secret.Name)
		return write(dir, data, s.Secret.Items, s.Secret.Optional, err)
	case s.DownwardAPI != nil:
		return p.writeFields(dir, object, s.DownwardAPI.Items)
	case s.ServiceAccountToken != nil:
		token, err := p.token(ctx, object, s.ServiceAccountToken)
		if err != nil {
			return err
		}
		return writeFile(dir, s.ServiceAccountToken.Path, []byte(token))
	}
	return fmt.Errorf("projected source of a kind that this node does not know")
}

// token asks for a token of the pod's service account, bound to the pod.
func (p *pod) token(ctx context.Context, object *corev1.Pod, s *corev1.ServiceAccountTokenProjection) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: s.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: object.Name, UID: object.UID},
	}}
	if s.Audience != "" {
		request.Spec.Audiences = []string{s.Audience}
	}
	answer, err := p.node.client.CoreV1().ServiceAccounts(object.Namespace).
		CreateToken(ctx, object.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("token of service account %s: %w", object.Spec.ServiceAccountName, err)
	}
	return answer.Status.Token, nil
}

func (p *pod) writeFields(dir string, object *corev1.Pod, items []corev1.DownwardAPIVolumeFile) error {
	for _, item := range items {
		if item.FieldRef == nil {
			return fmt.Errorf("downward API file %s: only fieldRef is known here", item.Path)
		}
		value, err := p.field(object, item.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		if err := writeFile(dir, item.Path, []byte(value)); err != nil {
			return err
		}
	}
	return nil
}

// write writes the keys of a ConfigMap or Secret as files: all of them, or
// those that items name. err is that of reading the object.
func write(dir string, data map[string][]byte, items []corev1.KeyToPath, optional *bool, err error) error {
	mayMiss := optional != nil && *optional
	if err != nil {
		if mayMiss && apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	if len(items) == 0 {
		for key, value := range data {
			if err := writeFile(dir, key, value); err != nil {
				return err
			}
		}
		return nil
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok && !mayMiss {
			return fmt.Errorf("references non-existent config key: %s", item.Key)
		}
		if ok {
			if err := writeFile(dir, item.Path, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeFile(dir, name string, content []byte) error {
	path := filepath.Join(dir, filepath.Clean("/"+name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
