package discover

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"culvert/app/target"
)

// HazardKind sorts hazards.
type HazardKind int

// The kinds of hazards.
const (
	NoHazard HazardKind = iota
	Database
	Debugger     // runs any code for whoever reaches it
	Containers   // Docker, Kubernetes: whoever reaches it commands the machine
	RemoteAccess // shells, desktops, files
	Credentials  // hands out keys
	PrivateFiles // a folder with everything in it
	Internal     // meant for this machine or its network only
)

// Hazard is a reason to ask before a service is shown to the world.
type Hazard struct {
	Kind HazardKind
	Name string // what it is, such as "PostgreSQL"
	// Why is one sentence for the person who is about to open it, in English. It is
	// the same for all hazards of a kind.
	Why string
}

var why = map[HazardKind]string{
	Database:     "Databases are not made for the open internet: whoever finds the URL could read or change what is in it.",
	Debugger:     "A debugger runs any code it is given: whoever finds the URL could take over your account on this computer.",
	Containers:   "It commands containers, mostly as root: whoever finds the URL could take over this computer or its cluster.",
	RemoteAccess: "It gives access to this computer or its files: whoever finds the URL could try to get in.",
	Credentials:  "It hands out keys to whoever asks: whoever finds the URL could use your cloud account.",
	PrivateFiles: "Whoever finds the URL can read every file in it, also those that programs keep there.",
	Internal:     "It trusts everyone who can reach it, and was made for this computer or its network only.",
}

func hazard(kind HazardKind, name string) Hazard { return Hazard{kind, name, why[kind]} }

// ports are where hazards usually listen.
var ports = map[int]struct {
	kind HazardKind
	name string
}{
	1433: {Database, "SQL Server"}, 1521: {Database, "Oracle Database"}, 2379: {Database, "etcd"}, 2380: {Database, "etcd"},
	3306: {Database, "MySQL"}, 33060: {Database, "MySQL"}, 5432: {Database, "PostgreSQL"}, 5433: {Database, "PostgreSQL"},
	5984: {Database, "CouchDB"}, 6379: {Database, "Redis"}, 6380: {Database, "Redis"}, 7474: {Database, "Neo4j"}, 7687: {Database, "Neo4j"},
	8086: {Database, "InfluxDB"}, 8123: {Database, "ClickHouse"}, 8529: {Database, "ArangoDB"}, 9042: {Database, "Cassandra"},
	9200: {Database, "Elasticsearch"}, 9300: {Database, "Elasticsearch"}, 11211: {Database, "memcached"}, 26257: {Database, "CockroachDB"},
	27017: {Database, "MongoDB"}, 27018: {Database, "MongoDB"}, 27019: {Database, "MongoDB"}, 28015: {Database, "RethinkDB"},

	5005: {Debugger, "Java debugger"}, 5037: {Debugger, "Android debug bridge"}, 5555: {Debugger, "Android debug bridge"}, 5678: {Debugger, "Python debugger"},
	5858: {Debugger, "Node.js debugger"}, 9222: {Debugger, "Chrome's debugger"}, 9229: {Debugger, "Node.js debugger"}, 9230: {Debugger, "Node.js debugger"},
	40000: {Debugger, "Go debugger"},

	2375: {Containers, "Docker"}, 2376: {Containers, "Docker"}, 2377: {Containers, "Docker Swarm"}, 6443: {Containers, "Kubernetes"},
	10250: {Containers, "Kubernetes"}, 10255: {Containers, "Kubernetes"}, 10257: {Containers, "Kubernetes"}, 10259: {Containers, "Kubernetes"},
	16443: {Containers, "Kubernetes"},

	21: {RemoteAccess, "FTP"}, 22: {RemoteAccess, "SSH"}, 23: {RemoteAccess, "Telnet"}, 139: {RemoteAccess, "Windows file sharing"},
	445: {RemoteAccess, "Windows file sharing"}, 548: {RemoteAccess, "Apple file sharing"}, 873: {RemoteAccess, "rsync"}, 2049: {RemoteAccess, "NFS"},
	3389: {RemoteAccess, "Remote Desktop"}, 5900: {RemoteAccess, "VNC"}, 5901: {RemoteAccess, "VNC"}, 5985: {RemoteAccess, "Windows Remote Management"},
	5986: {RemoteAccess, "Windows Remote Management"}, 6000: {RemoteAccess, "X11"},

	9911: {Credentials, "AWS credentials helper"}, 51678: {Credentials, "Amazon ECS agent"}, 51679: {Credentials, "Amazon ECS agent"}, 988: {Credentials, "GKE metadata server"},
	8200: {Credentials, "Vault"},

	25: {Internal, "mail server"}, 53: {Internal, "DNS"}, 111: {Internal, "rpcbind"}, 135: {Internal, "Windows RPC"}, 389: {Internal, "LDAP"}, 631: {Internal, "printing (CUPS)"}, 636: {Internal, "LDAP"},
	2181: {Internal, "ZooKeeper"}, 4369: {Internal, "Erlang port mapper"}, 5672: {Internal, "RabbitMQ"}, 8500: {Internal, "Consul"}, 9092: {Internal, "Kafka"},
	4040: {Internal, "a console (ngrok, Spark)"}, 9090: {Internal, "a console (Cockpit, Prometheus)"}, 15672: {Internal, "RabbitMQ"}, 61616: {Internal, "ActiveMQ"},
}

