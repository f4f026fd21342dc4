package specfiles_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stepcanary/stepcanary/internal/spec"
)

const (
	repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/stepcanary/podlet"
	digest     = "sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
)

// stubs stand for the programs that leave the build machine. Each writes down
// what it was asked; docker knows the digest of another repository first.
var stubs = map[string]string{
	"aws":   `echo "aws $*" >> "$CALLS"; if [ "$1" = s3 ]; then : > "$5"; else echo token; fi`,
	"unzip": `echo "unzip" >> "$CALLS"; printf '#!/bin/bash\necho "stepcanary $*" >> "$CALLS"\ntest "$1 $2" != "$REFUSE"\n' > "$5/stepcanary"; chmod +x "$5/stepcanary"`,
	"docker": `echo "docker $1" >> "$CALLS"; case "$1" in login) cat > /dev/null;;
inspect) echo "elsewhere/podlet@` + digest + `"; echo "` + repository + `@` + digest + `";; esac`,
}

// build runs build.yml's commands as CodeBuild does: in one shell, each phase to
// its first failure, post_build also after a failed build. Its artifact is the
// file at the given path.
func build(t *testing.T, refuse string) (artifact string, calls []string, err error) {
	t.Helper()
	data, err := os.ReadFile("build.yml")
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Version string
		Env     struct{ Shell string }
		Phases  map[string]struct{ Commands []string }
	}
	if err := yaml.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	if spec.Version != "0.2" || spec.Env.Shell != "bash" || len(spec.Phases) != 4 {
		t.Fatalf("build.yml has version %q, shell %q, %d phases; want 0.2, bash, 4", spec.Version, spec.Env.Shell, len(spec.Phases))
	}
	var script strings.Builder
	script.WriteString("CODEBUILD_BUILD_SUCCEEDING=1\n")
	for _, phase := range []string{"install", "pre_build", "build", "post_build"} {
		for _, command := range spec.Phases[phase].Commands {
			if phase == "post_build" {
				script.WriteString(command + " || exit 1\n")
				continue
			}
			script.WriteString("if [ $CODEBUILD_BUILD_SUCCEEDING = 1 ]; then\n" + command + "\n[ $? = 0 ] || CODEBUILD_BUILD_SUCCEEDING=0\nfi\n")
		}
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	for path, text := range map[string]string{
		"src/specfiles/deploy.json":             read(t, "podlet/deploy.json"),
		"src/specfiles/kubernetes_template.yml": read(t, "podlet/kubernetes_template.yml"),
		"bin/aws":                               "#!/bin/bash\n" + stubs["aws"] + "\n",
		"bin/unzip":                             "#!/bin/bash\n" + stubs["unzip"] + "\n",
		"bin/docker":                            "#!/bin/bash\n" + stubs["docker"] + "\n",
		"calls":                                 "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", "-c", script.String())
	cmd.Dir = filepath.Join(dir, "src")
	cmd.Env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "TMPDIR=" + dir, "CALLS=" + filepath.Join(dir, "calls"), "REFUSE=" + refuse,
		"IMAGE_REPOSITORY=" + repository, "SERVICE_FOLDER=specfiles", "STEPCANARY_CLI=s3://assets/cli.zip",
		"CODEBUILD_RESOLVED_SOURCE_VERSION=0123456789abcdef0123456789abcdef01234567",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "src/out/deploy.json"), strings.Split(strings.TrimSpace(read(t, filepath.Join(dir, "calls"))), "\n"), err
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestBuild(t *testing.T) {
	artifact, calls, err := build(t, "")
	if err != nil {
		t.Fatal(err)
	}
	f, err := spec.Load(artifact)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Spec.Complete(artifact); err != nil {
		t.Error(err)
	}
	if want := repository + "@" + digest; f.Spec.Image != want {
		t.Errorf("container_image is %q, want %q", f.Spec.Image, want)
	}
	order := []string{"unzip", "stepcanary validate specfiles", "docker login", "docker build", "docker push", "docker inspect", "stepcanary validate out/deploy.json", "stepcanary plan out/deploy.json"}
	for _, call := range calls {
		if len(order) > 0 && call == order[0] {
			order = order[1:]
		}
	}
	if len(order) > 0 {
		t.Errorf("%q did not come in its turn in %q", order[0], calls)
	}
}

// A service that does not validate costs no image, and the build fails.
func TestBuildOfBadInput(t *testing.T) {
	artifact, calls, err := build(t, "validate specfiles")
	if err == nil {
		t.Error("the build succeeded")
	}
	if all := strings.Join(calls, "\n"); strings.Contains(all, "docker") {
		t.Errorf("docker was called: %q", calls)
	}
	if _, err := os.Stat(artifact); err == nil {
		t.Error("there is an artifact")
	}
}
