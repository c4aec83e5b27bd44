package discover

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"culvert/app/target"
)

func TestHazards(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		port          int
		program, line string
		want          HazardKind
		name          string
	}{
		{5432, "", "", Database, "PostgreSQL"},
		{5555, "postgres", "postgres -D /data", Database, "PostgreSQL"},
		{6379, "redis-server", "redis-server *:6379", Database, "Redis"},
		{27017, "", "", Database, "MongoDB"},
		{9200, "java", "java org.elasticsearch.bootstrap.Elasticsearch", Database, "Elasticsearch"},
		{9200, "python3", "python3 -m http.server 9200", NoHazard, ""},
		{9229, "node", "node --inspect server.js", Debugger, "Node.js debugger"},
		{9229, "node", "node /x/node_modules/.bin/vite", Debugger, "Node.js debugger"},
		{4711, "node", "node --inspect-brk=0.0.0.0:4711 /x/node_modules/.bin/vite", Debugger, "Node.js debugger"},
		{3000, "node", "node --inspect-brk=0.0.0.0:4711 /x/node_modules/.bin/vite", NoHazard, ""},
		{4711, "java", "java -agentlib:jdwp=transport=dt_socket,server=y,address=*:4711 -jar shop.jar", Debugger, "Java debugger"},
		{8080, "java", "java -agentlib:jdwp=transport=dt_socket,server=y,address=*:4711 -jar shop.jar", NoHazard, ""},
		{4711, "python3.11", "python3 -m debugpy --listen 127.0.0.1:4711 manage.py runserver", Debugger, "Python debugger"},
		{8000, "python3.11", "python3 -m debugpy --listen 127.0.0.1:4711 manage.py runserver", NoHazard, ""},
		{5678, "node", "node /x/node_modules/.bin/n8n", NoHazard, ""},
		{5678, "python3", "python3 x.py", Debugger, "Python debugger"},
		{38697, "dlv", "dlv dap", Debugger, "Go debugger"},
		{9333, "chrome", "chrome --remote-debugging-port=9333", Debugger, "Chrome's debugger"},
		{9222, "", "", Debugger, "Chrome's debugger"},
		{2375, "", "", Containers, "Docker"},
		{2376, "dockerd", "dockerd", Containers, "Docker"},
		{6443, "", "", Containers, "Kubernetes"},
		{8001, "kubectl", "kubectl proxy", Containers, "kubectl"},
		{22, "", "", RemoteAccess, "SSH"},
		{2222, "sshd", "sshd: /usr/sbin/sshd -D", RemoteAccess, "SSH"},
		{3389, "", "", RemoteAccess, "Remote Desktop"},
		{5900, "", "", RemoteAccess, "VNC"},
		{445, "", "", RemoteAccess, "Windows file sharing"},
		{631, "cupsd", "cupsd", Internal, "printing (CUPS)"},
		{9911, "", "", Credentials, "AWS credentials helper"},
		{9099, "aws-vault", "aws-vault exec", Credentials, "aws-vault"},
		{3000, "", "", NoHazard, ""},
		{8080, "java", "java -jar shop.jar", NoHazard, ""},
	} {
		p := process{name: c.program, args: strings.Fields(c.line)}
		got := hazardOf(c.port, p, identify(p))
		if got.Kind != c.want || got.Name != c.name {
			t.Errorf("port %d, %q is %+v, want %v %q", c.port, c.line, got, c.want, c.name)
		}
		if (got.Kind == NoHazard) != (got.Why == "") {
			t.Errorf("port %d, %q is dangerous because: %q", c.port, c.line, got.Why)
		}
	}
}

// Every hazard has its reason, as one sentence.
func TestEveryHazardSaysWhy(t *testing.T) {
	t.Parallel()
	for port := range ports {
		if h := HazardOfPort(port); h.Kind == NoHazard || h.Name == "" || !strings.HasSuffix(h.Why, ".") {
			t.Errorf("port %d is %+v", port, h)
		}
	}
	for name, h := range hazardous {
		if h.kind == NoHazard || h.name == "" || why[h.kind] == "" || name != strings.ToLower(name) {
			t.Errorf("program %q is %+v", name, h)
		}
	}
	for name := range programs {
		if name != trimVersion(name) {
			t.Errorf("program %q is never found: it is looked for as %q", name, trimVersion(name))
		}
	}
}

func TestHazardOfTarget(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]HazardKind{
		"5432": Database, "db.internal:5432": Database, "localhost:9229": Debugger, "http://localhost:2375": Containers, "[::1]:22": RemoteAccess,
		"http://169.254.169.254": Credentials, "http://169.254.169.254:8080": Credentials, "http://metadata.google.internal": Credentials,
		"http://[fd00:ec2::254]": Credentials, "http://168.63.129.16:32526": Credentials, "http://192.168.1.1": Internal,
		"https://10.0.0.254:8443": Internal, "http://[::ffff:192.168.0.1]": Internal, "http://Fritz.Box": Internal, "localhost:4040": Internal, "9090": Internal,
		"http://192.168.1.10": NoHazard, "http://8.8.8.1": NoHazard, "http://127.0.0.1:3000": NoHazard, "3000": NoHazard, "https://example.com": NoHazard, "169.254.1.1:80": NoHazard,
	} {
		parsed, err := target.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := HazardOf(parsed); got.Kind != want {
			t.Errorf("%s is %+v, want kind %v", text, got, want)
		}
	}
}

