#!/usr/bin/env bash
# make install, and what docs/shared-hosting.md tells: telemed of a user without root, in her home, behind a lighttpd of somebody else.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

home=$work/home
prefix=$home/telemed
mkdir -p "$home"
chmod 711 "$work"

# as_user COMMAND...: in an environment of her own. Where root runs the tests, she is somebody else.
as_user() {
	local become=()
	[ "$(id -u)" -ne 0 ] || become=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	env -i HOME="$home" PATH=/usr/bin:/bin ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS"} ${UBSAN_OPTIONS:+UBSAN_OPTIONS="$UBSAN_OPTIONS"} \
		"${become[@]}" "$@"
}

# block NAME: what the page has between its marks of that name, with our port.
block() {
	sed -n "/^<!-- $1 -->/,/^<!-- \/$1 -->/p" "$root/docs/shared-hosting.md" | grep -v '^```\|^<!--' | sed "s/18080/$port/g"
}

make_install() { env -u MAKEFLAGS -u MAKELEVEL make -s -C "$root" install-files BUILD="$build" "$@"; }

# Somewhere, and moved: nothing may depend on where it was made.
detail=$(make_install DESTDIR="$work/stage" PREFIX=/somewhere 2>&1)
ok 'make install takes DESTDIR and PREFIX'
# But in the scripts that stand for the programs under valgrind.
detail=$(grep -rlF -e "$root/" -e "$work" "$work/stage" | xargs -r -d '\n' grep -L VALGRIND_LAUNCHER)
[ -z "$detail" ]
ok 'no path of the build is in it'
grep -qx 'TELEMED_DATA_DIR=/somewhere/var/lib/telemed' "$work/stage/somewhere/etc/telemed/telemed.conf"
ok 'its data are below its prefix'
detail=$(make_install DESTDIR="$work/stage" PREFIX=/usr 2>&1) &&
	grep -qx 'TELEMED_DATA_DIR=/var/lib/telemed' "$work/stage/etc/telemed/telemed.conf"
