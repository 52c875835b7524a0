# make          bin/init (static, stripped, reproducible) and bin/rambox
# make run      boot a stock Debian kernel with our init and run a program in it
# make test     everything: unit tests, then virtual machines

GO ?= go

# Neither side links C, and the tests are built as the programs are.
export CGO_ENABLED = 0

# Programs of the guest: no path of this machine, for the oldest amd64.
# Functions need no alignment to cache lines here, and our own code, printing and
# DHCP no inlining, which makes init larger and not faster; and huge pages, which a guest with 512 MB or
# more would give its PID 1, cost it memory and time.
# Go's older garbage collector is 41 KB smaller, and as quick with so small a heap;
# a Go that no longer has it builds with its own.
COLLECTOR := $(shell GOEXPERIMENT=nogreenteagc $(GO) env GOEXPERIMENT >/dev/null 2>&1 && echo nogreenteagc)
GUEST = GOOS=linux GOAMD64=v1 GOEXPERIMENT=$(COLLECTOR) $(GO) build -trimpath -buildvcs=false $(foreach p,rambox/... fmt golang.org/x/sys/unix github.com/...,-gcflags=$(p)=-l) \
	-ldflags='-s -w -buildid= -funcalign=1 -X=runtime.godebugDefault=disablethp=1'
HOST  = $(GO) build -trimpath

# The Debian packages that running, testing and building a kernel need.
PACKAGES = qemu-system-x86 busybox-static kmod cpio e2fsprogs xz-utils zstd lz4 \
	flex bison bc libelf-dev gcc libc6-dev make perl procps ca-certificates \
	iproute2 dnsmasq-base isc-dhcp-server isc-dhcp-client squashfs-tools erofs-utils \
	xfsprogs btrfs-progs f2fs-tools dosfstools mtools exfatprogs ntfs-3g genisoimage xorriso udftools cryptsetup-bin lvm2 mdadm gdisk fdisk debootstrap

.PHONY: all init http-root rambox run test unit lint fuzz cover bench soak deps kernel clean

all: init http-root rambox

init:
	$(GUEST) -o bin/init ./cmd/init

http-root:
	$(GUEST) -tags nethttpomithttp2 -o bin/http-root ./cmd/http-root

rambox:
	$(HOST) -o bin/rambox ./cmd/rambox

run: deps all
	bin/rambox kernel fetch --if-missing cloud
	bin/rambox run -- uname -a

# The kernels come first, so that no test's time has theirs in it.
test: deps all unit
	bin/rambox kernel fetch --if-missing cloud
	bin/rambox kernel fetch --if-missing generic
	bin/rambox kernel build --profile run
	RAMBOX_KERNEL_SOURCE=$$(ls -d "$${RAMBOX_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/rambox}"/source/linux-source-*/ | tail -1) \
		$(GO) test -count=1 -run OnSource ./internal/kernels
	$(GO) test -count=1 -timeout 30m -p 2 ./integration/...

unit:
	$(GO) test ./cmd/... ./pkg/... ./internal/...

# In-guest figures and sizes beside the peers', in one run.
bench: deps all
	$(GO) test -count=1 -timeout 60m -run '^$$' -bench . -benchtime 1x ./integration/bench

# 200 boots in a row.
soak: deps all
	RAMBOX_SOAK=200 $(GO) test -count=1 -timeout 120m -run TestSoak -v ./integration/run

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags nonet ./cmd/init ./pkg/boot
	$(GO) vet -tags nodisk ./cmd/init ./pkg/boot
	@if command -v golangci-lint >/dev/null; then golangci-lint run; \
	else $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...; fi

FUZZTIME ?= 30s
fuzz:
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; \
		done; \
	done

cover:
	$(GO) test -coverprofile=coverage.out ./cmd/... ./pkg/... ./internal/...
	$(GO) tool cover -func=coverage.out | tail -1

kernel: deps all
	bin/rambox kernel build --profile run

# Installs what is missing as root; otherwise says in one line what it is.
deps:
	@missing=$$(for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done | xargs); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "missing: $$missing (as root: apt-get install $$missing)" >&2; exit 1; fi; \
	echo "installing $$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get install -qq -y --no-install-recommends $$missing >/dev/null 2>&1 || \
	{ apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null; }

clean:
	rm -rf bin coverage.out
