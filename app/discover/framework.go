package discover

import (
	"path"
	"slices"
	"strings"
)

// kind is what a program is for.
type kind int

const (
	unknown kind = iota
	web          // it is there to be looked at with a browser, or called by HTTP
	other        // it is there for something else
)

// identity is what a process turned out to be; name is "" if that is not known.
type identity struct {
	name string
	kind kind
}

// identify says what a process is by its program, its command line, and the
// project's files in its folder.
func identify(p process) identity {
	program := trimVersion(p.name)
	if id, ok := programs[program]; ok {
		return id
	}
	// Some give themselves a title, which takes the place of the command line.
	if len(p.args) > 0 {
		title, _, _ := strings.Cut(p.args[0], " ")
		if id, ok := titles[strings.TrimSuffix(title, ":")]; ok {
			return refine(id, p)
		}
	}
	for _, tool := range tools(p.args) {
		if id, ok := identities[tool]; ok {
			return refine(id, p)
		}
	}
	switch program {
	case "node", "bun", "deno":
		return identifyPackage(p.folder)
	case "php", "php-fpm":
		return identifyPHP(p)
	case "java":
		return identifyJava(p.args)
	case "dotnet":
		return identity{"dotnet", web}
	}
	slash := strings.ReplaceAll(p.exe, `\`, "/")
	switch {
	case strings.Contains(slash, "/go-build") && strings.Contains(slash, "/exe/"):
		return identity{"go run", web}
	case strings.Contains(slash, "/target/debug/"):
		return identity{"cargo run", web}
	case strings.Contains(slash, "/bin/Debug/net"):
		return identity{"dotnet", web}
	}
	return identity{}
}

// maxTools bounds how many words of a command line are looked at.
const maxTools = 32

// tools are the names by which a command line calls what it runs: those of programs
// and scripts without folder and suffix, of npm packages, of Python modules.
func tools(args []string) []string {
	var names []string
	for i, arg := range args[:min(len(args), maxTools)] {
		if i > 0 && args[i-1] == "-m" { // python -m http.server
			names = append(names, "-m "+arg)
			arg, _, _ = strings.Cut(arg, ".")
		}
		if strings.HasPrefix(arg, "-") || strings.ContainsAny(arg, "=:") && i > 0 && !strings.ContainsAny(arg, `\/`) {
			continue
		}
		arg = strings.ReplaceAll(arg, `\`, "/")
		if _, inside, ok := cutLast(arg, "/node_modules/"); ok {
			parts := strings.SplitN(inside, "/", 3)
			name := parts[0]
			if strings.HasPrefix(name, "@") && len(parts) > 1 {
				name += "/" + parts[1]
			}
			if name != ".bin" {
				names = append(names, name)
				continue
			}
		}
		names = append(names, trimVersion(strings.TrimSuffix(stem(path.Base(arg)), ".exe")))
	}
	return names
}

// stem takes the suffixes of scripts off.
func stem(name string) string {
	for _, suffix := range []string{".js", ".mjs", ".cjs", ".ts", ".py", ".rb", ".exe", ".cmd"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && base != "" {
			return base
		}
	}
	return name
}

// trimVersion makes "python3.12" and "php8.2" what they are called.
func trimVersion(name string) string {
	base := strings.TrimRight(strings.ToLower(name), "0123456789.-")
	switch base {
	case "python", "php", "ruby", "perl", "node", "php-fpm":
		return base
	}
	return strings.ToLower(name)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// isWorker reports whether a process is one that another program has started to do
// its work, and that tells nothing itself.
func isWorker(p process) bool {
	for _, arg := range p.args[:min(len(p.args), maxTools)] {
		if strings.Contains(arg, "multiprocessing") || strings.HasPrefix(arg, "--multiprocessing") {
			return true
		}
	}
	return false
}

// isCulvert reports whether a program is one of this project's.
func isCulvert(name string) bool { return name == "culvert" || name == "culvert-desktop" }

// programs are what a program is by its name alone.
var programs = map[string]identity{
	"nginx": {"nginx", web}, "caddy": {"caddy", web}, "apache2": {"apache", web}, "httpd": {"apache", web},
	"lighttpd": {"lighttpd", web}, "traefik": {"traefik", web}, "haproxy": {"haproxy", web}, "hugo": {"hugo", web},
	"zola": {"zola", web}, "mdbook": {"mdbook", web}, "trunk": {"trunk", web}, "pocketbase": {"pocketbase", web},
	"grafana": {"grafana", web}, "grafana-server": {"grafana", web}, "prometheus": {"prometheus", web},
	"minio": {"minio", web}, "mailpit": {"mailpit", web}, "mailhog": {"mailhog", web}, "ollama": {"ollama", web},
	"uvicorn": {"uvicorn", web}, "gunicorn": {"gunicorn", web}, "puma": {"puma", web}, "wiremock": {"wiremock", web},
	"docker-proxy": {"docker", unknown}, "com.docker.backend": {"docker", unknown}, "rootlesskit": {"docker", unknown},
	"rootlessport": {"podman", unknown}, "wslrelay": {"wsl", unknown},
	"beam.smp": {"erlang", unknown},
	"code":     {"VS Code", other}, "code-server": {"code-server", web},
	"systemd-resolve": {"dns", other}, "systemd-resolved": {"dns", other}, "dnsmasq": {"dns", other}, "named": {"dns", other},
	"master": {"mail", other}, "exim4": {"mail", other}, "rpcbind": {"rpcbind", other}, "avahi-daemon": {"avahi", other},
	"x": {"X11", other}, "xorg": {"X11", other}, "pulseaudio": {"pulseaudio", other}, "dropbox": {"dropbox", other},
	"spotify": {"spotify", other}, "svchost": {"windows", other}, "lsass": {"windows", other}, "services": {"windows", other},
	"wininit": {"windows", other}, "spoolsv": {"windows", other}, "system": {"windows", other},
	"controlcenter": {"AirPlay", other}, "controlce": {"AirPlay", other}, "rapportd": {"macOS", other},
}

// titles are the first words of the titles that programs give themselves.
var titles = map[string]identity{
	"next-server": {"next", web}, "next-router-worker": {"next", web}, "next-render-worker": {"next", web},
	"puma": {"puma", web}, "gunicorn": {"gunicorn", web}, "unicorn": {"unicorn", web}, "uvicorn": {"uvicorn", web},
	"nginx": {"nginx", web}, "php-fpm": {"php-fpm", other}, "nuxt": {"nuxt", web}, "ng": {"angular", web}, "gatsby": {"gatsby", web},
}

// identities are what is run by a command line that calls a tool; see tools.
var identities = map[string]identity{
	// JavaScript
	"vite": {"vite", web}, "next": {"next", web}, "nuxt": {"nuxt", web}, "nuxi": {"nuxt", web}, "nuxi-ng": {"nuxt", web},
	"@nuxt/cli": {"nuxt", web}, "astro": {"astro", web}, "webpack": {"webpack", web}, "webpack-cli": {"webpack", web},
	"webpack-dev-server": {"webpack", web}, "parcel": {"parcel", web}, "parcel-bundler": {"parcel", web},
	"react-scripts": {"react-scripts", web}, "@angular/cli": {"angular", web}, "ng": {"angular", web},
	"@vue/cli-service": {"vue-cli", web}, "vue-cli-service": {"vue-cli", web}, "@remix-run/dev": {"remix", web},
	"@remix-run/serve": {"remix", web}, "remix": {"remix", web}, "remix-serve": {"remix", web}, "gatsby": {"gatsby", web},
	"@react-router/dev": {"react-router", web}, "@react-router/serve": {"react-router", web},
	"storybook": {"storybook", web}, "@storybook/cli": {"storybook", web}, "start-storybook": {"storybook", web},
	"expo": {"expo", web}, "@expo/cli": {"expo", web}, "metro": {"metro", web}, "react-native": {"metro", web},
	"@11ty/eleventy": {"eleventy", web}, "eleventy": {"eleventy", web}, "vitepress": {"vitepress", web}, "vuepress": {"vuepress", web},
	"@docusaurus/core": {"docusaurus", web}, "docusaurus": {"docusaurus", web}, "@rsbuild/core": {"rsbuild", web}, "rsbuild": {"rsbuild", web},
	"@rspack/cli": {"rspack", web}, "rspack": {"rspack", web}, "farm": {"farm", web}, "vinxi": {"vinxi", web},
	"@nestjs/cli": {"nest", web}, "nest": {"nest", web}, "fastify-cli": {"fastify", web}, "@strapi/strapi": {"strapi", web}, "strapi": {"strapi", web},
	"ember": {"ember", web}, "ember-cli": {"ember", web}, "wrangler": {"wrangler", web}, "workerd": {"wrangler", web},
	"http-server": {"http-server", web}, "serve": {"serve", web}, "live-server": {"live-server", web}, "browser-sync": {"browser-sync", web},
	"json-server": {"json-server", web}, "n8n": {"n8n", web}, "node-red": {"node-red", web}, "firebase-tools": {"firebase", web},
	"netlify-cli": {"netlify", web}, "vercel": {"vercel", web}, "serverless-offline": {"serverless", web}, "directus": {"directus", web},
	"snowpack": {"snowpack", web}, "stencil": {"stencil", web}, "preact-cli": {"preact", web}, "solid-start": {"solid-start", web},
	// Python
	"-m http.server": {"python http.server", web}, "manage": {"django", web}, "django-admin": {"django", web}, "runserver": {"django", web},
	"flask": {"flask", web}, "uvicorn": {"uvicorn", web}, "fastapi": {"fastapi", web}, "gunicorn": {"gunicorn", web},
	"hypercorn": {"hypercorn", web}, "daphne": {"daphne", web}, "granian": {"granian", web}, "waitress-serve": {"waitress", web},
	"streamlit": {"streamlit", web}, "gradio": {"gradio", web}, "jupyter": {"jupyter", web}, "jupyter-lab": {"jupyter", web},
	"jupyter-notebook": {"jupyter", web}, "jupyterlab": {"jupyter", web}, "notebook": {"jupyter", web}, "mkdocs": {"mkdocs", web},
	"sphinx-autobuild": {"sphinx", web}, "tensorboard": {"tensorboard", web}, "mlflow": {"mlflow", web}, "airflow": {"airflow", web},
	"superset": {"superset", web}, "chainlit": {"chainlit", web}, "litestar": {"litestar", web}, "sanic": {"sanic", web},
	"httpbin": {"httpbin", web}, "datasette": {"datasette", web}, "ipykernel_launcher": {"jupyter kernel", other},
	// Ruby, PHP, Elixir, others
	"rails": {"rails", web}, "puma": {"puma", web}, "unicorn": {"unicorn", web}, "thin": {"thin", web}, "rackup": {"rack", web},
	"jekyll": {"jekyll", web}, "middleman": {"middleman", web}, "webrick": {"webrick", web}, "artisan": {"laravel", web}, "symfony": {"symfony", web},
	"phx.server": {"phoenix", web}, "hugo": {"hugo", web}, "caddy": {"caddy", web}, "wiremock": {"wiremock", web}, "swagger-ui": {"swagger", web},
	"ttyd": {"ttyd", web},
}

// refine looks closer at what has many shapes.
func refine(id identity, p process) identity {
	switch id.name {
	case "uvicorn", "gunicorn", "hypercorn":
		if mentions(p.folder, "fastapi", "pyproject.toml", "requirements.txt", "Pipfile") {
			return identity{"fastapi", web}
		}
		if nearest(p.folder, "manage.py") != "" {
			return identity{"django", web}
		}
	case "puma", "unicorn", "thin", "rack":
		if nearest(p.folder, "config/application.rb") != "" {
			return identity{"rails", web}
		}
	}
	return id
}

// packages are what a program of node, bun or deno is by the packages of its
// project, if its command line does not tell; the most telling first.
var packages = []struct {
	dependency, name string
}{
	{"next", "next"}, {"nuxt", "nuxt"}, {"@nestjs/core", "nest"}, {"@remix-run/node", "remix"}, {"@react-router/node", "react-router"},
	{"@sveltejs/kit", "sveltekit"}, {"astro", "astro"}, {"@strapi/strapi", "strapi"}, {"fastify", "fastify"}, {"hono", "hono"},
	{"elysia", "elysia"}, {"koa", "koa"}, {"@hapi/hapi", "hapi"}, {"express", "express"}, {"vite", "vite"}, {"@angular/core", "angular"},
	{"react-scripts", "react-scripts"}, {"webpack-dev-server", "webpack"}, {"parcel", "parcel"},
}

func identifyPackage(folder string) identity {
	dependencies := readPackage(folder)
	for _, p := range packages {
		if dependencies[p.dependency] {
			return identity{p.name, web}
		}
	}
	return identity{}
}

// identifyPHP: artisan starts the server that PHP has built in, in the folder that
// is public.
func identifyPHP(p process) identity {
	switch {
	case !slices.Contains(p.args, "-S"):
		return identity{}
	case nearest(p.folder, "artisan") != "":
		return identity{"laravel", web}
	case nearest(p.folder, "symfony.lock") != "":
		return identity{"symfony", web}
	}
	return identity{"php -S", web}
}

// identifyJava looks through class paths and names of classes.
func identifyJava(args []string) identity {
	line := strings.Join(args, " ")
	for _, mark := range []struct{ text, name string }{
		{"quarkus", "quarkus"}, {"micronaut", "micronaut"}, {"spring-boot", "spring"}, {"org.springframework.boot", "spring"},
		{"org.apache.catalina", "tomcat"}, {"org.eclipse.jetty", "jetty"}, {"jetty-", "jetty"}, {"jenkins.war", "jenkins"},
		{"play.core.server", "play"}, {"wiremock", "wiremock"}, {"keycloak", "keycloak"},
	} {
		if strings.Contains(line, mark.text) {
			return identity{mark.name, web}
		}
	}
	return identity{}
}
