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
	local deadline=$((SECONDS + $1 * ${TELEMED_TEST_SLOW:-1}))
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
	pkill -CONT -s "$stack_pid" # what a test has stopped could not end
	kill -TERM "$stack_pid" 2>/dev/null
	wait "$stack_pid"
	local code=$?
	stack_pid=
	return $code
}

finish() {
	stack_stop
	detail=$("$root/tests/support/findings.py" "$work/stack.err" "$work/data/log/access.log")
	ok 'the programs have run clean, and their logs tell nothing'
	[ ! -s "$work/exchanges" ] || detail=$("$root/tests/support/contract.py" --fields "$work/exchanges")
	ok 'what was asked and answered is in docs/openapi.yaml'
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
	[ -n "$body_text" ] && data=(--data-binary "$body_text") # or @FILE
	: >"$work/head"
	: >"$work/body"
	[ "$method" = HEAD ] && data+=(-I) || data+=(-X "$method")
	status=$(curl -sS -m 30 -D "$work/head" -o "$work/body" -w '%{http_code}' "${data[@]}" "$@" "$base$path") || status=000
	body=$(tr -d '\0' <"$work/body" 2>/dev/null)
	head=$(tr -d '\r' <"$work/head")
	detail="$method $path got $status: ${body:0:500}"
	record "$method" "$path" "$body_text"
}

# record METHOD PATH [BODY]: the exchange whose answer is in $status, $head and $body, for finish to judge. Without a BODY that of the
# request is not judged.
record() {
	[ "$status" != 000 ] || return 0
	local known=$(($# > 2)) sent=${3-} answer=$body
	[[ $sent == @* ]] && sent=$(tr -d '\0' <"${sent#@}")
	[ "$1" = HEAD ] && answer= # curl has put the head there
	printf '%s\0' "$1" "$2" $known "$sent" "$status" "$head" "$answer" >>"$work/exchanges"
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

# json EXPRESSION [ARGUMENT...]: does the Python expression hold for b, the JSON of $body? a is the list of arguments.
json() {
	/usr/bin/python3 -c '
import json, re, sys
b, a = json.load(open(sys.argv[1], "rb")), sys.argv[3:]
sys.exit(not eval("(" + sys.argv[2] + ")"))' "$work/body" "$@" 2>/dev/null
}

# header NAME: its value in the last answer. Fails where there is none.
header() {
	local line
	line=$(grep -im 1 "^$1: ." <<<"$head") && echo "${line#*: }"
}

# expect STATUS [CODE]: what the last rest got. A problem must be complete, with the headers that its status calls for.
expect() {
	detail="wanted $*; $detail"
	[ "$status" = "$1" ] || return 1
	[ $# -lt 2 ] && return 0
	[ "$(header Content-Type)" = application/problem+json ] || return 1
	json 'set(b) == {"type", "title", "status", "detail", "code", "instance"} | ({"errors"} if a[1] == "validation_failed" else set())
		and b["status"] == int(a[0]) and b["code"] == a[1] and b["instance"] == (a[2] or b["instance"])
		and all(isinstance(b[k], str) and b[k] for k in ("type", "title", "detail", "instance"))' \
		"$1" "$2" "$(header X-Request-Id)" || return 1
	case $1 in
	401) header WWW-Authenticate | grep -q '^Bearer ' ;;
	405) header Allow ;;
	429 | 503) [[ $(header Retry-After) =~ ^[1-9][0-9]*$ ]] ;;
	esac >/dev/null
}

# faults FIELD...: does the problem name just these fields?
faults() { json 'sorted(e["field"] for e in b["errors"]) == sorted(a) and all(e["code"] and e["detail"] for e in b["errors"])' "$@"; }

# as TOKEN METHOD PATH [BODY] [curl's options...]: rest with that token.
as() {
	local bearer="Authorization: Bearer $1" method=$2 path=$3 body_text=${4-}
	shift 3
	[ $# -gt 0 ] && shift
	rest "$method" "$path" "$body_text" -H "$bearer" "$@"
}

# db SQL: run by the sqlite3 shell on the stack's database.
db() { sqlite3 -cmd '.timeout 10000' "$work/data/telemed.db" "$1"; }

# program_pids NAME: its processes in this stack, the one that has started the others first.
program_pids() {
	ps -o pid=,ppid=,comm= -s "$stack_pid" | awk -v name="$1" '$3 == name { parent[$1] = $2 }
		END { for (p in parent) if (!(parent[p] in parent)) print p; for (p in parent) if (parent[p] in parent) print p }'
}

# cpu_ticks NAME: the processor time that its processes in this stack have used.
cpu_ticks() {
	local pid total=0
	for pid in $(program_pids "$1"); do
		total=$((total + $(awk '{ print $14 + $15 }' "/proc/$pid/stat")))
	done
	echo $total
}

is_ready() { curl -fsS -m 2 -o /dev/null "$base/readyz" 2>/dev/null; }

# register ROLE NAME: sets $token and $id; the email is NAME@example.org, the password "password".
register() {
	rest POST /auth/register "{\"name\":\"$2\",\"email\":\"$2@example.org\",\"password\":\"password\",\"role\":\"$1\"}"
	token=$(field .token)
	id=$(field .user.id)
}
