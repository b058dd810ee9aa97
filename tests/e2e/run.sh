#!/usr/bin/env bash
# make run's promises: starting, restarting what dies, stopping, settings.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

all_gone() { [ -z "$(pgrep -s "$1")" ]; }

stack_start
grep -qx "telemed: ready on $base" "$work/stack.out"
ok 'says where it serves'
is_ready
ok 'is ready when it says so'
[ "$(grep -c 'A clinic sets TELEMED_VISIBILITY=scoped' "$work/stack.err")" = 1 ] &&
	[ "$(grep -c 'A clinic sets TELEMED_DOCTOR_SIGNUP=approve' "$work/stack.err")" = 1 ]
ok 'says once that what is open is open'
[ "$(stat -c '%a %s' "$work/data/secret")" = "600 32" ]
ok 'makes a secret of 32 bytes, for its owner alone'
[ "$(stat -c %a "$work/data/telemed.db")" = 600 ]
ok 'keeps the database to its owner'

for program in ws-relay fcgi-api lighttpd; do
	before=$(program_pids $program | head -n 1)
	[ -n "$before" ]
	ok "shows $program in the process list"
	kill -9 "$before"
	gone_and_back() { ! kill -0 "$before" 2>/dev/null && is_ready; }
	wait_for 20 gone_and_back
	ok "starts $program again when it is killed"
done

for round in 1 2 3; do
	mapfile -t before < <(program_pids ws-relay && pgrep -o -s "$stack_pid" -x fcgi-api && program_pids lighttpd)
	kill -9 "${before[@]}"
	all_back() { ! kill -0 "${before[@]}" 2>/dev/null && is_ready; }
	wait_for 20 all_back || round=0
	[ $round -gt 0 ] || break
done
[ "$round" = 3 ]
ok 'starts all of them again when they are killed at once'

register PATIENT ann
expect 201
ok 'serves as before after that'
session=$stack_pid
stack_stop
ok 'ends with 0 on SIGTERM'
wait_for 10 all_gone "$session"
ok 'leaves no process behind'

stack_start TELEMED_VISIBILITY=scoped TELEMED_DOCTOR_SIGNUP=approve
[ "$(grep -c 'A clinic sets' "$work/stack.err")" = 2 ]
ok 'and not where it is not'
rest POST /auth/login '{"email":"ann@example.org","password":"password"}'
expect 200
ok 'keeps accounts over a restart'
rest GET /auth/me '' -H "Authorization: Bearer $token"
expect 200
ok 'keeps the secret over a restart'
kill -9 "$stack_pid"
wait_for 10 all_gone "$stack_pid"
ok 'takes its programs along when it is killed itself'
stack_pid=

stack_start
env TELEMED_PORT="$(free_port)" TELEMED_DATA_DIR="$work/data" "$root/scripts/run" "$build" >"$work/other" 2>&1
[ $? -eq 100 ] && grep -q 'another make run' "$work/other"
ok 'refuses a data directory that is being served'
env TELEMED_PORT="$(free_port)" TELEMED_DATA_DIR="$work/other-data" TELEMED_BCRYPT_COST=4 \
	setsid "$root/scripts/run" "$build" >"$work/other" 2>&1 &
other=$!
wait_for 20 grep -q '^telemed: ready' "$work/other"
ok 'runs beside another stack'
kill -TERM $other
wait $other
env TELEMED_PORT="$port" TELEMED_DATA_DIR="$work/third-data" "$root/scripts/run" "$build" >"$work/other" 2>&1
[ $? -ne 0 ] && grep -q "is port $port free" "$work/other"
ok 'says that the port is taken'

