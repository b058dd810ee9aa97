#!/usr/bin/env bash
# What dies is started again at once; what dies at once ever less often, and that holds nobody up.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

# A relay that dies at once while $work/broken is there, and notes when it is started.
real=$build
build=$work/build
mkdir -p "$build/fcgi-api" "$build/ws-relay"
ln -s "$real/fcgi-api/fcgi-api" "$build/fcgi-api/"
cat >"$build/ws-relay/ws-relay" <<EOF
#!/bin/bash
echo "\${EPOCHREALTIME//[!0-9]/}" >>"$work/starts"
[ ! -e "$work/broken" ] || exit 111
exec "$real/ws-relay/ws-relay"
EOF
chmod +x "$build/ws-relay/ws-relay"

starts() { wc -l <"$work/starts"; }
started_anew() { [ "$(starts)" -gt "$before" ] && is_ready; }
all_gone() { [ -z "$(pgrep -s "$1")" ]; }

# The pauses of the relay that were said; since_then: what has come of them since $said.
pauses() { sed -n 's/^telemed: ws-relay ended with [0-9]*, and is started again in \([0-9.]*\) s$/\1/p' "$work/stack.err" | xargs; }
since_then() { detail=$(pauses) && [ "${detail#"$said"}" = "$1" ]; }

# kill_relay: when it has lived.
kill_relay() {
	local pid
	pid=$(program_pids ws-relay)
	has_lived() { [ "$(ps -o etimes= -p "$pid")" -ge 2 ]; }
	wait_for 20 has_lived
	before=$(starts) said=$(pauses)
	kill -9 "$pid"
}

stack_start
kill_relay
wait_for 20 started_anew && since_then 0.2
ok 'starts a program again at once that has lived'

said=$(pauses)
touch "$work/broken"
kill -9 "$(program_pids ws-relay)"
grown() { [[ $(pauses) == *6.4' '10.0 ]]; }
wait_for 60 grown
ok 'and one that dies at once ever less often'
/usr/bin/python3 - "$work/starts" "$(pauses)" <<'PY'
import sys
starts = [int(line) for line in open(sys.argv[1])]
said = [int(float(pause) * 1e6) for pause in sys.argv[2].split()]
# The first start was none again, and the last pause has just begun.
sys.exit(not (len(starts) == len(said) and all(b - a >= pause for a, b, pause in zip(starts, starts[1:], said))))
PY
ok 'after the pauses that it says'
detail=$(pauses)
[[ $detail =~ ^0.2\ (0.2\ )?0.4\ 0.8\ 1.6\ 3.2\ 6.4\ 10.0$ ]]
ok 'which double, to ten seconds'

before=$(starts) said=$(pauses)
kill -HUP "$stack_pid"
api=$(pgrep -P "$stack_pid" -x fcgi-api)
kill -9 "$api"
another_api() { [ "$(pgrep -P "$stack_pid" -x fcgi-api || echo "$api")" != "$api" ]; }
wait_for 20 another_api && [ "$(starts)" = "$before" ] && since_then ''
ok 'meanwhile it starts another at once, and takes a reload'
rm "$work/broken"
kill -USR1 "$stack_pid"
wait_for 20 started_anew && since_then ''
ok 'starts it at once when it is told to start all anew'

kill_relay
wait_for 20 started_anew && since_then ' 0.2'
ok 'and again when it has lived'

# What waits is in nobody's way, however this ends.
touch "$work/broken"
kill_relay
waits() { [[ $(pauses) == *3.2 ]]; }
wait_for 60 waits
kill -9 "$stack_pid"
session=$stack_pid
rm "$work/broken"
stack_start
ok 'keeps nothing of its data to itself when it is killed while one waits'
wait_for 20 all_gone "$session"
ok 'and leaves no process behind'
touch "$work/broken"
kill_relay
: >"$work/stack.err"
wait_for 60 waits
session=$stack_pid
stack_stop
ok 'ends with 0 while one waits'
! grep Terminated "$work/stack.err"
ok 'and says nothing of its own insides'
wait_for 10 all_gone "$session"
ok 'and leaves no process behind then, either'
