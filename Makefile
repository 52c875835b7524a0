# make          bin/init (static, stripped, reproducible), bin/rambox, and bin/ARCH/init for other architectures
# make run      boot a stock Debian kernel with our init and run a program in it
# make test     everything: unit tests, then virtual machines
# make install  to PREFIX (/usr/local) below DESTDIR, with manual and completions

GO ?= go

# Neither side links C, and the tests are built as the programs are.
export CGO_ENABLED = 0

# Programs of the guest: no path of this machine, for the oldest CPU of each kind (arm: ARMv7).
# Functions need no alignment to cache lines here, and our own code, printing and
# DHCP no inlining, which makes init larger and not faster; and huge pages, which a guest with 512 MB or
# more would give its PID 1, cost it memory and time.
# Go's older garbage collector is 41 KB smaller, and as quick with so small a heap;
# a Go that no longer has it builds with its own.
COLLECTOR := $(shell GOEXPERIMENT=nogreenteagc $(GO) env GOEXPERIMENT >/dev/null 2>&1 && echo nogreenteagc)
GUEST = GOOS=linux GOAMD64=v1 GO386=sse2 GOARM=7 GOARM64=v8.0 GORISCV64=rva20u64 GOEXPERIMENT=$(COLLECTOR) $(GO) build -trimpath -buildvcs=false $(foreach p,rambox/... fmt golang.org/x/sys/unix github.com/...,-gcflags=$(p)=-l) \
	-ldflags='-s -w -buildid= -funcalign=1 -X=runtime.godebugDefault=disablethp=1'
HOST  = $(GO) build -trimpath

# The Debian packages that running, testing and building a kernel need.
PACKAGES = qemu-system-x86 qemu-system-arm busybox-static kmod cpio e2fsprogs xz-utils zstd lz4 \
	flex bison bc libelf-dev gcc gcc-aarch64-linux-gnu libc6-dev make patch perl procps ca-certificates \
	iproute2 dnsmasq-base isc-dhcp-server isc-dhcp-client squashfs-tools erofs-utils \
	xfsprogs btrfs-progs f2fs-tools dosfstools mtools exfatprogs ntfs-3g genisoimage xorriso udftools cryptsetup-bin lvm2 mdadm gdisk fdisk debootstrap \
	isolinux syslinux-common systemd-boot-efi ovmf qemu-efi-aarch64 ipxe pxelinux tftp-hpa atftp curl kea-admin kea-dhcp4-server etcd-server

# Architectures of the guest. This machine's programs are in bin, the others' in bin/ARCH.
ARCHES = amd64 386 arm arm64 riscv64
CROSS := $(filter-out $(shell $(GO) env GOARCH),$(ARCHES))

.PHONY: small all host cross $(CROSS:%=cross-%) init http-root rambox run test unit lint fuzz cover bench bench-docs suites soak deps kernel clean man install

all: host cross

host: init http-root rambox

init:
	$(GUEST) -o bin/init ./cmd/init

http-root:
	$(GUEST) -tags nethttpomithttp2 -o bin/http-root ./cmd/http-root

cross: $(CROSS:%=cross-%)

$(CROSS:%=cross-%): cross-%:
	GOARCH=$* $(GUEST) -o bin/$*/init ./cmd/init
	GOARCH=$* $(GUEST) -tags nethttpomithttp2 -o bin/$*/http-root ./cmd/http-root

rambox:
	$(HOST) -o bin/rambox ./cmd/rambox

run: deps host
	bin/rambox kernel fetch --if-missing cloud
	bin/rambox run -- uname -a

# The packages that take longest, the longest first.
LONGEST = root debian run netboot gotest handoff

# The kernels come first, so that no test's time has theirs in it, and then what
# takes longest, so that it does not run alone at the end. make lint runs vet.
test: deps all
	bin/rambox kernel fetch --if-missing cloud
	bin/rambox kernel fetch --if-missing generic
	bin/rambox kernel fetch --if-missing --arch arm64
	bin/rambox kernel fetch --if-missing --arch arm
	bin/rambox kernel build --profile run
	RAMBOX_KERNEL_SOURCE=$$(ls -d "$${RAMBOX_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/rambox}"/source/linux-source-*/ | tail -1) \
		$(GO) test -count=1 -vet=off -timeout 30m -p 2 $(LONGEST:%=./integration/%) ./cmd/... ./pkg/... ./internal/... ./examples/... ./integration/...

unit:
	$(GO) test ./cmd/... ./pkg/... ./internal/... ./examples/...

