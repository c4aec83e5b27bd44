# Culvert's commands. `make` alone lists them.
#
# run and test first do whatever part of the setup is missing, so a fresh
# clone needs nothing but Go, git and make.

.DEFAULT_GOAL := help
.PHONY: help setup run test build bootstrap package icons screenshots bench bench-ui bench-aws sqs deploy clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what building and testing need (says what before it does)
	@.ci/setup build test

run: ## build and start the desktop app (without a display: the headless demo)
	@.ci/start

test: ## run every test, end to end included
	@.ci/setup build test
	@.ci/test

build: ## build culvert and culvert-desktop into bin/
	@.ci/setup build
	CGO_ENABLED=0 go build -o bin/culvert ./app/cmd/culvert
	CGO_ENABLED=1 go build -tags no_animations -o bin/culvert-desktop ./app/cmd/culvert-desktop

bootstrap: ## build the Lambda functions' program for this machine, beside culvert: for culvert aws-local
	@.ci/setup
	CGO_ENABLED=0 go build -o bin/culvert ./app/cmd/culvert
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags lambda.norpc -ldflags '-s -w -buildid=' -o bin/bootstrap ./backend/cmd/lambda

package: ## build what users install into dist/: a tarball and a .deb (ARGS='linux windows' for both)
	@.ci/setup build package
	@.ci/package $(ARGS)

icons: ## draw the icons anew from their SVG sources
	@assets/icons/render

screenshots: ## draw every state of the window into dist/screenshots
	CGO_ENABLED=0 go test -count=1 -run 'TestScreenshots$$' ./app/ui -args -screenshots '$(CURDIR)/dist/screenshots'

bench: ## measure what a tunnel costs beside plain proxies, in some ten minutes (ARGS='-only load' for a part)
	@.ci/setup
	CGO_ENABLED=0 go build -o bin/culvert ./app/cmd/culvert
	CGO_ENABLED=0 go build -o bin/bench-tunnels ./app/bench
	@exec bin/bench-tunnels -culvert bin/culvert $(ARGS)

bench-ui: ## measure the window on a private screen: start, idle, a storm of requests, large bodies
	@.ci/setup build test
	CGO_ENABLED=1 go build -tags migrated_fynedo,release,no_emoji,no_animations -o bin/ ./app/cmd/culvert-desktop ./app/ui/bench
	env -u WAYLAND_DISPLAY LIBGL_ALWAYS_SOFTWARE=1 xvfb-run -a -s '-screen 0 1280x800x24 -ac -noreset' dbus-run-session -- bin/bench $(ARGS)

bench-aws: bootstrap ## measure what requests cost on AWS, and how much latency they gain (ARGS='-only "1/2 KB" -naive=false')
	go run ./backend/awslocal/bench -culvert bin/culvert -bootstrap bin/bootstrap $(ARGS)

sqs: ## run a queue server on 127.0.0.1:9324, for culvert aws-local --sqs (needs Java, and Maven the first time)
	@.ci/setup
	go build -o bin/sqs ./backend/awslocal/sqslocal/serve
	@exec bin/sqs $(ARGS)

deploy: ## put the backend into your AWS account, or upgrade it (ARGS=--help tells how)
	@deploy/deploy $(ARGS)

clean: ## remove what these commands made inside the checkout
	rm -rf bin dist .ci/out deploy/.aws-sam