func TestHazardOfFolder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		folder, home string
		want         HazardKind
	}{
		{"/", "/home/x", PrivateFiles},
		{"/home", "/home/x", PrivateFiles},
		{"/home/x", "/home/x", PrivateFiles},
		{"/home/x/site", "/home/x", NoHazard},
		{"/home/xy", "/home/x", NoHazard},
		{"/etc", "/home/x", PrivateFiles},
		{"/etc/nginx", "/home/x", PrivateFiles},
		{"/etcetera", "/home/x", NoHazard},
		{"/root", "/home/x", PrivateFiles},
		{"/root", "/root", PrivateFiles},
		{"/root/site", "/root", NoHazard},
		{"/srv/www", "/home/x", NoHazard},
		{"/srv/www", "", NoHazard},
		{"/var", "/home/x", PrivateFiles},
		{"/var/www", "/home/x", NoHazard},
		{"/usr", "/home/x", PrivateFiles},
		{"/usr/share/nginx/html", "/home/x", NoHazard},
		{"/mnt", "/home/x", PrivateFiles},
		{"/mnt/c", "/home/x", PrivateFiles},
		{"/mnt/c/site", "/home/x", NoHazard},
		{"/media/x/stick", "/home/x", PrivateFiles},
		{"/media/x/stick/site", "/home/x", NoHazard},
		{"/tmp", "/home/x", PrivateFiles},
		{"/tmp/site", "/home/x", NoHazard},
		{"/home/x/.ssh", "/home/x", PrivateFiles},
		{"/home/x/.config/culvert", "/home/x", PrivateFiles},
		{"/home/x/site/.git", "/home/x", PrivateFiles},
		{"/home/x/site/.git/hooks", "/home/x", PrivateFiles},
		{"/srv/site/.well-known", "/home/x", NoHazard},
		{"/home/x/Documents", "/home/x", PrivateFiles},
		{"/home/x/Documents/site", "/home/x", NoHazard},
		{"/home/x/Library/Application Support/browser", "/home/x", PrivateFiles},
	} {
		if got := hazardOfFolder(filepath.FromSlash(c.folder), filepath.FromSlash(c.home)); got.Kind != c.want || (got.Why == "") != (c.want == NoHazard) {
			t.Errorf("%s, home %s, is %+v, want kind %v", c.folder, c.home, got, c.want)
		}
	}
	if got := HazardOf(target.Target{Scheme: "http", Folder: string(filepath.Separator)}); got.Kind != PrivateFiles {
		t.Errorf("the root is %+v", got)
	}
}

// TestHazardOfLinks follows them, in the folder's path and in the home folder's.
func TestHazardOfLinks(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(names ...string) string { return filepath.Join(append([]string{base}, names...)...) }
	for _, folder := range []string{at("home", ".aws"), at("home", "site"), at("keys", "own"), at("elsewhere")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"all": string(filepath.Separator), "cloud": at("home", ".aws"), "me": at("home"), "mykeys": at("keys")} {
		if err := os.Symlink(to, at(name)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	for _, c := range []struct {
		folder string
		want   HazardKind
	}{
		{at("all"), PrivateFiles},
		{at("all", "etc"), PrivateFiles},
		{at("cloud"), PrivateFiles},
		{at("home"), PrivateFiles}, // which is what "me" leads to
		{at("me"), PrivateFiles},
		{at("me", "site"), NoHazard},
		{at("keys"), PrivateFiles}, // the program's own are in there
		{at("mykeys", "own"), PrivateFiles},
		{at("elsewhere"), NoHazard},
		{at("not there"), NoHazard},
	} {
		if runtime.GOOS == "windows" && c.folder == at("all", "etc") {
			continue
		}
		if got := hazardOfTree(c.folder, at("me"), []string{at("mykeys", "own")}); got.Kind != c.want {
			t.Errorf("%s is %+v, want kind %v", c.folder, got, c.want)
		}
	}
	// Own folders are known without being named.
	t.Setenv("XDG_CONFIG_HOME", at("elsewhere"))
	t.Setenv("AppData", at("elsewhere"))
	if base, err := os.UserConfigDir(); err == nil && base == at("elsewhere") {
		if got := HazardOf(target.Target{Scheme: "http", Folder: base}); got.Kind != PrivateFiles {
			t.Errorf("the config folder is %+v", got)
		}
	}
	if got := HazardOf(target.Target{Scheme: "http", Folder: at("home", "site")}, at("home")); got.Kind != PrivateFiles {
		t.Errorf("a folder of our own is %+v", got)
	}
}
