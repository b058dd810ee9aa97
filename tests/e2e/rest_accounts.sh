#!/usr/bin/env bash
# Registering, logging in, and asking who one is: the shapes, every bound at its cap and one past it, and what must not leak.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

# signup NAME EMAIL PASSWORD [ROLE]: each as it stands between the quotes of a JSON string.
signup() { rest POST /auth/register "{\"name\":\"$1\",\"email\":\"$2\",\"password\":\"$3\",\"role\":\"${4-PATIENT}\"}"; }
login() { rest POST /auth/login "{\"email\":\"$1\",\"password\":\"$2\"}"; }
# times N TEXT
times() {
	local s
	printf -v s '%*s' "$1" ''
	echo "${s// /$2}"
}
users() { db 'SELECT count(*) FROM user'; }

# Claims of the token in $token as JSON; fails where it is not ours.
claims() {
	/usr/bin/python3 -c '
import base64, hashlib, hmac, json, sys
decode = lambda s: base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))
head, claims, mac = sys.argv[1].split(".")
key = open(sys.argv[2], "rb").read()
assert json.loads(decode(head))["alg"] == "HS256"
assert hmac.new(key, (head + "." + claims).encode(), hashlib.sha256).digest() == decode(mac)
print(decode(claims).decode())' "$token" "$work/data/secret"
}

# The last answer has a token of its user, whose members are just these: id, then name, email and role as given.
gives_account() {
	detail="wanted $*; $detail"
	json 'set(b) == {"token", "user"} and type(b["user"]["id"]) is int and b["user"]["id"] > 0 and b["user"] ==
		{"id": b["user"]["id"], "name": a[0], "email": a[1], "role": a[2], "status": "OFFLINE"}' "$@" || return 1
	token=$(field .token) && id=$(field .user.id) && claims >"$work/claims"
}

stack_start

signup Ann ann@example.org password
expect 201 && gives_account Ann ann@example.org PATIENT && [ "$(header Content-Type)" = application/json ]
ok 'registers a patient'
ann=$id
detail=$(cat "$work/claims")
/usr/bin/python3 -c '
import json, sys, time
c = json.load(open(sys.argv[1]))
assert set(c) >= {"sub", "role", "iat", "exp", "jti"} and c["sub"] == sys.argv[2] and c["role"] == "PATIENT"
assert c["exp"] - c["iat"] == 28800 and abs(c["iat"] - time.time()) < 600 and len(c["jti"]) >= 16' "$work/claims" "$ann"
ok 'the token says who, as what, and until when'
first=$(claims)

signup 'Dr. Grace' grace@example.org password DOCTOR
expect 201 && gives_account 'Dr. Grace' grace@example.org DOCTOR && [ "$id" != "$ann" ]
ok 'registers a doctor'
login ann@example.org password
expect 200 && gives_account Ann ann@example.org PATIENT && [ "$id" = "$ann" ] && [ "$(claims)" != "$first" ]
ok 'logs in, with another token'
as "$token" GET /auth/me
expect 200 && json 'b == {"user": {"id": int(a[0]), "name": "Ann", "email": "ann@example.org",
	"role": "PATIENT", "status": "OFFLINE"}}' "$ann"
ok 'says who one is'
for type in application/json text/plain 'multipart/form-data; boundary=x' application/xml ''; do
	rest POST /auth/login '{"email":"ann@example.org","password":"password"}' -H "Content-Type: $type"
	expect 200
	ok "takes JSON as Content-Type: $type"
done

login ANN@Example.ORG password
expect 200 && gives_account Ann ann@example.org PATIENT && [ "$id" = "$ann" ]
ok 'logs in whatever the case of the email'
for email in ann@example.org Ann@EXAMPLE.org; do
	before=$(users)
	signup Other $email another-password
	expect 409 email_taken && [ "$(users)" = "$before" ]
	ok "refuses $email a second time"
done
login ann@example.org another-password
expect 401 bad_credentials
ok 'a refused registration leaves the password as it was'
seq 12 | xargs -P 12 -I{} curl -s -o /dev/null -w '%{http_code}\n' "$base/auth/register" \
	-d '{"name":"Race {}","email":"race@example.org","password":"password","role":"PATIENT"}' >"$work/race"
detail=$(sort "$work/race" | uniq -c)
[ "$(grep -c 201 "$work/race") $(grep -c 409 "$work/race")" = '1 11' ] &&
	[ "$(db "SELECT count(*) FROM user WHERE email LIKE 'race@%'")" = 1 ]
ok 'of twelve at once for one email, one gets it'

