# pg_joinscan: a PGXS module in C, with a Rust archive linked in.
#
#   make demo        two engines on TPC-H in a private PostgreSQL (SF=0.1); installs what is missing
#   make check       every test: format, lints, cargo test, pg_regress, isolation, TAP
#   make check-postgres   PostgreSQL's own regression scripts, with JoinScan off and on, compared
#   make bench       medians at SF=1 (SET=micro,tpch,tpch-float8,star or all, ONLY=q03,q18, RUNS=n, JSON=file, SVG=file;
#                    DUCKDB=1: DuckDB, too; PROFILE=1: where the time goes); SET=floor: single costs against their targets;
#                    SET=costs: plans' costs against their times
#   make fuzz        random queries, JoinScan off and on (SEED=n SECONDS=60 QUERIES=n)
#   make psql        a shell on the private PostgreSQL; make demo-stop ends it
#
#   make && sudo make install PG_CONFIG=…        for a server of your own
#   make installcheck                            against that server, running
#
#   make debug       -O0 -g3 and unoptimised Rust; make format, make lint, make clean
#
# The first group runs scripts/ and needs no PGXS: scripts/setup brings it. The rest needs PGXS.

SCRIPT_GOALS = demo demo-stop psql check check-postgres bench fuzz setup
GOALS = $(or $(MAKECMDGOALS),all)

# The pg_config on the PATH when it is of a supported version, else Debian's for 15.
ifndef PG_CONFIG
PG_CONFIG := $(shell scripts/find-pg-config)
endif
export PG_CONFIG

# Kept outside the clone: a first build compiles DataFusion for some 20 minutes, a second clone need not.
CARGO_TARGET_DIR ?= $(HOME)/.cache/pg_joinscan/target
export CARGO_TARGET_DIR
CARGO ?= cargo
SF ?=
export SF

