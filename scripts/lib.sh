# shellcheck shell=bash
# What the scripts share: messages, who runs the server, the private PostgreSQL's folder.
# Sourced, never run. Sets ROOT (the clone) and enters it.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT" || exit

say() { printf '==> %s\n' "$*"; }
warn() { printf 'pg_joinscan: %s\n' "$*" >&2; }
die() {
	warn "$@"
	exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
export HOME

# Cargo's target folder, as the Makefile sets it.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/pg_joinscan/target}
export CARGO_TARGET_DIR
PATH=$PATH:$HOME/.cargo/bin # rustup's place; a bare root shell may not have it

# The private PostgreSQL: its folder (the caller's), and in it the server's, which the server's user owns.
# PGJS_CLUSTER overrides where.
CLUSTER=${PGJS_CLUSTER:-/var/tmp/pg_joinscan-$(id -un)}
DATA=$CLUSTER/server/data
SOCKET=$CLUSTER/server/sock
SERVER_LOG=$CLUSTER/server/log
PORT=5432 # a name in a folder of its own: no TCP, so no port to find

# PostgreSQL refuses to run as root; Debian's package brings the user postgres.
if is_root; then OWNER=postgres; else OWNER=$(id -un); fi

as_owner() {
	if is_root; then
		runuser -u "$OWNER" -- "$@"
	else
		"$@"
	fi
}

find_pg() {
	PG_CONFIG=${PG_CONFIG:-$(scripts/find-pg-config)}
	export PG_CONFIG
	command -v "$PG_CONFIG" >/dev/null || die "no pg_config: run scripts/setup"
	[ -f "$("$PG_CONFIG" --pgxs 2>/dev/null)" ] || die "PostgreSQL's server headers are missing: run scripts/setup"
	# The private copy of the installation: the same paths, below the cluster's folder.
	INSTALL=$CLUSTER/install
	BIN=$INSTALL$("$PG_CONFIG" --bindir)
	LIB=$INSTALL$("$PG_CONFIG" --pkglibdir)
	SHARE=$INSTALL$("$PG_CONFIG" --sharedir)
}

# libpq's environment for every client of the private PostgreSQL.
export_connection() {
	export PGHOST=$SOCKET PGPORT=$PORT PGUSER=postgres PGDATABASE=${1:-postgres}
	unset PGSERVICE PGPASSWORD PGOPTIONS PGSSLMODE
}

# Which scale a database has stands in this file.
loaded_mark() {
	if [ "$1" = tpch ]; then echo "$CLUSTER/loaded"; else echo "$CLUSTER/loaded-$1"; fi
}

# Builds everything; the first time is long, so say so.
build() {
	if [ ! -e "$CARGO_TARGET_DIR/release/libpgjs_core.a" ]; then
		say "building the extension: the first build compiles DataFusion, some 20 minutes on two cores"
	else
		say "building the extension"
	fi
	make --no-print-directory all
}

build_bench() {
	say "building joinscan-bench"
	cargo build --release --locked --quiet -p joinscan-bench
	BENCH=$CARGO_TARGET_DIR/release/joinscan-bench
}
