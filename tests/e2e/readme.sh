#!/usr/bin/env bash
# The README's first session, as it stands there.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

stack_start
sed -n '/^<!-- session -->/,/^<!-- \/session -->/p' "$root/README.md" | grep -v '^```\|^<!--' |
	sed "s/127\.0\.0\.1:8080/127.0.0.1:$port/" >"$work/session"
[ "$(wc -l <"$work/session")" -gt 20 ]
ok 'the README has a session'
timeout 60 bash "$work/session" >"$work/session.out" 2>&1
ok 'it runs'
said() {
	detail=$(cat "$work/session.out")
	grep -qE -- "$1" "$work/session.out"
}
said '^\{"token":.*"name":"Dr. Grace".*"role":"DOCTOR"'
ok 'registers a doctor'
said '^\{"doctors":\[.*"name":"Dr. Grace"'
ok 'lists the doctors'
said '^\{"user":.*"status":"ONLINE"'
ok 'sets a status'
said '^doctor < .*"chat".*Good morning'
ok 'chats'
said '^patient < .*"call_response".*"ok":true'
ok 'starts a call'
said '^doctor < .*"incoming_call".*"callId":"first"'
ok 'rings'
said '^doctor < .*"signal".*"offer"'
ok 'passes the offer'
said '^patient < .*"signal".*"answer"'
ok 'passes the answer'
said '^doctor < .*"call_end".*"reason":"hangup"'
ok 'hangs up'
said '^patient < .*"users".*"status":"BUSY"'
ok 'shows who is BUSY'
