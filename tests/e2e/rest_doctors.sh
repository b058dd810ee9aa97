#!/usr/bin/env bash
# The list of doctors, and a doctor's own status.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

# listed EXPRESSION [ARGUMENT...]: as json, on what ben, a patient, sees; b is the array.
listed() {
	local expression=$1
	shift
	as "$ben" GET /doctors
	expect 200 && json 'set(b) == {"doctors"}' && json "[(${expression}) for b in [b['doctors']]][0]" "$@"
}

stack_start
register PATIENT ben
ben=$token ben_id=$id
listed 'b == []'
ok 'nobody is there at first'
[ "$(header Content-Type)" = application/json ]
ok 'the list is JSON'

# Not in the order of their names; two share one.
declare -A token_of id_of
n=0
for name in zoe Bob 'Dr. Who' alice bob 'Dr. No' Álvaro 李 'Alice B' Ann-Marie 1st bob; do
	n=$((n + 1))
	rest POST /auth/register "{\"name\":\"$name\",\"email\":\"doctor$n@example.org\",\"password\":\"password\",\"role\":\"DOCTOR\"}"
	token_of[$n]=$(field .token) id_of[$n]=$(field .user.id)
done
register PATIENT carl
listed 'len(b) == 12 and all(set(d) == {"id", "name", "role", "status"} and type(d["id"]) is int
	and d["role"] == "DOCTOR" and d["status"] == "OFFLINE" for d in b)'
ok 'every doctor is listed, and nobody else; no email'
listed '[d["name"] for d in b if d["name"].isascii()] == a' 1st alice 'Alice B' Ann-Marie Bob bob bob 'Dr. No' 'Dr. Who' zoe
ok 'by name, whatever the case of its letters'
listed '[d["id"] for d in b if d["name"].lower() == "bob"] == [int(i) for i in a]' "${id_of[2]}" "${id_of[5]}" "${id_of[12]}"
ok 'those of one name in the order in which they came'
before=$body
as "${token_of[1]}" GET /doctors
expect 200 && [ "$body" = "$before" ]
ok 'a doctor sees the same list'

zoe=${token_of[1]} zoe_id=${id_of[1]}
set_status() { as "$1" POST /doctors/status "{\"status\":\"$2\"}"; }
for new in ONLINE BUSY OFFLINE BUSY ONLINE ONLINE; do
	set_status "$zoe" $new
	expect 200 && [ "$(header Content-Type)" = application/json ] &&
		json 'b == {"user": {"id": int(a[0]), "name": "zoe", "role": "DOCTOR", "status": a[1]}}' "$zoe_id" $new
	ok "sets $new"
	listed '[d["status"] for d in b if d["id"] == int(a[0])] == [a[1]]' "$zoe_id" $new
	ok "and everyone sees $new"
done
listed 'all(d["status"] == "OFFLINE" for d in b if d["id"] != int(a[0]))' "$zoe_id"
ok 'only hers has changed'
as "$zoe" GET /auth/me
expect 200 && [ "$(field .user.status)" = ONLINE ]
ok 'hers says so too'
rest POST /auth/login '{"email":"doctor1@example.org","password":"password"}'
expect 200 && [ "$(field .user.status)" = ONLINE ]
ok 'and a login'

# unchanged: zoe is still ONLINE and the others OFFLINE.
unchanged() { listed '[(d["id"], d["status"]) for d in b if d["status"] != "OFFLINE"] == [(int(a[0]), "ONLINE")]' "$zoe_id"; }
refuses() {
	as "$zoe" POST /doctors/status "$1"
	expect 400 validation_failed && faults status && unchanged
	ok "refuses $1"
}
for value in '""' '"online"' '"Busy"' '"AWAY"' '"ONLINE "' '" ONLINE"' '"ONLINE,BUSY"' '"IN_CALL"' 1 0 true false null \
	'["BUSY"]' '{"status":"BUSY"}'; do
	refuses "{\"status\":$value}"
done
for text in '{}' '{"Status":"BUSY"}' '{"STATUS":"BUSY","data":{"status":"BUSY"}}'; do
	refuses "$text"
done
as "$zoe" POST '/doctors/status?status=BUSY' '{"state":"BUSY"}'
expect 400 validation_failed && unchanged
ok 'takes no status from the address'
for text in status=BUSY '"BUSY"' '["BUSY"]' '{"status":"BUSY"'; do
	as "$zoe" POST /doctors/status "$text"
	expect 400 bad_json && unchanged
	ok "refuses $text"
done
as "$zoe" POST /doctors/status "{\"id\":${id_of[2]},\"userId\":${id_of[2]},\"name\":\"x\",\"role\":\"PATIENT\",\"status\":\"ONLINE\"}"
expect 200 && json 'b["user"] == {"id": int(a[0]), "name": "zoe", "role": "DOCTOR", "status": "ONLINE"}' "$zoe_id" && unchanged
ok 'sets nothing but the status, and nobody else'\''s'
for new in ONLINE BUSY OFFLINE; do
	set_status "$ben" $new
	expect 403 doctors_only && [ "$(db "SELECT status FROM user WHERE id = $ben_id")" = OFFLINE ] && unchanged
	ok "a patient cannot be $new"
