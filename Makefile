# plumb - a thin front over Meson. `make test` and `make demo` are each the only command after a clone.
#
#   make            build/plumb and the library        make lint     floors, format, clang-tidy, cppcheck
#   make demo       the main job on small models       make fuzz     each parser for FUZZ_SECONDS
#   make test       every test                         make asan     the tests under ASan and UBSan
#   make bench      speed against this machine's peak  make format   clang-format on every file
#   make install    [PREFIX=/usr/local] [DESTDIR=]     make uninstall, make clean

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
RELEASE = --buildtype=release -Ddebug=true -Db_ndebug=false
SANITIZE = -Db_sanitize=address,undefined -Db_lundef=false --buildtype=debugoptimized

.PHONY: all demo test bench lint fuzz asan install uninstall clean format

all: build/build.ninja
	@ninja -C build

demo: all
	build/plumb demo -o build/demo

test: all
	meson test -C build --no-rebuild --print-errorlogs

bench: all
	tools/bench build

asan: build-asan/build.ninja
	ninja -C build-asan
	meson test -C build-asan --no-rebuild --print-errorlogs --timeout-multiplier 5

lint: build/build.ninja
	@tools/install-deps lint
	@ninja -C build
	tools/lint/run build

fuzz: build-fuzz/build.ninja
	ninja -C build-fuzz
	tools/run-fuzz build-fuzz $(FUZZ_SECONDS)

format:
	@tools/install-deps lint
	tools/lint/format -i

install: build/build.ninja
	meson configure build --prefix=$(PREFIX)
	ninja -C build
	DESTDIR=$(DESTDIR) meson install -C build --no-rebuild

uninstall:
	ninja -C build uninstall

clean:
	rm -rf build build-asan build-fuzz

# The check for packages costs milliseconds and is silent when nothing is missing.
build/build.ninja: .FORCE-deps
	@test -f $@ || meson setup build $(RELEASE)

build-asan/build.ninja: .FORCE-deps
	@test -f $@ || meson setup build-asan $(SANITIZE)

build-fuzz/build.ninja: .FORCE-deps
	@tools/install-deps fuzz
	@test -f $@ || CC=clang CXX=clang++ meson setup build-fuzz $(SANITIZE) -Dfuzz=true

.PHONY: .FORCE-deps
.FORCE-deps:
	@tools/install-deps build