# takes FIELD WHAT NAME EMAIL PASSWORD, refuses FIELD WHAT NAME EMAIL PASSWORD [ROLE]
takes() {
	signup "$3" "$4" "$5" && expect 201
	ok "$1: takes $2"
}
refuses() {
	local before
	before=$(users)
	signup "${@:3}" && expect 400 validation_failed && faults "$1" && [ "$(users)" = "$before" ]
	ok "$1: refuses $2"
}
emoji=😀
takes name '1 character' A n1@example.org password
takes name '100 characters' "$(times 100 a)" n2@example.org password
refuses name '101 characters' "$(times 101 a)" n3@example.org password
takes name '100 emoji' "$(times 100 $emoji)" n4@example.org password
json 'b["user"]["name"] == "\U0001f600" * 100'
ok 'name: 100 emoji come back whole'
refuses name '101 emoji' "$(times 101 $emoji)" n3@example.org password
takes name '100 characters with blanks around them' "  $(times 100 a)   " n5@example.org password
json 'b["user"]["name"] == "a" * 100'
ok 'name: is trimmed'
for name in '' '   ' '\u00a0 \u3000' 'a\u2028b' 'a\u0001' 'a\u001b[31m' 'a\nb' 'a\tb' 'a\u007f' 'a\u0085b' 'a\u009f'; do
	refuses name "'$name'" "$name" n3@example.org password
done
domain=@$(times 250 d)
takes email '254 bytes' A "abc$domain" password
refuses email '255 bytes' A "abcd$domain" password
domain=@$(times 124 é)x # 250 bytes as well
takes email '254 bytes in half as many letters' A "abc${domain}y" password
refuses email '255 bytes in half as many letters' A "abc${domain}yz" password
takes name '1 character with blanks of Unicode around it' '\u3000\u00a0 b \u2003' n6@example.org password
json 'b["user"]["name"] == "b"'
ok 'name: is trimmed of these too'
for email in '' a @ @example.org a@ a@b@c 'a b@example.org' 'a\u00a0b@example.org' 'n1@example.org\u3000' ' n1@example.org' 'a\n@example.org' 'a\u007f@example.org'; do
	refuses email "'$email'" A "$email" password
done
takes password '8 bytes' A p1@example.org 12345678
refuses password '7 bytes' A p2@example.org 1234567
takes password '8 bytes in two emoji' A p3@example.org $emoji$emoji
refuses password '7 bytes in 4 characters' A p2@example.org "${emoji}abc"
long=$(times 72 x)
takes password '72 bytes' A p4@example.org "$long"
refuses password '73 bytes' A p2@example.org "${long}x"
takes password '18 emoji' A p5@example.org "$(times 18 $emoji)"
refuses password '19 emoji' A p2@example.org "$(times 19 $emoji)"
login p5@example.org "$(times 18 $emoji)"
expect 200
ok 'password: 18 emoji log in'
login p4@example.org "${long%x}y"
expect 401 bad_credentials
ok 'password: the 72nd byte counts'
login p4@example.org "${long}x"
expect 400 validation_failed && faults password
ok 'password: is never cut'
signup A p2@example.org 'pass\u0000word'
expect 400
ok 'password: refuses NUL'
for role in '' ADMIN patient Doctor 'DOCTOR ' 'PATIENT,DOCTOR'; do
	refuses role "'$role'" A r@example.org password "$role"
done

rest POST /auth/register '{}'
expect 400 validation_failed && faults name email password role
ok 'names all that is missing'
rest POST /auth/register '{"name":1,"email":[],"password":null,"role":{}}'
expect 400 validation_failed && faults name email password role
ok 'names all that is of the wrong type'
signup "$(times 101 a)" no-address short ADMIN
expect 400 validation_failed && faults name email password role
ok 'names all that is out of bounds'
signup "$(times 101 a)" x@example.org password ADMIN
expect 400 validation_failed && faults name role
ok 'and nothing else'
rest POST /auth/login '{"email":7}'
expect 400 validation_failed && faults email password
ok 'names all that is wrong with a login'

login nobody@example.org password
expect 401 bad_credentials
ok 'refuses an unknown email'
sed -E 's/"instance":"[^"]*"//' "$work/body" >"$work/unknown.body"
grep -viE '^(Date|X-Request-Id):' "$work/head" >"$work/unknown.head"
login ann@example.org wrong-password
expect 401 bad_credentials
ok 'refuses a wrong password'
sed -E 's/"instance":"[^"]*"//' "$work/body" | cmp - "$work/unknown.body" &&
	grep -viE '^(Date|X-Request-Id):' "$work/head" | cmp - "$work/unknown.head"
ok 'and nobody can tell one from the other'

cat >"$work/extra" <<EOF_EXTRA
{"id":$ann,"user_id":$ann,"status":"ONLINE","is_admin":true,"token":"x","Role":"DOCTOR","NAME":"B","rev":99,"created_ms":1,
 "__proto__":{"role":"DOCTOR"},"name":"A","email":"extra@example.org","password":"password","role":"PATIENT"}
