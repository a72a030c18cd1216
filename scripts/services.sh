#!/usr/bin/env bash
# Gets what the tests need from the machine: Python with venv, the database servers, running and open to this user, and a
# browser that can show Chinese.
# Safe to repeat. On Debian, as root, it installs and starts what is missing; elsewhere it says what to do.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }

fail() { say "$*" >&2; exit 1; }

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install() {
    say "installing $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

python() {
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        can_install || fail "python3 can't make virtual environments. On Debian or Ubuntu: apt-get install python3 python3-venv"
        install python3 python3-venv
    fi
    # What is missing here is for make test to skip, or to refuse.
    python3 scripts/environment.py interpreters
}

# The same places in which scripts/test.py looks: over TCP if trusted, else over the socket.
postgresql_answers() {
    local url
    command -v psql >/dev/null || return 1
    for url in "postgres://$(id -un)@127.0.0.1:5432/postgres" "postgres:///postgres"; do
        PGCONNECT_TIMEOUT=3 psql --no-psqlrc --no-password -qtAc 'SHOW server_version' "$url" 2>/dev/null && return
    done
    return 1
}

start_postgresql() {
    local version name port status rest
    pg_lsclusters --no-header | while read -r version name port status rest; do
        [ "$status" = down ] || continue
        say "starting PostgreSQL $version $name on port $port"
        if [ -d /run/systemd/system ]; then
            systemctl start "postgresql@$version-$name"
        else
            pg_ctlcluster --skip-systemctl-redirect "$version" "$name" start
        fi
    done
}

create_postgresql_role() {
    local me
    me=$(id -un)
    # Over the socket Debian trusts a user of the system to be the role of that name, without a password.
    as_postgres psql -qtAc "SELECT 1 FROM pg_roles WHERE rolname = '$me'" | grep -q 1 || as_postgres createuser --superuser "$me"
}

as_postgres() { (cd / && runuser -u postgres -- "$@"); }

postgresql() {
    local version
    if [ -n "${BACKUP_TEST_POSTGRES_URL:-}" ]; then
        say "PostgreSQL: yours, at BACKUP_TEST_POSTGRES_URL"
        return
    fi
    if ! version=$(postgresql_answers); then
        can_install || fail "PostgreSQL doesn't answer. Run this as root on Debian or Ubuntu, or start a server yourself and" \
            "set BACKUP_TEST_POSTGRES_URL=postgres://user:password@host:port/database to a role that may create databases."
        command -v pg_ctlcluster >/dev/null || install postgresql
        start_postgresql
        create_postgresql_role
        version=$(postgresql_answers) || fail "PostgreSQL runs but doesn't let $(id -un) in; see pg_lsclusters and its log."
    fi
    say "PostgreSQL: $version"
}

age() {
    if ! type -P age >/dev/null; then  # not this function
        can_install || fail "age is missing: it opens encrypted backups by hand. On Debian or Ubuntu: apt-get install age"
        install age
    fi
    say "age: $(command age --version)"
}

chromium_version() { "${BACKUP_TEST_CHROMIUM:-chromium}" --version 2>/dev/null; }

browser() {
    if ! chromium_version >/dev/null; then
        can_install || fail "Chromium isn't here. Run this as root on Debian, or install one yourself and" \
            "set BACKUP_TEST_CHROMIUM=/path/of/it."
        install chromium
    fi
    say "Chromium: $(chromium_version)"
    if [ -z "$(fc-list :lang=zh-cn family 2>/dev/null)" ]; then
        can_install || fail "No font with Chinese letters is here, such as Noto Sans CJK."
        install fontconfig fonts-noto-cjk
    fi
    say "Chinese: $(fc-match --format '%{family[0]}' sans:lang=zh-cn)"
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# NAME PORT PACKAGE and the command that starts it without an init system.
broker() {
    local name=$1 port=$2 package=$3
    shift 3
    if ! answers "$port"; then
        can_install || fail "$name doesn't answer on 127.0.0.1:$port. Run this as root on Debian or Ubuntu, or start one yourself."
        command -v "$1" >/dev/null || install "$package"
        # Its installation may have started it.
        answers "$port" || { say "starting $name"; "$@"; }
        for _ in $(seq 60); do answers "$port" && break; sleep 1; done
        answers "$port" || fail "$name was started and doesn't answer on 127.0.0.1:$port."
    fi
    say "$name: 127.0.0.1:$port"
}

python
postgresql
broker Redis 6379 redis-server redis-server --daemonize yes --bind 127.0.0.1 --port 6379 --save "" --appendonly no
broker RabbitMQ 5672 rabbitmq-server rabbitmq-server -detached
age
browser