// hazardous are programs that are hazards wherever they listen, by their names in
// lower case.
var hazardous = map[string]struct {
	kind HazardKind
	name string
}{
	"postgres": {Database, "PostgreSQL"}, "mysqld": {Database, "MySQL"}, "mariadbd": {Database, "MariaDB"}, "redis-server": {Database, "Redis"},
	"valkey-server": {Database, "Valkey"}, "keydb-server": {Database, "KeyDB"}, "dragonfly": {Database, "Dragonfly"}, "mongod": {Database, "MongoDB"}, "mongos": {Database, "MongoDB"},
	"memcached": {Database, "memcached"}, "sqlservr": {Database, "SQL Server"}, "clickhouse": {Database, "ClickHouse"}, "clickhouse-server": {Database, "ClickHouse"},
	"influxd": {Database, "InfluxDB"}, "couchdb": {Database, "CouchDB"}, "cockroach": {Database, "CockroachDB"}, "etcd": {Database, "etcd"}, "arangod": {Database, "ArangoDB"},
	"surreal": {Database, "SurrealDB"}, "tidb-server": {Database, "TiDB"}, "rethinkdb": {Database, "RethinkDB"}, "qdrant": {Database, "Qdrant"},

	"dlv": {Debugger, "Go debugger"}, "gdbserver": {Debugger, "gdbserver"}, "lldb-server": {Debugger, "lldb-server"}, "debugserver": {Debugger, "lldb"}, "adb": {Debugger, "Android debug bridge"},

	"dockerd": {Containers, "Docker"}, "containerd": {Containers, "containerd"}, "podman": {Containers, "Podman"}, "kube-apiserver": {Containers, "Kubernetes"},
	"kubelet": {Containers, "Kubernetes"}, "k3s": {Containers, "Kubernetes"}, "k3s-server": {Containers, "Kubernetes"}, "kubectl": {Containers, "kubectl"},
	"kube-controller-manager": {Containers, "Kubernetes"}, "kube-scheduler": {Containers, "Kubernetes"}, "kubelite": {Containers, "Kubernetes"},

	"sshd": {RemoteAccess, "SSH"}, "smbd": {RemoteAccess, "Windows file sharing"}, "xrdp": {RemoteAccess, "Remote Desktop"}, "x11vnc": {RemoteAccess, "VNC"},
	"xvnc": {RemoteAccess, "VNC"}, "vino-server": {RemoteAccess, "VNC"}, "gnome-remote-desktop-daemon": {RemoteAccess, "Remote Desktop"}, "krfb": {RemoteAccess, "VNC"},
	"vncserver": {RemoteAccess, "VNC"}, "winvnc": {RemoteAccess, "VNC"}, "tvnserver": {RemoteAccess, "VNC"}, "teamviewerd": {RemoteAccess, "TeamViewer"}, "anydesk": {RemoteAccess, "AnyDesk"},
	"ttyd": {RemoteAccess, "a shell in the browser"}, "wetty": {RemoteAccess, "a shell in the browser"}, "code-server": {RemoteAccess, "code-server"}, "vsftpd": {RemoteAccess, "FTP"}, "rsync": {RemoteAccess, "rsync"},

	"aws-vault": {Credentials, "aws-vault"}, "aws_signing_helper": {Credentials, "AWS credentials helper"}, "gke-metadata-server": {Credentials, "GKE metadata server"},
	"vault": {Credentials, "Vault"},

	"cupsd": {Internal, "printing (CUPS)"}, "rpcbind": {Internal, "rpcbind"}, "slapd": {Internal, "LDAP"}, "epmd": {Internal, "Erlang port mapper"},
	"consul": {Internal, "Consul"},
}

