#!/usr/bin/env bash
# What an operator has: the log, /livez, /readyz, /metrics.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

stack_start
register DOCTOR dora
login='{"email":"dora@example.org","password":"password"}'

rest GET /livez
expect 200 && json 'b["status"] == "ok"'
ok 'lives'
rest GET /readyz
expect 200 && json 'b["status"] == "ok" and b["checks"] == {"database": "ok", "disk": "ok", "relay": "ok"}'
ok 'is ready, and says what it has checked'
relay_is() {
	rest GET /readyz
	[ "$status" = "$1" ] && json 'b["checks"] == {"database": "ok", "disk": "ok", "relay": a[0]}' "$2"
}
relay=$(program_pids ws-relay)
kill -STOP "$relay"
wait_for 20 relay_is 503 stuck
ok 'is not ready without its relay, and says so'
rest GET /livez
expect 200
ok 'but lives'
kill -CONT "$relay"
wait_for 20 relay_is 200 ok
ok 'is ready again when the relay is'

rest GET /metrics
expect 200 && [[ $(header Content-Type) == 'text/plain; version=0.0.4'* ]]
ok 'the metrics are answered as Prometheus wants them'
# count SERIES...: their values.
count() {
	rest GET /metrics
	local series
	for series; do grep -F "$series " "$work/body" | grep -v '^#' | cut -d' ' -f2; done | xargs
}
logins=(telemed_registrations_total telemed_logins_total telemed_logins_refused_total
	'telemed_http_requests_total{route="/auth/login",code="401"}')
read -r -a before <<<"$(count "${logins[@]}")"
register PATIENT paul
rest POST /auth/login "$login"
rest POST /auth/login "$login"
rest POST /auth/login '{"email":"dora@example.org","password":"wrong-password"}'
read -r -a after <<<"$(count "${logins[@]}")"
detail="${before[*]} became ${after[*]}"
[ "${after[*]}" = "$((before[0] + 1)) $((before[1] + 2)) $((before[2] + 1)) $((before[3] + 1))" ]
ok 'and count what happens'
rest GET /metrics '' -H 'X-Forwarded-For: 198.51.100.7' -H 'Forwarded: for=198.51.100.7' -H 'X-Real-IP: 198.51.100.7'
expect 200
ok 'no header makes a client a stranger'

rest GET '/nope?token=a-secret-of-the-query' '' -A 'agent","level":"forged' -H 'Referer: http://a-secret-of-the-referer/'
request=$(field .instance)
detail="no line of request $request"
[[ $request =~ ^[0-9a-f]{16}$ ]] && wait_for 10 grep -q "\"request\":\"$request\".*\"status\":404" "$work/stack.err"
ok 'the log has the instance of a problem'
rest GET '/doctors%22,%22level%22:%22forged'
rest GET '/ws?token=a-secret-of-the-query'
stack_stop
! grep -rn -e a-secret-of "$work/stack.err" "$work/data/log" && ! grep -n forged "$work/stack.err"
ok 'but no query, and nothing else of the client'\''s'
detail=$(grep '^{' "$work/stack.err" | /usr/bin/python3 -c 'import json, sys
n = [json.loads(l)["event"] for l in sys.stdin]
assert n.count("http_request") > 10' 2>&1)
ok 'every line of ours is JSON'
detail=$(/usr/bin/python3 -c 'import json, sys
lines = [json.loads(l) for l in open(sys.argv[1], errors="replace")]
assert len(lines) > 10 and all(l["program"] == "lighttpd" and l["path"] and l["status"] for l in lines)' \
	"$work/data/log/access.log" 2>&1)
ok 'and so is every line of the access log'

address=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 '^[0-9.]*$')
if [ -z "$address" ]; then
	ok 'the metrics are for this machine only # SKIP it has no other address'
else
	stack_start TELEMED_BIND="$address"
	base=http://$address:$port
	rest GET /metrics '' -H 'X-Forwarded-For: 127.0.0.1' -H 'Forwarded: for=127.0.0.1' -H 'X-Real-IP: 127.0.0.1' -H 'Host: localhost'
	expect 403 loopback_only
	ok 'the metrics are for this machine only, whatever a header says'
	rest GET /livez
	expect 200
	ok 'and the rest for all'
fi
