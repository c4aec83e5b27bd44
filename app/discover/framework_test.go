package discover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a folder with files in it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		program, line string // the arguments are apart by spaces
		files         map[string]string
		below         string // the folder is below the files
		want          string
	}{
		{"node", "node /home/x/shop/node_modules/.bin/vite --port 3000", nil, "", "vite"},
		{"node", "/usr/bin/node /x/node_modules/.pnpm/vite@6.0.0/node_modules/vite/bin/vite.js", nil, "", "vite"},
		{"node", "node --inspect /x/node_modules/next/dist/bin/next dev", nil, "", "next"},
		{"node", "next-server (v15.1.0)", nil, "", "next"},
		{"node", "node /x/node_modules/@angular/cli/bin/ng.js serve", nil, "", "angular"},
		{"node", "ng serve", nil, "", "angular"},
		{"node", "node /x/node_modules/react-scripts/scripts/start.js", nil, "", "react-scripts"},
		{"node", "node ./node_modules/.bin/nuxt dev", nil, "", "nuxt"},
		{"node", "node /x/node_modules/astro/astro.js dev", nil, "", "astro"},
		{"node", "node /x/node_modules/.bin/webpack serve", nil, "", "webpack"},
		{"node", "node /x/node_modules/.bin/parcel index.html", nil, "", "parcel"},
		{"node", "node /x/node_modules/.bin/storybook dev -p 6006", nil, "", "storybook"},
		{"node", `C:\Program Files\nodejs\node.exe C:\shop\node_modules\vite\bin\vite.js`, nil, "", "vite"},
		{"node", "node server.js", map[string]string{"package.json": `{"dependencies":{"express":"^4"}}`}, "", "express"},
		{"node", "node dist/main.js", map[string]string{"package.json": `{"dependencies":{"@nestjs/core":"1","express":"4"}}`}, "dist", "nest"},
		{"node", "node server.js", map[string]string{"package.json": `{"devDependencies":{"vite":"6"},"dependencies":{"express":"4"}}`}, "", "express"},
		{"node", "node server.js", map[string]string{"package.json": `no JSON`}, "", ""},
		{"node", "node server.js", map[string]string{"package.json": `{"dependencies":[1]}`}, "", ""},
		{"node", "node server.js", nil, "", ""},
		{"node", "node server.js", map[string]string{"package.json": `{"dependencies":{"express":"4"}}`}, "a/b/c/d", ""},
		{"bun", "bun run node_modules/.bin/vite", nil, "", "vite"},
		{"deno", "deno run -A main.ts", nil, "", ""},
		{"python3.12", "python3 -m http.server 8000", nil, "", "python http.server"},
		{"python3.12", "python manage.py runserver 0.0.0.0:8000", nil, "", "django"},
		{"python3.11", "/x/venv/bin/python /x/venv/bin/flask run", nil, "", "flask"},
		{"python3", "python -m flask --app hello run", nil, "", "flask"},
		{"python3", "/x/bin/python3 /x/bin/uvicorn main:app --reload", nil, "", "uvicorn"},
		{"python3", "/x/bin/python3 /x/bin/uvicorn main:app", map[string]string{"pyproject.toml": "dependencies = ['fastapi']"}, "", "fastapi"},
		{"python3", "gunicorn: master [shop]", nil, "", "gunicorn"},
		{"python3", "gunicorn: master [shop]", map[string]string{"manage.py": ""}, "", "django"},
		{"python3", "/x/bin/python /x/bin/jupyter-lab", nil, "", "jupyter"},
		{"python3", "/x/bin/python /x/bin/streamlit run app.py", nil, "", "streamlit"},
		{"python3", "python3 -m debugpy --listen 5678 manage.py runserver", nil, "", "django"},
		{"python3", "python3 script.py", nil, "", ""},
		{"ruby", "puma 6.4.2 (tcp://0.0.0.0:3000) [shop]", map[string]string{"config/application.rb": ""}, "", "rails"},
		{"ruby", "puma 6.4.2 (tcp://0.0.0.0:9292) [api]", nil, "", "puma"},
		{"ruby3.1", "/usr/bin/ruby bin/rails server", nil, "", "rails"},
		{"ruby", "ruby /usr/local/bin/jekyll serve", nil, "", "jekyll"},
		{"php8.2", "php artisan serve", nil, "", "laravel"},
		{"php8.2", "/usr/bin/php8.2 -S 127.0.0.1:8000 ../server.php", map[string]string{"artisan": "", "public/index.php": ""}, "public", "laravel"},
		{"php", "php -S localhost:8000", nil, "", "php -S"},
		{"hugo", "hugo server", nil, "", "hugo"},
		{"caddy", "caddy run", nil, "", "caddy"},
		{"nginx", "nginx: master process /usr/sbin/nginx", nil, "", "nginx"},
		{"java", "java -jar shop-0.1.jar --spring.config=x", nil, "", ""},
		{"java", "java -cp /m2/spring-boot-devtools-3.2.jar:/x/classes com.example.Shop", nil, "", "spring"},
		{"java", "java org.apache.catalina.startup.Bootstrap start", nil, "", "tomcat"},
		{"dotnet", "dotnet /x/bin/Debug/net9.0/Shop.dll", nil, "", "dotnet"},
		{"", "", nil, "", ""},
	} {
		p := process{name: c.program, args: strings.Split(c.line, " ")}
		if strings.Contains(c.line, ": ") || strings.Contains(c.line, "(") { // a title has no arguments
			p.args = []string{c.line}
		}
		if strings.Contains(c.line, "Program Files") {
			p.args = []string{`C:\Program Files\nodejs\node.exe`, `C:\shop\node_modules\vite\bin\vite.js`}
		}
		if c.files != nil {
			p.folder = filepath.Join(tree(t, c.files), filepath.FromSlash(c.below))
		}
		if got := identify(p); got.name != c.want || (got.name != "") != (got.kind == web) {
			t.Errorf("%s, %q is %+v, want %q", c.program, c.line, got, c.want)
		}
	}
}

func TestIdentifyByProgram(t *testing.T) {
	t.Parallel()
	for exe, want := range map[string]string{
		"/tmp/go-build123/b001/exe/shop": "go run", "/home/x/shop/target/debug/shop": "cargo run",
		`C:\shop\bin\Debug\net9.0\Shop.exe`: "dotnet", "/usr/local/bin/shop": "",
	} {
		if got := identify(process{name: "shop", exe: exe, args: []string{exe}}); got.name != want {
			t.Errorf("%s is %q, want %q", exe, got.name, want)
		}
	}
}

// Whatever a process calls itself, looking at it does no harm.
func FuzzIdentify(f *testing.F) {
	f.Add("node", "node\x00/x/node_modules/@a", 3000)
	f.Add("java", "-agentlib:jdwp=address=*:5005", 5005)
	f.Add("", "\x00\x00", -1)
	f.Fuzz(func(t *testing.T, name, line string, port int) {
		p := process{name: name, args: strings.Split(line, "\x00")}
		describe(listener{port: port}, p, func(int) process { return p })
	})
}