# What polls it wants no other program; and one that is stopped before it is ready says nothing of its own insides.
mkdir "$work/bin"
printf '#!/bin/sh\nexit 127\n' >"$work/bin/curl"
chmod 755 "$work/bin/curl"
env PATH="$work/bin:$PATH" TELEMED_PORT="$(free_port)" TELEMED_DATA_DIR="$work/other-data" setsid "$root/scripts/run" "$build" >"$work/other" 2>&1 &
other=$!
wait_for 20 grep -q '^telemed: ready' "$work/other"
ok 'is ready without curl'
kill -TERM $other
wait $other
printf '#!/bin/sh\n[ "$1" = -tt ] || exec tail -f /dev/null\n' >"$work/bin/lighttpd"
chmod 755 "$work/bin/lighttpd"
env PATH="$work/bin:$PATH" TELEMED_PORT="$(free_port)" TELEMED_DATA_DIR="$work/other-data" setsid "$root/scripts/run" "$build" >"$work/other" 2>&1 &
other=$!
has() { pgrep -s $other -x "$1" >/dev/null; }
wait_for 20 has tail && wait_for 20 has sleep # between two looks at whether it is ready
kill -TERM $other
wait $other
detail=$(cat "$work/other")
[[ $detail != *wait_until_ready* ]]
ok 'says nothing of its own insides when it is stopped early'

# A start that fails leaves nothing behind that would be in the way of the next.
mkdir -p "$work/damaged"
head -c 8192 /dev/urandom >"$work/damaged/telemed.db"
detail=$(env TELEMED_PORT="$(free_port)" TELEMED_DATA_DIR="$work/damaged" timeout 60 "$root/scripts/run" "$build" 2>&1 </dev/null)
[ $? -eq 100 ] && [[ $detail == *"database is damaged"* ]]
ok 'refuses a damaged database'
rm "$work/damaged/telemed.db"
env TELEMED_PORT="$(free_port)" TELEMED_DATA_DIR="$work/damaged" setsid "$root/scripts/run" "$build" >"$work/other" 2>&1 &
other=$!
wait_for 20 grep -q '^telemed: ready' "$work/other"
ok 'starts when it is out of the way'
kill -TERM $other
wait $other
mkdir "$work/full"
detail=$(ulimit -f 0 && TELEMED_DATA_DIR="$work/full" timeout 60 "$root/scripts/run" "$build" 2>&1 </dev/null)
[ $? -eq 100 ] && [ ! -e "$work/full/secret" ]
ok 'gives up where the secret cannot be written'

env TELEMED_SETTINGS_FILE="$work/no-such-file" TELEMED_DATA_DIR="$work/bad" timeout 60 "$root/scripts/run" "$build" >"$work/other" 2>&1
[ $? -eq 100 ] && grep -q TELEMED_SETTINGS_FILE "$work/other"
ok 'stops the start for settings that are not there'

bad_setting() {
	detail=$(env "$1=$2" TELEMED_DATA_DIR="$work/bad" timeout 60 "$root/scripts/run" "$build" 2>&1 </dev/null)
	[ $? -eq 100 ] && [[ $detail == *"$1"* ]]
}
for setting in TELEMED_PORT=0 TELEMED_PORT=65536 TELEMED_PORT=http TELEMED_BIND=localhost TELEMED_TRUSTED_PROXY=::ffff:127.0.0.1 TELEMED_TOKEN_TTL=0 \
	TELEMED_BCRYPT_COST=3 TELEMED_BCRYPT_COST=16 TELEMED_ALLOWED_ORIGINS=clinic.example TELEMED_WS_RATE=-1 \
	TELEMED_AUTH_RATE=1.5 TELEMED_PRESENCE_GRACE=x TELEMED_RING_TIMEOUT=0 \
	TELEMED_TLS_PORT=0 TELEMED_LOG_LEVEL=loud TELEMED_JWT_SECRET=short TELEMED_TURN_URLS=turn.example; do
	bad_setting "${setting%%=*}" "${setting#*=}"
	ok "stops the start for $setting"
done
bad_setting TELEMED_TURN_URLS turn:turn.example && [[ $detail == *TELEMED_TURN_SECRET* ]]
ok 'stops the start for a TURN server without a secret'
bad_setting TELEMED_TURN_SECRET hush-hush-hush-hush && [[ $detail == *TELEMED_TURN_URLS* && $detail != *hush* ]]
ok 'stops the start for a secret without a TURN server, and does not say it'