ok 'but of what is below /usr in /var, and the settings in /etc'
mv "$work/stage/somewhere" "$prefix"
conf=$prefix/etc/telemed/telemed.conf
sed -i "s|^TELEMED_DATA_DIR=.*|TELEMED_DATA_DIR=$prefix/var/lib/telemed|" "$conf"
grep -qx 'TELEMED_VISIBILITY=scoped' "$conf" && grep -qx 'TELEMED_DOCTOR_SIGNUP=approve' "$conf" && [ "$(stat -c %a "$conf")" = 640 ]
ok "its settings are a clinic's, and not for everybody to read"
[ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$home"

port=$(free_port)
base=http://127.0.0.1:$port
detail=$(as_user bash -euc "$(block settings)" 2>&1)
[ "$(stat -c %a "$conf")" = 600 ] && grep -qx "TELEMED_PORT=$port" "$conf"
ok 'the page: settings'
# The page's own, but for bcrypt, so that it does not take long.
echo TELEMED_BCRYPT_COST=4 >>"$conf"
start_hers() {
	detail=$(as_user bash -c "cd ~/telemed; $(block start); echo \$! >pid" 2>&1)
	stack_pid=$(cat "$prefix/pid")
}
start_hers
[[ $detail == *'"status":"ok"'* ]]
ok 'the page: it starts, and is ready'
log=$prefix/var/log/telemed
detail=$(cat "$log")
[ "$(stat -c %u "/proc/$stack_pid")" = "$(stat -c %u "$home")" ]
ok 'it runs as its user'
rest GET /
[ "$status" = 200 ] && cmp -s "$work/body" "$root/www/index.html"
ok 'it serves its page'
rest POST /auth/login x
expect 400 bad_json
ok 'and REST'
rest GET /nothing.png
expect 404 not_found lighttpd
ok "and lighttpd's problems"
[ "$(stat -c '%a %s' "$prefix/var/lib/telemed/secret")" = '600 32' ]
ok 'its secret is its own'
register DOCTOR dora
json 'b["user"]["pending"]'
ok 'a doctor waits for approval'
detail=$(as_user "$prefix/bin/telemed-admin" users approve dora@example.org 2>&1) &&
	detail=$(as_user "$prefix/bin/telemed-admin" users list 2>&1) && [[ $detail == *"$id"*DOCTOR* && $detail != *pending* ]]
ok 'telemed-admin finds its settings and its data'
if [ "$(id -u)" -eq 0 ]; then
	before=$(stat -c '%U %a' "$prefix"/var/lib/telemed/telemed.db*)
	detail=$("$prefix/bin/telemed-admin" users list 2>&1) && [ -z "$(find "$home" -user root)" ] &&
		[ "$before" = "$(stat -c '%U %a' "$prefix"/var/lib/telemed/telemed.db*)" ]
	ok 'and leaves nothing of root behind'
	chown root:65534 "$conf" && chmod 640 "$conf" && chgrp 0 "$prefix/var/lib/telemed"
	detail=$("$prefix/bin/telemed-admin" users list 2>&1)
	ok 'whatever group the folder of the data is of'
	chown 65534:65534 "$conf" "$prefix/var/lib/telemed" && chmod 600 "$conf"
fi

# The host's lighttpd, with a site of its own.
theirs=$(free_port)
mkdir -p "$work/site"
echo 'the site of the host' >"$work/site/index.html"
{
	echo "server.modules = ( \"mod_proxy\" ) server.port = $theirs server.bind = \"127.0.0.1\""
	echo "server.document-root = \"$work/site\" index-file.names = ( \"index.html\" ) server.pid-file = \"$work/theirs.pid\""
	block proxy
} | sed 's/ server\./\nserver./g; s/ index-file/\nindex-file/' >"$work/theirs.conf"
lighttpd=$(PATH=$PATH:/usr/sbin command -v lighttpd)
detail=$("$lighttpd" -tt -f "$work/theirs.conf" 2>&1)
ok "the page: the host's lighttpd takes it"
setsid "$lighttpd" -D -f "$work/theirs.conf" >"$work/theirs.log" 2>&1 </dev/null &
host_pid=$!
at_name=(--resolve "telemed.example:$theirs:127.0.0.1")
base=http://telemed.example:$theirs
is_there() { [ "$(curl -s -m 5 "${at_name[@]}" -o /dev/null -w '%{http_code}' "$base/livez")" = 200 ]; }
wait_for 20 is_there
ok 'telemed is there, at its name'
rest POST /auth/register '{"name":"Pat","email":"pat@example.org","password":"password","role":"PATIENT"}' "${at_name[@]}"
expect 201 && token=$(field .token)
ok 'it takes registrations there'
rest GET /metrics '' "${at_name[@]}" -H 'X-Forwarded-For: 203.0.113.9'
expect 403 loopback_only
ok 'it believes the host about where a request comes from'
detail=$(curl -sS -m 20 "http://127.0.0.1:$theirs/" -w '%{http_code}' "http://127.0.0.1:$theirs/livez" 2>&1)
[[ $detail == 'the site of the host'*404 ]]
ok "the host's own site is what it was"
detail=$(timeout $((60 * ${TELEMED_TEST_SLOW:-1})) /usr/bin/python3 - "$theirs" "$token" 2>&1 <<'PY'
import asyncio, json, sys, websockets
port, token = sys.argv[1:]

async def talk():
    async with websockets.connect(f"ws://telemed.example:{port}/ws?token={token}", host="127.0.0.1", port=int(port),
                                  origin=f"http://telemed.example:{port}") as socket:
        for i in range(20):  # more than one request may have in all
            await socket.send(json.dumps({"type": "chat", "id": f"m{i}", "data": {"message": "x" * 3000}}))
        seen = set()
        while len(seen) < 20:
            got = json.loads(await socket.recv())
            if "id" in got:
                assert got["type"] == "ack", got
                seen.add(got["id"])

asyncio.run(talk())
PY
)
ok 'a WebSocket goes through, and is not cut where a request would be'
kill -TERM "$host_pid"
wait "$host_pid"

base=http://127.0.0.1:$port
stop_hers() {
	detail=$(as_user bash -euc "$(block stop)" 2>&1)
	gone() { [ -z "$(pgrep -s "$stack_pid")" ]; }
	wait_for 30 gone
}
stop_hers
ok 'it stops'
settings=$(sha256sum "$conf")
detail=$(make_install PREFIX="$prefix" 2>&1) && [ "$settings" = "$(sha256sum "$conf")" ]
ok 'an upgrade leaves the settings as they are'
[ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$prefix"
start_hers
rest POST /auth/login '{"email":"pat@example.org","password":"password"}'
expect 200
ok 'and the accounts'
stop_hers
stack_pid=
cat "$log" >>"$work/stack.err"
