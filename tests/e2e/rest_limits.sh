#!/usr/bin/env bash
# The throttle of logins and registrations: by address, and by account after five wrong passwords.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

login() { rest POST /auth/login "{\"email\":\"$1@example.org\",\"password\":\"$2\"}" "${@:3}"; }
# refused MOST: the last answer is a 429, with a Retry-After of 1 to MOST seconds, which it puts into $wait.
refused() {
	expect 429 rate_limited || return 1
	wait=$(header Retry-After)
	[ "$wait" -le "$1" ]
}
# parallel N PASSWORD NAME: the statuses of N logins at once, as "COUNT STATUS" for each.
parallel() {
	seq "$1" | xargs -P "$1" -I{} curl -s -o /dev/null -w '%{http_code}\n' "$base/auth/login" \
		-d "{\"email\":\"$3@example.org\",\"password\":\"$2\"}" | sort | uniq -c | xargs
}

# By account. The attempts that one address has are far more than are made here.
many=(TELEMED_AUTH_RATE=10000 TELEMED_BCRYPT_COST=9)
stack_start "${many[@]}"
for name in ann ben carl dora eve; do
	register PATIENT $name
done
expect 201
ok 'registers'
for n in 1 2 3 4 5; do
	login ann wrong-password
	expect 401 bad_credentials
	ok "wrong password $n"
done
login ann wrong-password
refused 121
ok 'the sixth is refused'
login ann password
refused 121
ok 'and so is the right one'
login ANN password
refused 121
ok 'in capitals as well'
# A minute later, a minute less is left. That is what an attempt that was counted all the same would bring back.
db 'UPDATE auth_attempt SET free_ms = free_ms - 60000'
login ann password
refused 61
ok 'a minute later there is a minute less to wait'
first=$wait
used=$(cpu_ticks fcgi-api)
for _ in 1 2 3 4 5; do login carl wrong-password; done
cost=$(($(cpu_ticks fcgi-api) - used))
used=$(cpu_ticks fcgi-api)
longer=0
for _ in {1..20}; do
	login ann password
	refused "$first" || longer=1
done
spent=$(($(cpu_ticks fcgi-api) - used))
[ $longer = 0 ]
ok 'asking on does not lengthen the wait'
detail="five that were looked at: $cost ticks, twenty that were refused: $spent"
[ "$cost" -ge 5 ] && [ $((spent * 2)) -lt "$cost" ]
ok 'what is refused costs no bcrypt'
login ann password -H 'X-Forwarded-For: 198.51.100.7' -H 'Forwarded: for=198.51.100.7' -H 'X-Real-IP: 198.51.100.7'
refused 121
ok 'whatever address a header names'
login ben password
expect 200
ok 'another account is not touched'
ben=$(field .token)
register PATIENT fay
expect 201
ok 'nor is a registration'
as "$ben" GET /auth/me
expect 200
ok 'nor is who has a token'
rest POST /auth/login '{"email":"ann@example.org"}'
expect 400 validation_failed
ok 'what breaks a rule is told first'

stack_stop
stack_start "${many[@]}"
login ann password
refused "$first"
ok 'a restart forgets nothing'
login ben password
expect 200
ok 'and adds nothing'

# An unknown email is not to be told from a known one.
for _ in 1 2 3 4 5; do
	login nobody wrong-password
	[ "$status" = 401 ] || break
done
expect 401 bad_credentials && login nobody wrong-password && refused 121
ok 'an account that is none is refused as well'

# Time passes: what is owed was owed ten minutes ago.
db 'UPDATE auth_attempt SET free_ms = free_ms - 600000'
login ann password
expect 200
ok 'when the time has passed the right one is taken'
for _ in 1 2 3 4; do
	login ann wrong-password
	[ "$status" = 401 ] || break
done
expect 401 bad_credentials && login ann password && expect 200
ok 'four wrong ones and the right one'
for _ in 1 2 3 4 5; do
	login ann wrong-password
	[ "$status" = 401 ] || break
done
expect 401 bad_credentials && login ann wrong-password && refused 121
ok 'which leaves no failure behind'
detail=$(parallel 20 wrong-password eve)
[ "$detail" = '5 401 15 429' ]
ok 'of twenty wrong ones at once five are looked at'
detail=$(for _ in {1..12}; do
	login dora password
	echo "$status"
done | sort | uniq -c | xargs)
[ "$detail" = '12 200' ]
ok 'right ones are never too many'

# By address. Different accounts, so that only the address is what the attempts share.
stack_stop
stack_start TELEMED_AUTH_RATE=20 # one in three seconds
db 'DELETE FROM auth_attempt'
passed=0
began=$SECONDS
for n in {1..60}; do
	if [ $((n % 2)) = 0 ]; then login "stranger$n" password; else register PATIENT "new$n"; fi
	[ "$status" = 429 ] && break
	passed=$((passed + 1))
done
detail="$passed passed in $((SECONDS - began)) s; $detail"
refused 4 && [ $passed -ge 20 ] && [ $passed -le $((21 + (SECONDS - began) / 3)) ]
ok 'after twenty attempts the next is refused'

stack_stop
stack_start TELEMED_AUTH_RATE=2 # one in half a minute: none is won back while these tests run
db 'DELETE FROM auth_attempt'
login stranger password
expect 401 bad_credentials && register PATIENT gil && expect 201
ok 'two attempts pass'
login ben password
refused 31
ok 'a third is refused'
first=$wait
longer=0
for n in {1..10}; do
	login "another$n" password -H "X-Forwarded-For: 198.51.100.$n" -H "X-Real-IP: 198.51.100.$n"
	refused "$first" || longer=1
done
[ $longer = 0 ]
ok 'and asking on, under whatever name, does not lengthen the wait'
register PATIENT late
refused 31 && [ "$(db "SELECT count(*) FROM user WHERE name = 'late'")" = 0 ]
ok 'a registration is refused as well'
register PATIENT ben
refused 31
ok 'nor is anybody told that an email is taken'
as "$ben" GET /doctors
expect 200
ok 'nothing else is throttled'
stack_stop
stack_start TELEMED_AUTH_RATE=2
login ben password
refused 31
ok 'a restart forgets nothing of this either'

comes_back() {
	login ben password
	[ "$status" != 429 ]
}
sooner() { db "UPDATE auth_attempt SET free_ms = free_ms - $1 WHERE bucket LIKE 'ip %'"; }
sooner 27000
wait_for 60 comes_back
expect 200
ok 'it comes back by itself'
# As a clock leaves it that was a day ahead and has been set right.
sooner -86400000
login ben password
refused 31
ok 'nobody is refused for longer'
sooner 27000
wait_for 60 comes_back
expect 200
ok 'and comes back then'

stack_stop
stack_start TELEMED_AUTH_RATE=0
detail=$(parallel 40 wrong-password ben)
[ "$detail" = '40 401' ]
ok '0 turns all of it off'
login ben password
expect 200
ok 'for the right password too'
