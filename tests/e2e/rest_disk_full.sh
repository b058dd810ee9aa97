#!/usr/bin/env bash
# A disk that is full: writes are refused whole, reads go on, and all is well when there is room again. Needs a file system of its
# own to fill, which a namespace of its own may mount; where that is not allowed the test is skipped.
if [ -z "${TELEMED_TEST_NAMESPACE-}" ]; then
	unshare -rm mount -t tmpfs tmpfs /mnt 2>/dev/null || exit 77
	TELEMED_TEST_NAMESPACE=1 exec unshare -rm "$0"
fi
mount -t tmpfs tmpfs /mnt || exit 1
export TMPDIR=/mnt # gone with the namespace
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

mkdir "$work/data"
mount -t tmpfs -o size=4m tmpfs "$work/data"
stack_start TELEMED_AUTH_RATE=1000
register DOCTOR dora
dora=$token
state() { db 'SELECT id, name, email, status, rev FROM user ORDER BY id; SELECT * FROM auth_attempt'; }
before=$(state)
audit() { env TELEMED_DATA_DIR="$work/data" "$build/admin/telemed-admin" audit "$@"; }
trail=$(audit list)

fill() { head -c 8m /dev/zero 2>/dev/null >>"$work/data/ballast"; }
for _ in 1 2 3; do
	fill
	for path in /auth/register /auth/login /doctors/status; do
		as "$dora" POST $path '{"name":"late","email":"dora@example.org","password":"password","role":"PATIENT","status":"ONLINE"}'
		expect 503 unavailable
		ok "$path is refused"
	done
done
rest GET /metrics
detail=$(grep '^telemed_store_failures_total ' "$work/body") && [[ $detail =~ \ [1-9] ]]
ok 'and counted as a failure of the store'
as "$dora" GET /doctors
expect 200 && [ "$(field .doctors.0.status)" = OFFLINE ]
ok 'the list is answered'
rest GET /readyz
[ "$status" = 503 ] && json 'b["checks"] == {"database": "ok", "disk": "full", "relay": "ok"}'
ok 'it is not ready, and says why'
[ "$(state)" = "$before" ]
ok 'nothing has been written by halves'
[ "$(audit list)" = "$trail" ] && audit verify >/dev/null
ok 'what was refused is not in the trail, which is whole'
rm "$work/data/ballast"
wait_for 20 is_ready
ok 'when there is room again it is ready'
as "$dora" POST /doctors/status '{"status":"ONLINE"}'
expect 200
ok 'and a status is set'
register PATIENT paul
expect 201
ok 'and a patient registers'
[ "$(audit list | wc -l)" -eq $(($(wc -l <<<"$trail") + 2)) ] && audit verify >/dev/null
ok 'and the trail goes on'
[ "$(db 'PRAGMA integrity_check')" = ok ]
ok 'the database is whole'
stack_stop
stack_start
as "$dora" GET /doctors
expect 200 && [ "$(field .doctors.0.status)" = ONLINE ]
ok 'and is so after a restart'
stack_stop
umount "$work/data"
