# shellcheck shell=bash
# Sourced: the Go package from an installed proxy, in a module of a colleague's.

# goget PROXY GO_RELEASE: nothing if `go get`, `go mod tidy`, `go vet` and a vendored build do.
# Other modules come from where they are downloaded to, if they are.
goget() {
	local proxy=$1 dir
	dir=$(mktemp -d)
	(
		GOPROXY=file://$proxy,file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)
		export GOPROXY GOTOOLCHAIN=go$2 GONOSUMDB=cgoheap.example GOMODCACHE=$dir/cache
		export GOFLAGS=-modcacherw\ -trimpath GOWORK=off GONOPROXY='' GOPRIVATE=''
		mkdir "$dir/service" && cd "$dir/service" || exit
		go mod init service.example/service &&
			goget_program >main.go &&
			go get cgoheap.example/cgo_bridge cgoheap.example/cgo_bridge/prom &&
			go mod tidy && go vet . && go mod vendor &&
			GOPROXY=off GOFLAGS=-mod=vendor\ -trimpath go build -o service . &&
			./service
	) >"$dir/log" 2>&1 || echo "exit status $?"
	grep -qx 'not preloaded' "$dir/log" || tail -n 20 "$dir/log"
	rm -rf "$dir"
}

goget_program() {
	cat <<-'EOF'
		package main

		import (
			"context"
			"errors"
			"fmt"

			"cgoheap.example/cgo_bridge"
			"cgoheap.example/cgo_bridge/memlimit"
			"cgoheap.example/cgo_bridge/prom"
		)

		func main() {
			_, err := cgo_bridge.Account(context.Background())
			_, _ = prom.NewCollector(prom.Options{}), memlimit.ErrNoLimit
			if errors.Is(err, cgo_bridge.ErrNotPreloaded) {
				fmt.Println("not preloaded")
			}
		}
	EOF
}
