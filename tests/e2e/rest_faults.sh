#!/usr/bin/env bash
# What goes wrong around the program: a locked database, one that is gone, workers that die, a relay that hangs, a storm of logins.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

master() { pgrep -o -s "$stack_pid" -x fcgi-api; }
workers() { pgrep -P "$(master)"; }
users() { db 'SELECT count(*) FROM user'; }
set_status() { as "$dora" POST /doctors/status "{\"status\":\"$1\"}"; }
dora_is() {
	as "$dora" GET /doctors
	expect 200 && [ "$(field .doctors.0.status)" = "$1" ]
}
# reads N: the statuses of N lists at once, as "COUNT STATUS" for each.
reads() {
	seq "$1" | xargs -P "$1" -I{} curl -s -m 30 -o /dev/null -w '%{http_code}\n' "$base/doctors" \
		-H "Authorization: Bearer $dora" | sort | uniq -c | xargs
}
# every_write_fails: with 503, and so that nothing has been written.
every_write_fails() {
	local before
	before=$(users)
	register PATIENT late
	expect 503 unavailable && set_status BUSY && expect 503 unavailable &&
		rest POST /auth/login '{"email":"dora@example.org","password":"password"}' && expect 503 unavailable &&
		rest POST /auth/login '{"email":"dora@example.org","password":"wrong-password"}' && expect 503 unavailable &&
		dora_is ONLINE && [ "$(users)" = "$before" ]
}

stack_start TELEMED_AUTH_RATE=1000 # so that a login writes as well
register DOCTOR dora
dora=$token
set_status ONLINE
expect 200
ok 'a doctor is there'

# Somebody else's transaction: the sqlite3 shell's, for as long as it takes.
have_opened() {
	local pid
	for pid in $(workers); do
		[ -r "/proc/$pid/fd" ] || continue # root may look
		find "/proc/$pid/fd" -lname "$work/data/telemed.db" | grep -q . || return 1
	done
}
wait_for 20 have_opened
ok 'every worker has opened the database'
mkfifo "$work/shell"
sqlite3 "$work/data/telemed.db" <"$work/shell" >"$work/shell.out" 2>&1 &
shell=$!
exec 8>"$work/shell"
echo "BEGIN IMMEDIATE; UPDATE user SET name = 'nobody';
.shell touch $work/held" >&8
wait_for 20 test -e "$work/held"
ok 'another holds the database'
every_write_fails
ok 'writes are refused'
detail=$(reads 24)
[ "$detail" = '24 200' ]
ok 'reads are answered'
rest GET /readyz
[ "$status" = 503 ] && json 'b["checks"] == {"database": "locked", "disk": "ok", "relay": "ok"}'
ok 'it is not ready, and says why'
# Three writes wait; the list is there before any of them is answered.
overtaken() {
	: >"$work/waiting"
	for _ in 1 2 3; do
		curl -s -m 30 -o /dev/null -w '%{http_code}\n' "$base/doctors/status" -H "Authorization: Bearer $dora" \
			-d '{"status":"BUSY"}' >>"$work/waiting" &
		writes+=($!)
	done
	dora_is ONLINE && [ ! -s "$work/waiting" ]
}
writes=()
wait_for 20 overtaken
ok 'reads do not wait for writes that do'
wait "${writes[@]}"
echo 'ROLLBACK;' >&8
exec 8>&-
wait $shell
set_status ONLINE
expect 200 && register PATIENT paul && expect 201 && dora_is ONLINE
ok 'when it lets go all is as before'

# The same with the lock that our own programs take before they write: as when one hangs in the middle of it.
exec 8>"$work/data/run/store.lock"
flock -w 60 8
ok 'the lock is held'
every_write_fails
ok 'behind a writer of ours that hangs, writes are refused'
detail=$(reads 24)
[ "$detail" = '24 200' ]
ok 'reads are answered there too'
rest GET /readyz
[ "$status" = 503 ] && json 'b["checks"]["database"] == "locked"'
ok 'and it is not ready'
exec 8>&-
set_status ONLINE
expect 200
ok 'when it lets go all is as before'

mkdir "$work/away"
before=$(users)
mv "$work/data/"telemed.db* "$work/away/"
as "$dora" GET /doctors
expect 503 unavailable
ok 'without a database there is no list'
for what in 'GET /auth/me' 'GET /calls' 'GET /turn' 'POST /auth/refresh' 'POST /auth/logout'; do
	as "$dora" "${what% *}" "${what#* }" '' -H 'Content-Length: 0'
	expect 503 unavailable
	ok "nor is there $what"
done
for _ in {1..12}; do
	register PATIENT lost
	[ "$status" = 503 ] || break
done
expect 503 unavailable
ok 'and no registration'
rest GET /readyz
[ "$status" = 503 ] && json 'b["checks"] == {"database": "gone", "disk": "ok", "relay": "ok"}'
ok 'it is not ready, and says why'
[ ! -e "$work/data/telemed.db" ]
ok 'it does not begin with an empty one'
mv "$work/away/"* "$work/data/"
dora_is ONLINE && is_ready && [ "$(users)" = "$before" ] && set_status BUSY && expect 200 && dora_is BUSY
ok 'when it is back all is as before'

# The doorbell's queue holds a few rings; a relay that hangs takes none.
relay=$(program_pids ws-relay)
kill -STOP "$relay"
for n in {1..20}; do
	set_status ONLINE
	[ "$status" = 200 ] && set_status BUSY
	[ "$status" = 200 ] || break