done
rest POST /doctors/status '{"status":"BUSY"}'
expect 401 unauthenticated && unchanged
ok 'nor can a stranger'
rest GET /doctors
expect 401 unauthenticated && ! grep -q zoe <<<"$body"
ok 'a stranger sees no list'

# All at once: each on a doctor of her own, then all on one.
for n in "${!token_of[@]}"; do
	printf '%s\n' "${token_of[$n]}"
done >"$work/tokens"
all_set() {
	xargs -P 12 -I{} curl -s -o /dev/null -w '%{http_code}\n' "$base/doctors/status" -H 'Authorization: Bearer {}' \
		-d "{\"status\":\"$1\"}" | sort | uniq -c | xargs
}
detail=$(all_set BUSY <"$work/tokens")
[ "$detail" = '12 200' ] && listed 'all(d["status"] == "BUSY" for d in b)'
ok 'twelve doctors set theirs at once'
detail=$(for _ in {1..12}; do echo "$zoe"; done | all_set OFFLINE)
[ "$detail" = '12 200' ] && listed '[d["id"] for d in b if d["status"] != "BUSY"] == [int(a[0])]' "$zoe_id"
ok 'one doctor sets hers twelve times at once'

stack_stop
stack_start
listed 'len(b) == 12 and [d["id"] for d in b if d["status"] != "BUSY"] == [int(a[0])]' "$zoe_id"
ok 'what was set outlives a restart'
set_status "$zoe" ONLINE
expect 200
ok 'and can be set after it'
db "UPDATE user SET role = 'PATIENT' WHERE id = $zoe_id; DELETE FROM user WHERE id = ${id_of[2]}"
listed 'len(b) == 10 and not [d for d in b if d["id"] in (int(a[0]), int(a[1]))]' "$zoe_id" "${id_of[2]}"
ok 'who is no doctor, or gone, is not listed'

# Who has the list is not sent it again, whichever worker answers, until it is another: by a status that a doctor sets, and by
# what nobody set, a call (here by its row, for it is the store that says who is in one).
as "$zoe" GET /doctors
etag=$(header ETag)
[[ $etag =~ ^\"[0-9a-f]{16}\"$ ]] && [ "$(header Cache-Control)" = 'private, no-cache' ]
ok 'a list has a name'
unchanged() {
	as "$zoe" GET /doctors '' -H "If-None-Match: $1"
	[ "$status" = 304 ] && [ ! -s "$work/body" ] && [ "$(header ETag)" = "$etag" ]
}
for given in "$etag" "W/$etag" "\"x\", $etag" "\"x\",W/$etag , \"y\"" '*'; do
	unchanged "$given"
	ok "nothing has changed for $given"
done
for given in '"x"' "${etag%?}" "x$etag" '' '"",,'; do
	as "$zoe" GET /doctors '' -H "If-None-Match: $given"
	expect 200
	ok "the list is sent to who has ${given:-nothing}"
done
times_unchanged() { for _ in {1..40}; do unchanged "$etag" || return; done; }
times_unchanged
ok 'nor for any worker'
times_changed() {
	for _ in {1..40}; do
		as "$zoe" GET /doctors '' -H "If-None-Match: $etag"
		[ "$status" = 200 ] && [ "$(header ETag)" != "$etag" ] || return
	done
	etag=$(header ETag)
}
set_status "${token_of[3]}" OFFLINE
times_changed
ok 'a status makes another list for all of them'
db "INSERT INTO user (name, email, password_hash, role, created_ms) VALUES ('p', 'p@p.example', '', 'PATIENT', 0);
	INSERT INTO call (call_id, caller_id, callee_id, state, started_ms) VALUES ('c', last_insert_rowid(), ${id_of[3]}, 'ACTIVE', 0)"
times_changed && listed '[d for d in b if d["id"] == int(a[0])][0]["status"] == "BUSY"' "${id_of[3]}"
ok 'and so does a call'
as "$zoe" HEAD /doctors
[ "$status" = 200 ] && [ "$(header ETag)" = "$etag" ]
ok 'HEAD names it as well'
rest GET /doctors '' -H "If-None-Match: $etag"
expect 401 unauthenticated
ok 'a stranger is not told that nothing has changed'

# A long list is whole: 3,000 doctors whose names are as long as they may be, which is more than a megabyte.
db "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
	INSERT INTO user (name, email, password_hash, role, created_ms)
	SELECT printf('%04d', i) || replace(printf('%.*c', 96, 'x'), 'x', '😀'), i || '@many.example', '', 'DOCTOR', 0 FROM n"
listed 'len(b) == 3010 and len({d["id"] for d in b}) == 3010 and [d["name"] for d in b if "\U0001f600" in d["name"]]
	== ["%04d" % i + "\U0001f600" * 96 for i in range(1, 3001)]'
ok 'a long list is whole'
[ "$(header Content-Length)" = "$(stat -c %s "$work/body")" ] && [ "$(stat -c %s "$work/body")" -gt 1000000 ]
ok 'and as long as it says'
