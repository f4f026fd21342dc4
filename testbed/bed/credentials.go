package bed

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/stepcanary/stepcanary/testbed/layout"
	"github.com/stepcanary/stepcanary/testbed/pki"
)

// users are who may do everything in the bed. They have names of their own so
// that the audit log tells them apart. Everybody else, service accounts first
// of all, may do what RBAC says.
var users = []string{"admin", "controllers", "node", "gateway", "installer"}

// writeCredentials makes the bed's certificates, its users' tokens and a
// kubeconfig for each user.
func writeCredentials(l *layout.Layout) error {
	dir := l.Path("pki")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	authority, err := pki.NewAuthority(dir)
	if err != nil {
		return err
	}
	if err := authority.Server("apiserver", l.Address(), l.KubernetesService(), "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"); err != nil {
		return err
	}
	if err := authority.Server("kubelet", l.Address(), "metrics.testbed.svc"); err != nil {
		return err
	}
	if err := authority.Client("kubelet-client"); err != nil {
		return err
	}
	if err := authority.Key("serviceaccount"); err != nil {
		return err
	}
	var tokens strings.Builder
	for _, user := range users {
		token := make([]byte, 16)
		if _, err := rand.Read(token); err != nil {
			return err
		}
		text := hex.EncodeToString(token)
		fmt.Fprintf(&tokens, "%s,testbed:%s,testbed:%s,system:masters\n", text, user, user)
		if err := writeKubeconfig(l, user, text); err != nil {
			return fmt.Errorf("write the kubeconfig of %s: %w", user, err)
		}
	}
	return os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(tokens.String()), 0o600)
}

// writeKubeconfig writes a kubeconfig whose one context is named testbed.
func writeKubeconfig(l *layout.Layout, user, token string) error {
	ca, err := os.ReadFile(l.Path("pki", "ca.crt"))
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["testbed"] = &clientcmdapi.Cluster{Server: l.APIURL(), CertificateAuthorityData: ca}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["testbed"] = &clientcmdapi.Context{Cluster: "testbed", AuthInfo: user}
	config.CurrentContext = "testbed"
	return clientcmd.WriteToFile(*config, l.Kubeconfig(user))
}

// restConfig is a client configuration for one of the bed's users that does
// not hold itself back.
func restConfig(l *layout.Layout, user string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig(user))
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = -1, 0
	config.UserAgent = "testbed-" + user
	return config, nil
}