done
[ "$n $status" = '20 200' ]
ok 'a relay that hangs holds no status up'
kill -CONT "$relay"

# Workers are killed in the midst of registrations: who has been told 201 is registered.
client() {
	local i code=
	for i in {1..80}; do
		[ "$code" != 000 ] || break # lighttpd answers, whatever happens behind it
		code=$(curl -s -m 30 -o "$work/client$1" -w '%{http_code}' "$base/auth/register" \
			-d "{\"name\":\"c\",\"email\":\"c$1-$i@example.org\",\"password\":\"password\",\"role\":\"PATIENT\"}")
		echo "$code c$1-$i@example.org" >>"$work/answers"
	done
}
: >"$work/answers"
clients=()
for n in 1 2 3 4; do
	client $n &
	clients+=($!)
done
grown() { [ "$(wc -l <"$work/answers")" -gt "$1" ] || ! kill -0 "${clients[@]}" 2>/dev/null; }
kills=0
while kill -0 "${clients[@]}" 2>/dev/null; do
	# shellcheck disable=SC2046 # a list of numbers
	kill -9 $(workers) 2>/dev/null && kills=$((kills + 1))
	wait_for 60 grown $(($(wc -l <"$work/answers") + RANDOM % 8)) || break
done
wait "${clients[@]}"
detail="$kills times; $(cut -d ' ' -f 1 "$work/answers" | sort | uniq -c | xargs)"
[ $kills -ge 5 ] && [ "$(wc -l <"$work/answers")" = 320 ] && [ "$(grep -c ^201 "$work/answers")" -ge 40 ] &&
	! grep -v '^\(201\|50[03]\) ' "$work/answers"
ok 'workers are killed, and others go on'
sed -n 's/^201 //p' "$work/answers" | sort >"$work/told"
db "SELECT email FROM user WHERE email LIKE 'c%-%@example.org'" | sort >"$work/stored"
detail=$(comm -23 "$work/told" "$work/stored" | xargs)
[ -z "$detail" ]
ok 'who was told 201 is registered'
[ "$(db 'PRAGMA integrity_check; PRAGMA foreign_key_check')" = ok ]
ok 'the database is whole'
rest POST /auth/login "{\"email\":\"$(shuf -n 1 "$work/told")\",\"password\":\"password\"}"
expect 200
ok 'and they can log in'

# All of fcgi-api at once: until it is back, lighttpd says so in its place.
before=$(master)
kill -9 "$before"
bad=
tries=0
# Each pool has a socket of its own, and a worker of the old one may give a last answer, so both are asked until both are new.
serves_again() {
	local path
	tries=$((tries + 1))
	for path in /livez /auth/register; do
		if [ $path = /livez ]; then rest GET $path; else register PATIENT "last$tries"; fi
		[[ $status == 20[01] ]] && continue
		json 'b["status"] == int(a[0]) and b["code"] in ("internal", "unavailable") and b["instance"]' "$status" || bad=$detail
		return 1
	done
	[ "$(master)" != "$before" ]
}
wait_for 30 serves_again
ok 'all of fcgi-api comes back when it is killed'
detail=$bad
[ -z "$bad" ]
ok 'and until then everything is answered with a problem'

# A backup put in its place. To each worker it is a file as freshly opened as the one whose list it has just given out.
stack_stop
stack_start
for _ in {1..60}; do
	dora_is OFFLINE || break
done
expect 200
sqlite3 "$work/data/telemed.db" ".backup '$work/backup'"
sqlite3 "$work/backup" "UPDATE user SET name = 'restored' WHERE name = 'dora'"
mv "$work/data/"telemed.db* "$work/away/"
mv "$work/backup" "$work/data/telemed.db"
for _ in {1..60}; do
	as "$dora" GET /doctors
	[ "$(field .doctors.0.name)" = restored ] || break
done
[ "$(field .doctors.0.name)" = restored ]
ok 'the list is that of the database that is there'

# A storm of logins, each some 50 ms of work, is far from over when the list has been given out again and again: the two have
# processes of their own. Nobody looks at a clock.
stack_stop
stack_start TELEMED_BCRYPT_COST=10
register DOCTOR grace
storm=$((30 * $(nproc)))
[ $storm -le 300 ] || storm=300
answered() { grep -c '"route":"/auth/login","status":200' "$work/stack.err"; }
before=$(answered)
curl -s -Z --parallel-immediate --parallel-max $storm -m 120 -o /dev/null -w '%{http_code}\n' \
	-d '{"email":"grace@example.org","password":"password"}' "$base/auth/login?[1-$storm]" >"$work/storm" 2>/dev/null &
curl=$!
has_begun() { [ "$(answered)" -gt "$before" ]; }
wait_for 60 has_begun
for _ in 1 2 3 4 5; do
	as "$token" GET /doctors
	expect 200 || break
done
done_before=$(($(answered) - before))
detail="$done_before of $storm logins were answered before five lists; $detail"
[ "$status" = 200 ] && [ $((done_before * 2)) -lt $storm ]
ok 'a storm of logins does not hold the list up'
wait $curl
detail=$(sort "$work/storm" | uniq -c | xargs)
[ "$detail" = "$storm 200" ]
ok 'and every login is answered'
