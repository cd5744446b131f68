# A thin front over tools/setup, CMake and CTest; "make help" lists the targets.
PREFIX ?= /usr/local
ARGS ?=

.PHONY: build run test bench bench-peers interop format lint install clean help

build:
	@tools/setup build
	@cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build --preset release --target tarn
	@ln -sfn release/tarn build/tarn
	@$(if $(filter-out build,$(MAKECMDGOALS)),:,echo 'build/tarn is ready; next: "make run", or "build/tarn --help"')

run: build
	@tools/setup demo
	@exec build/tarn serve --data ./tarn-data --demo \
		--demo-data build/deps/vega-datasets/data $(ARGS)

test:
	@tools/setup test
	@tools/test $(ARGS)

bench: build
	@tools/setup bench
	@cmake --build --preset release --target tarn_baseline tarn_make_catalog
	@bench/run $(ARGS)

bench-peers: build
	@tools/setup bench-peers
	@build/deps/peers/bin/python bench/peers/run $(ARGS)

interop: build
	@tools/interop $(ARGS)

format:
	@tools/lint format-fix

lint:
	@tools/setup test
	@tools/lint all

install: build
	@cmake --install build/release --prefix "$(DESTDIR)$(PREFIX)"

clean:
	@rm -rf build/tarn build/release build/ci build/clang build/asan build/tsan

help:
	@echo 'make           builds build/tarn'
	@echo 'make run       a server with demonstration data in ./tarn-data (ARGS="--listen 127.0.0.1:9000")'
	@echo 'make test      builds with gcc, clang and the sanitizers, runs all tests (ARGS="-R store": some)'
	@echo 'make bench     measures against the engine itself (ARGS="ingest query": some sections; --json)'
	@echo 'make bench-peers  measures beside DuckDB, DataFusion, Polars, ClickHouse, PyIceberg, DuckLake (docs/peers.md)'
	@echo 'make interop   has PyIceberg and Spark read what the server writes (ARGS="pyiceberg": one of them)'
	@echo 'make format    lays out the sources with clang-format'
	@echo 'make lint      the style checks alone: layout, tidy, cppcheck, clang-tidy'
	@echo 'make install   installs below PREFIX (now $(PREFIX)); DESTDIR goes in front of it'
	@echo 'make clean     removes what was built and keeps build/deps'
	@echo
	@echo 'Each starts from a bare Debian 12 and first installs what it needs (tools/setup --help).'