// HazardOfPort says what usually listens on a port, if that is hazardous.
func HazardOfPort(port int) Hazard {
	p := ports[port]
	return hazard(p.kind, p.name)
}

// HazardOf judges a target that a person typed. It knows no more of it than the
// address, or where the folder is. Own are folders with this program's keys, besides the
// one that is theirs by default.
func HazardOf(t target.Target, own ...string) Hazard {
	if t.IsFolder() {
		home, _ := os.UserHomeDir()
		if base, err := os.UserConfigDir(); err == nil {
			own = append(slices.Clone(own), filepath.Join(base, "culvert"))
		}
		return hazardOfTree(t.Folder, home, own)
	}
	return hazardOfAddress(strings.TrimSuffix(t.Host, "."), t.Port)
}

// hazardOf judges a listener by its process, and by its port if that says no better.
func hazardOf(port int, p process, id identity) Hazard {
	if h, ok := hazardous[trimVersion(p.name)]; ok {
		return hazard(h.kind, h.name)
	}
	if name := debugs(port, p.args); name != "" {
		return hazard(Debugger, name)
	}
	h := HazardOfPort(port)
	// A debugger belongs to the very process that serves pages on another port. The
	// rest is where it is by custom only: a web server may be there as well.
	if id.kind == web && (h.Kind != Debugger || id.name == "n8n") {
		return Hazard{}
	}
	return h
}

// debugs names the debugger that a command line has asked for on this port, or "".
func debugs(port int, args []string) string {
	for i, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch {
		case strings.HasPrefix(name, "--inspect") || name == "--remote-debugging-port" || name == "--debug-port":
			if endsWithPort(value, port) {
				return map[bool]string{true: "Node.js debugger", false: "Chrome's debugger"}[strings.HasPrefix(name, "--inspect")]
			}
		case strings.HasPrefix(arg, "-agentlib:jdwp") || strings.HasPrefix(arg, "-Xrunjdwp"):
			for option := range strings.SplitSeq(arg, ",") {
				if address, ok := strings.CutPrefix(option, "address="); ok && endsWithPort(address, port) {
					return "Java debugger"
				}
			}
		case arg == "--listen" && i+1 < len(args) && slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "debugpy") }):
			if endsWithPort(args[i+1], port) {
				return "Python debugger"
			}
		}
	}
	return ""
}

// endsWithPort reports whether an address, or a port alone, has that port.
func endsWithPort(address string, port int) bool {
	_, last, ok := cutLast(address, ":")
	if !ok {
		last = address
	}
	return last == strconv.Itoa(port)
}