EOF_EXTRA
rest POST /auth/register @"$work/extra"
expect 201 && gives_account A extra@example.org PATIENT && [ "$id" -gt "$ann" ] && [ "$(db 'SELECT max(created_ms) > 1 FROM user')" = 1 ]
ok 'ignores members that are not the client'\''s to set'
rest POST /auth/register '{"Name":"A","email":"extra2@example.org","PASSWORD":"password","password":"password","role":"PATIENT"}'
expect 400 validation_failed && faults name
ok 'Name is not name'

# Each of these is only text: it comes back as it went in, and nothing else happens.
/usr/bin/python3 - >"$work/texts" <<'PY'
import json
for text in ("Robert'); DROP TABLE user;--", "' OR '1'='1", "\"; DELETE FROM user; --", "<script>alert(1)</script>",
             "<img src=x onerror=alert(1)>", "&lt;b&gt;", "%s%s%n%x", "%00", "../../etc/passwd", "..\\..\\x", "$(reboot)`id`",
             "${jndi:ldap://x}", "{{7*7}}", "\\", "\\u0041", "\"quoted\"", "a/b", "NULL", "true", "0", "=cmd|' /C calc'!A0",
             "Ünal Çelik", "李小龍", "עברית", "👩‍⚕️ Dr. 🇩🇪", "e\u0301", "\ufeffname", "\U0010ffff", "\u202eevil"):
    print(json.dumps(text))
PY
n=0
before=$(users)
is_named() { json 'b["user"]["name"] == json.loads(a[0])' "$1"; }
while IFS= read -r text; do
	n=$((n + 1))
	signup "${text:1:-1}" "text$n@example.org" password DOCTOR
	expect 201 && is_named "$text" && as "$(field .token)" GET /auth/me && is_named "$text"
	ok "a name is only text: $text"
done <"$work/texts"
[ "$(users)" = $((before + n)) ]
ok 'and each is one account'
as "$token" GET /doctors
expect 200 && json '{json.loads(t) for t in open(a[0])} <= {d["name"] for d in b["doctors"]}' "$work/texts"
ok 'and comes back in the list'
n=0
for email in "'or'1'='1@example.org" '%s%n@example.org' '<script>@example.org' '../../@etc' "x';DROP/**/TABLE/**/user;--@example.org"; do
	n=$((n + 1))
	login "$email" password
	expect 401 bad_credentials
	ok "an email is only text: $email"
	signup A "$email" "pass'word;--$n"
	expect 201 && login "$email" "pass'word;--$n" && expect 200 && json 'b["user"]["email"] == a[0]' "$email"
	ok "and can be one's own"
done

# The same work for an unknown email as for a wrong password: no clock needed, the processors count it.
stack_stop
stack_start TELEMED_BCRYPT_COST=10
signup Slow slow@example.org password
work_of() {
	local before
	before=$(cpu_ticks fcgi-api)
	for _ in 1 2 3 4 5 6 7 8 9 10; do login "$1" wrong-password; done
	echo $(($(cpu_ticks fcgi-api) - before))
}
wrong=$(work_of slow@example.org)
unknown=$(work_of nobody@example.org)
detail="wrong password: $wrong ticks, unknown email: $unknown"
[ "$wrong" -gt 0 ] && [ $((unknown * 2)) -gt "$wrong" ] && [ "$unknown" -lt $((wrong * 2)) ]
ok 'an unknown email costs the same work as a wrong password'
# These two were here before the cost was raised from 4.
for name in ann grace; do
	old=$(work_of $name@example.org)
	detail="wrong password of an account of older days: $old ticks, unknown email: $unknown"
	[ $((old * 2)) -gt "$unknown" ] && [ "$old" -lt $((unknown * 2)) ]
	ok "and so does that of an account of older days: $name"
done
hash_of() { db "SELECT substr(password_hash, 1, 7) FROM user WHERE email = '$1@example.org'"; }
seq 12 | xargs -P 12 -I{} curl -s -o /dev/null -w '%{http_code}\n' "$base/auth/login" \
	-d '{"email":"ann@example.org","password":"password"}' >"$work/logins"
detail="$(sort "$work/logins" | uniq -c | xargs), $(hash_of ann), $(hash_of grace)"
[ "$(sort -u "$work/logins")" = 200 ] && [ "$(hash_of ann)" = "\$2b\$10\$" ] && [ "$(hash_of grace)" = "\$2b\$04\$" ]
ok 'who logs in gets a hash of the cost that is set now, of many logins at once each is one'
login ann@example.org password && expect 200 && login ann@example.org another-password && expect 401 bad_credentials
ok 'and her password is what it was'

stack_stop
cat "$work/data/log/"* "$work/stack.err" >"$work/logs"
[ "$(grep -c '"route":"/auth/login"' "$work/logs")" -gt 20 ]
ok 'logs what was asked'
! grep -nF -e password -e wrong-password -e ann@ -e 'Dr. Grace' -e DROP -e "${token%%.*}" -e "$(grep -o . <<<"$emoji")" "$work/logs"
ok 'but no password, email, name or token'
