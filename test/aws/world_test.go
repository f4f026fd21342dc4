//go:build awse2e

package aws

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"net/http"

	"github.com/stepcanary/stepcanary/internal/lambdahost"
)

// A world is everything that a rollout on AWS meets.
type world struct {
	cloud *cloud
	// lambda runs the functions' binaries.
	lambda *lambdahost.Host
	// Addresses of the stand-ins, by the name that the SDK's variables have for the service.
	services map[string]string
	// metrics is where the bed's Prometheus asks who one is; stsProxy leads to STS, whose
	// certificate is signed by the authority in the file.
	metrics, stsProxy, authority string
	kubeconfig                   string
	gateway, prometheus          string
	bedDir, engine               string
	log                          *record
}

var names = []string{"prepare", "deploy-canary", "await-ready", "shift-weight", "health-check", "hold", "promote", "rollback", "abort"}

// bin is where scripts/e2e-aws builds the programs.
func bin(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(os.Getenv("STEPCANARY_BIN"), name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v; run scripts/e2e-aws", err)
	}
	return path
}

// build brings everything up, in the order in which each needs the one before.
func build(t *testing.T) *world {
	t.Helper()
	w := &world{log: &record{}, cloud: &cloud{
		principals: map[string]principal{}, calls: map[string]map[string]int{}, clusters: []string{"demo", "second"},
	}}
	var err error
	if w.cloud.rights, err = readRights(); err != nil {
		t.Fatal(err)
	}
	// What the role in the other account may do is written there.
	w.cloud.rights["metrics"] = map[string][]string{"aps:QueryMetrics": w.cloud.rights["health-check"]["aps:QueryMetrics"]}
	for i, n := range names {
		p := principal{key: fmt.Sprintf("AKIDSTEPCANARY%02d", i), secret: "secret-of-" + n, function: n}
		w.cloud.principals[p.key] = p
	}
	w.cloud.principals[metricsKey] = principal{key: metricsKey, secret: "secret-of-metrics", function: "metrics"}
	webhook := w.startAuthenticator(t)
	w.startBed(t, webhook)
	w.readCluster(t)

	w.services = map[string]string{
		"EKS": serve(t, w.cloud.eks), "SFN": serve(t, w.cloud.stepFunctions),
		"CLOUDWATCH": serve(t, w.cloud.monitoring), "SECRETS_MANAGER": serve(t, w.cloud.secrets),
	}
	w.metrics = serve(t, w.cloud.metrics)
	w.lambda = w.host(t, func(p principal) principal { return p })
	w.startEngine(t, serve(t, w.lambda.ServeHTTP))
	return w
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// host runs the functions' binaries with their roles' credentials, as alter changes them.
func (w *world) host(t *testing.T, alter func(principal) principal) *lambdahost.Host {
	t.Helper()
	binaries := map[string]string{}
	for _, n := range names {
		binaries[n] = bin(t, "lambdas/"+n)
	}
	h := lambdahost.New(lambdahost.Options{
		Binary: func(name string) string { return binaries[name] },
		Log:    w.log,
		Env: func(name string) []string {
			var p principal
			for _, have := range w.cloud.principals {
				if have.function == name {
					p = alter(have)
				}
			}
			env := []string{
				"AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=" + p.key, "AWS_SECRET_ACCESS_KEY=" + p.secret,
				"AWS_EC2_METADATA_DISABLED=true", "HTTPS_PROXY=" + w.stsProxy, "AWS_CA_BUNDLE=" + w.authority,
				"STEPCANARY_STATE_MACHINE=" + localMachine,
				// The stand-ins are on this machine, where a document may not lead unless the engine says so.
				`STEPCANARY_HOOKS={"allow_loopback":true}`,
				`STEPCANARY_METRICS={"provider":"prometheus","address":"` + w.prometheus + `","scrape_interval":"1s","lag":"1s","allow_loopback":true,"auth_addresses":["` + w.metrics + `"]}`,
			}
			for service, url := range w.services {
				env = append(env, "AWS_ENDPOINT_URL_"+service+"="+url)
			}
			return env
		},
	})
	t.Cleanup(h.Close)
	return h
}

// startAuthenticator runs the real server, which knows the roles, and gives its webhook's file.
func (w *world) startAuthenticator(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	proxy, authority := serveSTS(t, w.cloud.sts)
	w.stsProxy, w.authority = proxy, filepath.Join(dir, "authority.pem")
	write(t, w.authority, authority)
	var mapped strings.Builder
	for _, n := range names {
		fmt.Fprintf(&mapped, "  - roleARN: %s\n    username: stepcanary:%s:{{SessionName}}\n    groups: [stepcanary]\n", principal{function: n}.role(), n)
	}
	l := listen(t)
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	webhook := filepath.Join(dir, "webhook.yaml")
	write(t, filepath.Join(dir, "config.yaml"), fmt.Appendf(nil,
		"clusterID: demo\nserver:\n  port: %d\n  address: 127.0.0.1\n  stateDir: %s\n  generateKubeconfig: %s\n  backendMode: [MountedFile]\n  mapRoles:\n%s",
		port, dir, webhook, mapped.String()))
	w.start(t, exec.Command(bin(t, "aws-iam-authenticator"), "server", "-c", filepath.Join(dir, "config.yaml")),
		"HTTPS_PROXY="+proxy, "SSL_CERT_FILE="+w.authority, "AWS_REGION="+region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none")
	wait(t, "the authenticator", func() bool {
		_, err := os.Stat(webhook)
		return err == nil
	})
	wait(t, "the authenticator's port", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return webhook
}

func (w *world) startBed(t *testing.T, webhook string) {
	t.Helper()
	w.bedDir = filepath.Join(t.TempDir(), "bed")
	cmd := exec.Command(bin(t, "testbed"), "up", "--dir", w.bedDir, "--authentication-webhook", webhook, "--audit")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.start(t, cmd)
	lines := regexp.MustCompile(`(KUBECONFIG=|gateway +|prometheus +)(\S+)`)
	scanner := bufio.NewScanner(out)
	for (w.kubeconfig == "" || w.gateway == "" || w.prometheus == "") && scanner.Scan() {
		m := lines.FindStringSubmatch(scanner.Text())
		switch {
		case m == nil:
		case strings.HasPrefix(m[1], "KUBECONFIG"):
			w.kubeconfig = m[2]
		case strings.HasPrefix(m[1], "gateway"):
			w.gateway = m[2]
		default:
			w.prometheus = m[2]
		}
	}
	if w.cloud.prometheus, err = url.Parse(w.prometheus); err != nil || w.prometheus == "" {
		t.Fatalf("the bed did not start: %v\n%s", err, w.log.text())
	}
}

// readCluster takes the API server's URL and authority out of the kubeconfig.
func (w *world) readCluster(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(w.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Clusters []struct {
			Cluster struct {
				Server string
				Data   string `yaml:"certificate-authority-data"`
				Path   string `yaml:"certificate-authority"`
			}
		}
	}
	if err := yaml.Unmarshal(data, &file); err != nil || len(file.Clusters) != 1 {
		t.Fatalf("kubeconfig: %d clusters, %v", len(file.Clusters), err)
	}
	k := file.Clusters[0].Cluster
	w.cloud.endpoint = k.Server
	if k.Path != "" {
		w.cloud.ca, err = os.ReadFile(k.Path)
	} else {
		w.cloud.ca, err = base64.StdEncoding.DecodeString(k.Data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) startEngine(t *testing.T, lambda string) {
	t.Helper()
	cmd := exec.Command(bin(t, "stepcanary"), "serve", "--listen", "127.0.0.1:0", "--lambda-endpoint", lambda, "--kubeconfig", w.kubeconfig)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.start(t, cmd)
	address := regexp.MustCompile(`Step Functions API on (http\S+)`)
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		if m := address.FindStringSubmatch(scanner.Text()); m != nil {
			w.engine = m[1]
			break
		}
	}
	if w.cloud.states, err = url.Parse(w.engine); err != nil || w.engine == "" {
		t.Fatalf("the engine did not start: %v\n%s", err, w.log.text())
	}
}

// start runs a program until the test ends.
func (w *world) start(t *testing.T, cmd *exec.Cmd, env ...string) {
	t.Helper()
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = w.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		// The authenticator does not end when it is asked to.
		late := time.AfterFunc(2*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		late.Stop()
	})
}

// run runs a program to its end and gives its output and exit code.
func (w *world) run(t *testing.T, input string, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(bin(t, name), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.kubeconfig, "STEPCANARY_ENDPOINT="+w.engine)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run()
	return out.String(), cmd.ProcessState.ExitCode()
}

func wait(t *testing.T, what string, there func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 60*time.Second; time.Sleep(50 * time.Millisecond) {
		if there() {
			return
		}
	}
	t.Fatalf("%s did not come up", what)
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A record keeps what programs wrote, to show it when something fails.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}
