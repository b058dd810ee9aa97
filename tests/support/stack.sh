# For the end-to-end scripts: a stack of the real three programs of one's own, and TAP. Source it, then stack_start.
# shellcheck shell=bash disable=SC2034 # what it sets is for the scripts

set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${TELEMED_BUILD:-$root/build/gcc}
work=$(mktemp -d "${TMPDIR:-/tmp}/telemed-test.XXXXXX")
tests=0
failures=0
stack_pid=

free_port() {
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# ok NAME: the command before it succeeded? Use as: command; ok NAME
ok() {
	local code=$?
	tests=$((tests + 1))
	if [ $code -eq 0 ]; then
		echo "ok $tests - $1"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $1"
		[ -z "${detail-}" ] || printf '# %s\n' "$detail"
	fi
	detail=
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}

# stack_start [NAME=VALUE...]: in $work/data, at http://127.0.0.1:$port. Again after stack_stop: on the same data.
stack_start() {
	port=${port:-$(free_port)}
	base=http://127.0.0.1:$port
	: >"$work/stack.out"
	env TELEMED_PORT="$port" TELEMED_DATA_DIR="$work/data" TELEMED_BCRYPT_COST=4 TELEMED_AUTH_RATE=0 "$@" \
		setsid "$root/scripts/run" "$build" >"$work/stack.out" 2>>"$work/stack.err" </dev/null &
	stack_pid=$!
	if ! wait_for 30 grep -q '^telemed: ready' "$work/stack.out"; then
		echo "Bail out! the stack did not start"
		cat "$work/stack.err"
		exit 1
	fi
}

stack_stop() {
	[ -n "$stack_pid" ] || return 0
	kill -TERM "$stack_pid" 2>/dev/null
	wait "$stack_pid"
	local code=$?
	stack_pid=
	return $code
}

finish() {
	stack_stop
	if [ $failures -gt 0 ]; then
		echo '# the last of the log:'
		tail -n 40 "$work/stack.err" | sed 's/^/# /'
	fi
	rm -rf "$work"
	echo "1..$tests"
	[ $failures -eq 0 ]
}
trap 'finish; exit $?' EXIT

# rest METHOD PATH [BODY] [curl's options...]: sets $status, $body and $head.
rest() {
	local method=$1 path=$2 body_text=${3-}
	shift 2
	[ $# -gt 0 ] && shift
	local data=()
	[ -n "$body_text" ] && data=(--data-binary "$body_text")
	[ "$method" = HEAD ] && data+=(-I) || data+=(-X "$method")
	status=$(curl -sS -m 30 -D "$work/head" -o "$work/body" -w '%{http_code}' "${data[@]}" "$@" "$base$path") || status=000
	body=$(tr -d '\0' <"$work/body" 2>/dev/null)
	head=$(tr -d '\r' <"$work/head")
}

# field PATH: of the JSON in $body, like .user.id
field() {
	/usr/bin/python3 -c '
import json, sys
v = json.loads(sys.argv[1])
for k in sys.argv[2].strip(".").split("."):
    v = v[int(k)] if isinstance(v, list) else v[k]
print(v if isinstance(v, str) else json.dumps(v))' "$body" "$1" 2>/dev/null
}

# expect STATUS [CODE]: what the last rest got. A problem must be complete.
expect() {
	detail="wanted $*; got $status: $body"
	[ "$status" = "$1" ] || return 1
	[ $# -lt 2 ] && return 0
	[ "$(field .code)" = "$2" ] && [ "$(field .status)" = "$1" ] && [ -n "$(field .title)" ] &&
		[ -n "$(field .detail)" ] && [ -n "$(field .instance)" ] && [ -n "$(field .type)" ] &&
		grep -qi '^content-type: application/problem+json' <<<"$head"
}

# register ROLE NAME: sets $token and $id; the email is NAME@example.org, the password "password".
register() {
	rest POST /auth/register "{\"name\":\"$2\",\"email\":\"$2@example.org\",\"password\":\"password\",\"role\":\"$1\"}"
	token=$(field .token)
	id=$(field .user.id)
}
