#!/usr/bin/env bash
# GET /turn: the STUN and TURN servers for a call, with credentials of one's own.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

stun='stun:127.0.0.1:3478'
turn='turn:127.0.0.1:3478?transport=udp,turns:turn.example:5349?transport=tcp'
old=the-old-secret-of-the-two
new=the-new-secret-of-the-two

# ice USER [SECRET...]: the answer is the STUN server and, for each secret, the TURN servers with its credential for USER, all
# good for six hours from now.
ice() {
	expect 200 && /usr/bin/python3 - "$work/body" "$stun" "$turn" "$@" <<-'EOF'
		import base64, hashlib, hmac, json, sys, time
		body, stun, turn, user, *secrets = sys.argv[1:]
		got = json.load(open(body))
		assert list(got) == ["iceServers"], got
		assert got["iceServers"].pop(0) == {"urls": [stun]}
		assert len(got["iceServers"]) == len(secrets)
		for server, secret in zip(got["iceServers"], secrets):
		    expiry, name = server["username"].split(":")
		    assert name == user and abs(int(expiry) - time.time() - 6 * 3600) < 120
		    mac = hmac.digest(secret.encode(), server["username"].encode(), hashlib.sha1)
		    assert server == {"urls": turn.split(","), "username": server["username"],
		                      "credential": base64.b64encode(mac).decode()}, server
	EOF
}

stack_start
register PATIENT ann
ann=$token ann_id=$id
register DOCTOR dora
dora=$token dora_id=$id
as "$ann" GET /turn
expect 200 && [ "$body" = '{"iceServers":[]}' ]
ok 'there is none where none is configured'
[ "$(header Content-Type)" = application/json ] && [ "$(header Cache-Control)" = no-store ]
ok 'it is JSON, and kept nowhere'
rest GET /turn
expect 401 unauthenticated
ok 'it wants a token'
rest GET /turn '' -H 'Authorization: Bearer not.a.token'
expect 401 invalid_token
ok 'and a good one'
as "$ann" POST /turn '{}'
expect 405 method_not_allowed && [ "$(header Allow)" = 'GET, HEAD, OPTIONS' ]
ok 'it is read only'
stack_stop

stack_start "TELEMED_TURN_URLS=$stun"
as "$ann" GET /turn
ice "$ann_id"
ok 'a STUN server needs no secret'
stack_stop

stack_start "TELEMED_TURN_URLS=$stun,$turn" TELEMED_TURN_SECRET=$old TELEMED_LOG_LEVEL=debug
as "$ann" GET /turn
ice "$ann_id" $old
ok 'a patient gets credentials'
as "$dora" GET /turn
ice "$dora_id" $old
ok 'so does a doctor'
as "$dora" HEAD /turn
expect 200
ok 'HEAD is answered'
as "$dora" GET '/turn?user=1'
ice "$dora_id" $old
ok 'nobody gets those of another'
stack_stop

stack_start "TELEMED_TURN_URLS=$stun,$turn" TELEMED_TURN_SECRET=$old,$new TELEMED_LOG_LEVEL=debug
as "$ann" GET /turn
ice "$ann_id" $old $new
ok 'during a rotation both secrets count'
username=$(field .iceServers.1.username) credential=$(field .iceServers.1.credential)
rest GET /metrics
expect 200 && ! grep -qF -e "$old" -e "$new" -e "$username" -e "$credential" "$work/body"
ok 'no metric says a secret or a credential'
grep -q '"route":"/turn"' "$work/stack.err" && [ -s "$work/data/log/access.log" ] &&
	! grep -rqF -e "$old" -e "$new" -e "$username" -e "$credential" "$work/stack.err" "$work/stack.out" "$work/data/log"
ok 'no log does'
