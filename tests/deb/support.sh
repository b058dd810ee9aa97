# For the tests of the package: TAP.
# shellcheck shell=bash disable=SC2034,SC2154
tests=0
failures=0
detail=

# ok NAME: the command before it succeeded? Use as: command; ok NAME. Fails where it did not.
ok() {
	local code=$?
	tests=$((tests + 1))
	if [ $code -eq 0 ]; then
		echo "ok $tests - $1"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $1"
		[ -z "$detail" ] || printf '%s\n' "$detail" | sed 's/^/# /'
	fi
	detail=
	return $code
}

# count N: what another script has found wrong.
count() { failures=$((failures + $1)); }

wait_for() {
	local deadline=$((SECONDS + 60))
	until "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.1
	done
}

# get URL [curl's options...]: $status and $body. What stands in `through` goes before curl; $work is a folder of the caller's.
through=()
get() {
	local url=$1
	shift
	status=$("${through[@]}" curl -sS -m 20 -o "$work/body" -w '%{http_code}' "$@" "$url" 2>"$work/error")
	body=$(cat "$work/body" 2>/dev/null)
	detail="$url: $status $body $(cat "$work/error")"
}
answers() { get "$1" "${@:2}" && [ "$status" = 200 ]; }
field() { grep -oE "\"$1\":\"?[^\",}]*" <<<"$body" | head -n 1 | sed "s/.*://; s/\"//"; }

# What a handshake has, for curl.
upgrade=(--http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')