ifneq ($(filter-out $(SCRIPT_GOALS),$(GOALS)),)

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
$(error PostgreSQL's server headers (PGXS) are missing: run scripts/setup, or name a server by PG_CONFIG=/path/to/pg_config)
endif

MAJOR := $(shell $(PG_CONFIG) --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
ifeq ($(filter 15,$(MAJOR)),)
$(error pg_joinscan needs PostgreSQL 15; $(PG_CONFIG) is of $(MAJOR))
endif

# ---- what to build ----

MODULE_big = pg_joinscan
EXTENSION = pg_joinscan
DATA = $(wildcard sql/pg_joinscan--*.sql)
C_FILES = $(filter-out c_src/layout.c,$(wildcard c_src/*.c)) # layout.c: assertions, compiled by build.rs
OBJS = $(patsubst %.c,%.o,$(strip $(C_FILES)))

FLAVOUR ?= release
FLAVOUR_STAMP = c_src/.flavour-$(FLAVOUR)
RUST_DIR = $(CARGO_TARGET_DIR)/$(if $(filter debug,$(FLAVOUR)),debug,release)
RUST_LIB = $(RUST_DIR)/libpgjs_core.a
CARGO_PROFILE = $(if $(filter debug,$(FLAVOUR)),dev,release)
CARGO_FEATURES = pgjs_core/pg$(MAJOR)
export PGRX_PG_CONFIG_PATH = $(shell command -v $(PG_CONFIG))
export PGRX_HOME = $(CARGO_TARGET_DIR)/pgrx

WARNINGS = -Wall -Wextra -Wshadow=local -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wno-clobbered
PG_CPPFLAGS = -Iinclude -Ic_src
PG_CFLAGS = $(WARNINGS) $(if $(filter debug,$(FLAVOUR)),-O0 -g3)
SHLIB_LINK = $(RUST_LIB) -Wl,--exclude-libs,ALL -Wl,--version-script=c_src/exports.map -Wl,--gc-sections \
	-lpthread -ldl -lm

# ---- tests against a running server ----

# setup makes the tables that the others read, and the settings that force JoinScan.
REGRESS = setup basic joins unique types expressions calls leaves partitions found lookup offer decline params ends explain settings verify \
	parameters initplans transactions permissions aggregates accumulate distinct computed order windows onetable subqueries \
	fallback skew
REGRESS_OPTS = --inputdir=regress --outputdir=regress
ISOLATION = uncommitted own_changes repeatable_read serializable looked_up
ISOLATION_OPTS = --inputdir=regress --outputdir=regress/output_iso

EXTRA_CLEAN = c_src/*.o c_src/.flavour-* regress/results regress/output_iso regress/regression.diffs \
	regress/regression.out regress/tmp_check

# The Rust archive would otherwise have to be turned into bitcode too.
override with_llvm := no
include $(PGXS)

ifeq ($(FLAVOUR),debug)
override CPPFLAGS += -U_FORTIFY_SOURCE # it wants -O
endif

# ---- rules ----

# Cargo knows best whether there is something to do; an archive that it leaves alone keeps its time, and nothing is linked.
.PHONY: FORCE
$(RUST_LIB): FORCE
	@mkdir -p $(PGRX_HOME)
	@[ -f $(PGRX_HOME)/config.toml ] || echo '[configs]' >$(PGRX_HOME)/config.toml # without it pgrx-pg-sys is made anew each time
	$(CARGO) build --profile $(CARGO_PROFILE) --locked -p pgjs_core --features $(CARGO_FEATURES)

$(FLAVOUR_STAMP):
	@rm -f c_src/.flavour-*
	@touch $@

# The generated header is written by the Rust build, so that comes first.
$(OBJS): $(wildcard include/*.h c_src/*.h) $(FLAVOUR_STAMP) | $(RUST_LIB)
pg_joinscan.so: $(RUST_LIB) c_src/exports.map

.PHONY: debug format lint lint-c lint-rust exports
debug:
	$(MAKE) all FLAVOUR=debug

format:
	$(CARGO) fmt --all
	scripts/check-c-style --fix

lint: lint-c lint-rust
	scripts/check-c-style
	$(CARGO) fmt --all --check

lint-rust:
	$(CARGO) clippy --release --locked -p pgjs_core --features $(CARGO_FEATURES) --all-targets -- -D warnings
	$(CARGO) clippy --release --locked -p joinscan-bench --all-targets -- -D warnings

lint-c:
	@set -e; for file in $(strip $(C_FILES)) c_src/layout.c; do \
		echo "$(CC) -Werror $$file"; \
		$(COMPILE.c) $(CFLAGS_SL) -Werror $$file -o /dev/null; \
	done

# What PostgreSQL looks up by name leaves the library, and nothing else.
exports: pg_joinscan.so
	scripts/check-exports pg_joinscan.so

# One package at a time: together, Cargo would unify their features and compile DataFusion anew.
.PHONY: test-rust
test-rust:
	$(CARGO) test --release --locked -p pgjs_core --features $(CARGO_FEATURES)
	$(CARGO) test --release --locked -p joinscan-bench

endif # PGXS goals

# ---- goals that need nothing installed ----

.PHONY: $(SCRIPT_GOALS)
setup:
	@scripts/setup
demo:
	@scripts/demo
demo-stop:
	@scripts/cluster stop
psql:
	@scripts/cluster psql
bench:
	@scripts/bench
# bash has a SECONDS of its own, so the script gets another name.
fuzz:
	@FUZZ_SECONDS="$(SECONDS)" SEED="$(SEED)" QUERIES="$(QUERIES)" FIRST="$(FIRST)" VERBOSE="$(VERBOSE)" STRICT="$(STRICT)" \
		scripts/fuzz
check-postgres:
	@scripts/postgres-regress
# PGXS has a `check` of its own, and make warns about a second one: ours is there only when it is asked for.
ifneq ($(filter check,$(GOALS)),)
check:
	@scripts/check
endif