# Figures beside the peers', in one run: docs/benchmarks.md. Everything that is printed is kept, too.
bench: deps host cross-386
	bin/rambox kernel fetch --if-missing cloud
	bin/rambox kernel build --profile run
	$(GO) test -count=1 -p 1 -timeout 60m -run '^$$' -bench . -benchtime 1x ./integration/bench ./integration/netboot | \
		$(GO) run ./integration/bench/report -keep bin/bench.txt

# The tables and the chart of docs/benchmarks.md, from the last make bench.
bench-docs:
	$(GO) run ./integration/bench/report -docs docs bin/bench.txt

# The tests of three public packages in machines and on this one, compared (docs/testing.md).
suites: deps host
	bin/rambox kernel fetch --if-missing generic
	RAMBOX_SUITES=1 $(GO) test -count=1 -timeout 120m -run TestSuites -v ./integration/gotest

# What our small kernels promise; building them takes an hour of one processor, once.
small: deps all
	bin/rambox kernel build --profile tiny
	bin/rambox kernel build --profile tiny --arch 386
	bin/rambox kernel build --profile micro
	bin/rambox kernel build --profile iso
	bin/rambox kernel build --profile node
	$(GO) test -count=1 -timeout 30m -tags small ./integration/small
	$(GO) test -count=1 -timeout 30m -tags small -run TestNodeKernel ./integration/netboot
	$(GO) test -count=1 -timeout 30m -tags small -run TestSmallISO ./integration/media

# 200 boots in a row, then 200 four at a time.
soak: deps host
	RAMBOX_SOAK=200 $(GO) test -count=1 -timeout 120m -run TestSoak -v ./integration/run

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	$(GO) vet ./...
	for arch in $(CROSS); do GOARCH=$$arch $(GO) vet ./cmd/init ./cmd/http-root ./pkg/... || exit 1; done
	$(GO) vet -tags nonet ./cmd/init ./pkg/boot
	$(GO) vet -tags nodisk ./cmd/init ./pkg/boot
	$(GO) vet -tags man ./cmd/rambox
	$(GO) vet -tags small ./integration/small ./integration/netboot ./integration/media
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

# The manual, from the commands themselves, dated by the last commit.
man: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
man:
	rm -rf bin/man
	$(GO) run -tags man ./cmd/rambox man bin/man/man1

# To run it elsewhere: rambox finds the guest's programs in ../lib/rambox.
PREFIX ?= /usr/local
DEST = $(DESTDIR)$(PREFIX)
install: all man
	install -D -m 755 bin/rambox $(DEST)/bin/rambox
	cd bin && for p in init http-root $(CROSS:%=%/init) $(CROSS:%=%/http-root); do install -D -m 755 $$p $(DEST)/lib/rambox/$$p || exit 1; done
	install -d $(DEST)/share/man/man1 && install -m 644 bin/man/man1/*.1 $(DEST)/share/man/man1
	install -d $(DEST)/share/bash-completion/completions $(DEST)/share/zsh/site-functions $(DEST)/share/fish/vendor_completions.d
	bin/rambox completion bash >$(DEST)/share/bash-completion/completions/rambox
	bin/rambox completion zsh >$(DEST)/share/zsh/site-functions/_rambox
	bin/rambox completion fish >$(DEST)/share/fish/vendor_completions.d/rambox.fish

kernel: deps host
	bin/rambox kernel build --profile run

# Installs what is missing as root; otherwise says in one line what it is. Servers
# among it are for the tests to start: policy-rc.d keeps them from starting here.
deps:
	@missing=$$(for p in $(PACKAGES); do dpkg -s $$p 2>/dev/null | grep -q '^Status: .* installed' || echo $$p; done | xargs); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "missing: $$missing (as root: apt-get install $$missing)" >&2; exit 1; fi; \
	echo "installing $$missing"; \
	export DEBIAN_FRONTEND=noninteractive policy=/usr/sbin/policy-rc.d; \
	test -e $$policy || { trap 'rm -f $$policy' EXIT INT TERM; printf '#!/bin/sh\nexit 101\n' >$$policy; chmod 755 $$policy; }; \
	apt-get install -qq -y --no-install-recommends $$missing >/dev/null 2>&1 || \
	{ apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null; } || exit 1; \
	case $$missing in *etcd-server*) ! command -v systemctl >/dev/null || systemctl -q disable etcd;; esac

clean:
	rm -rf bin coverage.out
