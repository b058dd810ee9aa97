#!/usr/bin/env bash
# The drill in docs/operations.md, pasted: a backup taken while telemed runs and is used, restored elsewhere, and tried.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

stack_start
register DOCTOR grace
register PATIENT ann
patient=$id
old=$token

# Somebody registers and logs in all the while.
(
	n=0
	while :; do
		n=$((n + 1))
		curl -s -o /dev/null "$base/auth/register" -d "{\"name\":\"N\",\"email\":\"n$n@example.org\",\"password\":\"password\",\"role\":\"PATIENT\"}"
		curl -s -o /dev/null "$base/auth/login" -d "{\"email\":\"n$n@example.org\",\"password\":\"password\"}"
		echo $n >"$work/load"
	done
) &
load=$!
trap 'kill $load 2>/dev/null; finish; exit $?' EXIT
loaded() { [ -s "$work/load" ] && [ "$(cat "$work/load")" -ge "$1" ]; }
wait_for 30 loaded 5

drill() { sed -n "/^<!-- $1 -->/,/^<!-- \/drill -->/p" "$root/docs/operations.md" | grep -v '^```\|^<!--'; }
drill drill >"$work/drill"
grep -q 'telemed-admin restore' "$work/drill" && [ "$(drill 'drill run' | grep -c '^ *[A-Z]*=')" = 3 ]
ok 'the drill is there'

# As an operator would, in her shell, but for where things are; RUN is the build folder.
paste() {
	drill=$work/$1
	detail=$(cd "$root" && PATH=$build/admin:$PATH TELEMED_BCRYPT_COST=4 DATA=$work/data DRILL=$drill RUN="scripts/run $2" \
		PORT=$(free_port) EMAIL=ann@example.org PASSWORD=$3 timeout 120 bash "$work/drill" 2>&1)
}
paste drill.d "$build" password
code=$?
echo "$detail" >"$work/drill.out"
[ $code -eq 0 ] || detail+=$(cat "$work/drill.d/log" 2>&1)
[ $code -eq 0 ] && grep -qx 'The drill is over.' "$work/drill.out"
ok 'it runs to its end'
detail=$(cat "$work/drill.out")
grep -q 'is in its place' "$work/drill.out" && grep -q 'The trail is whole' "$work/drill.out"
ok 'what was restored is whole'
detail=$(cat "$work/drill.out")
grep -q '"database":"ok"' "$work/drill.out"
ok 'and serves'
loaded 10 || wait_for 30 loaded 10
ok 'under load'
[ ! -e "$work/drill.d" ]
ok 'and leaves nothing behind'
paste wrong.d "$build" 'another password'
[ $? -ne 0 ] && [[ $detail == *'returned error: 401'* && $detail != *'is over'* ]]
ok 'it says where the password is wrong'
stopped() { grep -q '"program":"fcgi-api".*"event":"stopped"' "$work/wrong.d/log"; }
wait_for 30 stopped
ok 'and leaves nothing running'
paste away.d "$work/no-such-build" password
code=$?
[ $code -ne 0 ] && [ $code -ne 124 ] && [ -s "$work/away.d/log" ]
ok 'and ends where telemed does not start'
as "$old" GET /auth/me
expect 200 && [ "$(field .user.id)" = "$patient" ]
ok 'those who use telemed have noticed nothing'
