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
expect 200 && json 'b["status"] == "ok" and b["checks"] == {"database": "ok", "relay": "ok"}'
ok 'is ready, and says what it has checked'
relay_is() {
	rest GET /readyz
	[ "$status" = "$1" ] && json 'b["checks"] == {"database": "ok", "relay": a[0]}' "$2"
}
relay=$(program_pids ws-relay)
kill -STOP "$relay"
wait_for 20 relay_is 503 failed
ok 'is not ready without its relay, and says so'
rest GET /livez
expect 200
ok 'but lives'
kill -CONT "$relay"
wait_for 20 relay_is 200 ok
ok 'is ready again when the relay is'

cat >"$work/prometheus.py" <<'PY'
import re, sys
text, want = open(sys.argv[1]).read(), sys.argv[2:]
assert text.endswith("\n") and "\n\n" not in text
types, helps, samples, family = {}, set(), {}, None
for line in text.splitlines():
    if m := re.fullmatch(r"# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S.*)", line):
        assert m[1] not in helps, line
        helps.add(m[1])
    elif m := re.fullmatch(r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)", line):
        assert m[1] not in types and m[1] in helps, line
        types[m[1]], family = m[2], m[1]
    else:
        m = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-z_]+="[^"\\]*"(?:,[a-z_]+="[^"\\]*")*\})? (-?\d+(?:\.\d+)?)', line)
        assert m and m[1] == family and m[1] + (m[2] or "") not in samples, line
        assert types[family] == "gauge" or (family.endswith("_total") and float(m[3]) >= 0), line
        samples[m[1] + (m[2] or "")] = m[3]
assert len(samples) > 10 and all(t.startswith("telemed_") for t in types)
for w in want:
    print(samples[w])
PY
count() {
	rest GET /metrics
	/usr/bin/python3 "$work/prometheus.py" "$work/body" "$@" | xargs
}
families=(telemed_registrations_total telemed_logins_total telemed_logins_refused_total 'telemed_http_responses_total{class="4xx"}')
rest GET /metrics
expect 200 && [[ $(header Content-Type) == 'text/plain; version=0.0.4'* ]] &&
	detail=$(/usr/bin/python3 "$work/prometheus.py" "$work/body" 2>&1)
ok 'the metrics are valid'
read -r -a before <<<"$(count "${families[@]}")"
register PATIENT paul
rest POST /auth/login "$login"
rest POST /auth/login "$login"
rest POST /auth/login '{"email":"dora@example.org","password":"wrong-password"}'
read -r -a after <<<"$(count "${families[@]}")"
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
[ "$(wc -l <"$work/data/log/access.log")" -gt 10 ]
ok 'lighttpd has logged as well'

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
