#!/usr/bin/env bash
# coturn itself takes the credentials of GET /turn, relays with them, and takes no others.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

old=the-old-secret-of-the-two
new=the-new-secret-of-the-two
turn_port=$(free_port)
turn=turn:127.0.0.1:$turn_port
coturn_pid=

answers() { timeout 5 turnutils_stunclient -p "$turn_port" 127.0.0.1 >"$work/stun.out" 2>&1; }

# coturn_run OPTION...: without a database of its own, and until it answers.
coturn_run() {
	setsid setpriv --pdeathsig TERM turnserver "$@" --no-tls --no-dtls --userdb="$work/turndb" --pidfile="$work/coturn.pid" \
		--log-file=stdout >>"$work/coturn.out" 2>&1 </dev/null &
	coturn_pid=$!
	wait_for 30 answers && return
	echo 'Bail out! coturn did not start'
	cat "$work/coturn.out"
	exit 1
}

# coturn_start SECRET: on the loopback alone, which it relays to here.
coturn_start() {
	coturn_run -n --no-cli --listening-ip=127.0.0.1 --relay-ip=127.0.0.1 --listening-port="$turn_port" --use-auth-secret \
		--static-auth-secret="$1" --realm=telemed --allow-loopback-peers
}

# coturn_start_as_documented SECRET: as docs/operations.md has it, but for the addresses, and without a certificate.
coturn_start_as_documented() {
	sed -n '/^<!-- coturn -->/,/^<!-- \/coturn -->/p' "$root/docs/operations.md" | grep -v '^```\|^<!--\|^syslog$' |
		sed "s/203\.0\.113\.7/127.0.0.1/; s/^listening-port=.*/listening-port=$turn_port/; s/THE-SECRET/$1/; /^cert=/d; /^pkey=/d" \
			>"$work/turnserver.conf"
	coturn_run -c "$work/turnserver.conf"
}

coturn_stop() {
	[ -n "$coturn_pid" ] || return 0
	kill -TERM "$coturn_pid" 2>/dev/null
	wait "$coturn_pid"
	coturn_pid=
}
trap 'coturn_stop; finish; exit $?' EXIT

# relays USERNAME CREDENTIAL [OPTION]: two clients get an address each from coturn, and what they send each other arrives.
relays() {
	timeout 60 turnutils_uclient -y -c -n 2 -m 1 "${@:3}" -u "$1" -w "$2" -p "$turn_port" 127.0.0.1 >"$work/uclient.out" 2>&1
	local code=$?
	detail="$1: $(tail -n 4 "$work/uclient.out" | tr '\n' ' ')"
	[ $code -eq 0 ] && grep -q 'Total lost packets 0 ' "$work/uclient.out"
}

# refuses USERNAME CREDENTIAL: no address for it.
refuses() {
	! relays "$@" && grep -q 'Cannot complete Allocation' "$work/uclient.out"
}

# credential SECRET USERNAME: made here, for usernames that telemed would not make.
credential() {
	/usr/bin/python3 -c 'import base64, hashlib, hmac, sys
print(base64.b64encode(hmac.digest(sys.argv[1].encode(), sys.argv[2].encode(), hashlib.sha1)).decode())' "$@"
}

# nth N: the username and the credential of a server in $body.
nth() {
	username=$(field ".iceServers.$1.username")
	password=$(field ".iceServers.$1.credential")
}

coturn_start $old
stack_start "TELEMED_TURN_URLS=$turn?transport=udp,$turn?transport=tcp" TELEMED_TURN_SECRET=$old
register PATIENT ann
ann=$token
as "$ann" GET /turn
expect 200 && nth 0 && relays "$username" "$password"
ok 'coturn relays for who has asked for /turn'
relays "$username" "$password" -t
ok 'over TCP as well'
refuses "$username" "$(credential $new "$username")"
ok 'it refuses a credential of another secret'
refuses "${username%:*}:$((id + 1))" "$password"
ok 'and one of another user'
refuses "$((${username%:*} + 1)):$id" "$password"
ok 'and one with a later expiry'
soon=$(($(date +%s) + 60)):$id past=$(($(date +%s) - 1)):$id
relays "$soon" "$(credential $old "$soon")" && refuses "$past" "$(credential $old "$past")"
ok 'and one that has run out'
stack_stop

# docs/operations.md, "To change the secret": telemed first, then coturn, then telemed again.
stack_start "TELEMED_TURN_URLS=$turn" TELEMED_TURN_SECRET=$old,$new
as "$ann" GET /turn
expect 200 && nth 0 && relays "$username" "$password"
ok 'during a rotation the old secret counts, while coturn has it'
coturn_stop
coturn_start $new
refuses "$username" "$password"
ok 'and not when it has the new one'
nth 1 && relays "$username" "$password"
ok 'for which the same answer had a credential'
stack_stop
stack_start "TELEMED_TURN_URLS=$turn" TELEMED_TURN_SECRET=$new
as "$ann" GET /turn
expect 200 && nth 0 && relays "$username" "$password"
ok 'then the new one is enough'

coturn_stop
coturn_start_as_documented $new
! relays "$username" "$password" && grep -q 'channel bind: error 403' "$work/uclient.out"
ok 'the documented configuration takes it, and relays nothing to this machine'
refuses "$username" "$(credential $old "$username")"
ok 'and refuses others'
