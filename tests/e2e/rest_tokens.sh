#!/usr/bin/env bash
# Bearer tokens: how they are handed over, every way to forge one, and who the database says that its user is.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

# forge ID: a name and a token in each line, made with the server's own secret: those of $work/good must be taken, those of
# $work/bad refused. Each bad one differs from a good one in what its name says.
forge() {
	/usr/bin/python3 - "$work/data/secret" "$1" "$token" "$work/good" "$work/bad" <<'PY'
import base64, hashlib, hmac, json, sys, time

key = open(sys.argv[1], "rb").read()
me, issued, now = int(sys.argv[2]), sys.argv[3], int(time.time())
good, bad = {}, {}
GOOD = {"sub": str(me), "role": "DOCTOR", "iat": now, "exp": now + 1000, "jti": "0123456789abcdef"}
HEAD = '{"alg":"HS256","typ":"JWT"}'
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def b64(data):
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def sign(text, digest=hashlib.sha256, key=key):
    return text + "." + b64(hmac.new(key, text.encode(), digest).digest())


def token(payload=GOOD, head=HEAD, **options):
    if not isinstance(payload, (str, bytes)):
        payload = json.dumps(payload)
    return sign(b64(head) + "." + b64(payload), **options)


def claims(without=None, **changes):
    return token({k: v for k, v in {**GOOD, **changes}.items() if k != without})


good["issued by login"] = issued
good["with good claims"] = token()
good["without typ"] = token(head='{"alg":"HS256"}')
good["with alg after typ, and blanks"] = token(head=' {"typ" : "JWT", "alg" : "HS256"} ')
good["with more claims"] = claims(name="x", admin=True, aud=["a", {"b": 1}])
good["that will never expire soon"] = claims(exp=253402300799)
good["issued a day ago"] = claims(iat=now - 86400)
good["of a clock a second ahead"] = claims(iat=now + 1)
good["that has begun"] = claims(nbf=now)

for alg in ("none", "nOnE", "None", "", "HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "hs256", "HS256 ", "HS257"):
    bad[f"alg {alg!r}"] = token(head=json.dumps({"alg": alg, "typ": "JWT"}))
    bad[f"alg {alg!r}, no signature"] = bad[f"alg {alg!r}"].rsplit(".", 1)[0] + "."
bad["HS512 with our own key"] = token(head='{"alg":"HS512","typ":"JWT"}', digest=hashlib.sha512)
bad["HS384 with our own key"] = token(head='{"alg":"HS384","typ":"JWT"}', digest=hashlib.sha384)
bad["HS256 by name, HS512 by signature"] = token(digest=hashlib.sha512)
for alg in ("null", "256", '["HS256"]', '{"a":"HS256"}'):
    bad[f"alg {alg}"] = token(head='{"alg":%s,"typ":"JWT"}' % alg)
bad["no alg"] = token(head='{"typ":"JWT"}')
bad["another typ"] = token(head='{"alg":"HS256","typ":"JWE"}')
bad["crit"] = token(head='{"alg":"HS256","typ":"JWT","crit":["exp"]}')
bad["crit of our own"] = token(head='{"alg":"HS256","crit":["x"],"x":1}')
bad["jku"] = token(head='{"alg":"HS256","typ":"JWT","jku":"http://127.0.0.1/keys"}')
bad["jwk"] = token(head='{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":"AA"}}')
for name, value in {"kid": "1", "x5u": "http://127.0.0.1/", "x5c": [], "cty": "JWT", "zip": "DEF", "b64": False, "enc": "A128GCM",
                    "__proto__": {"alg": "HS256"}, "ALG": "none"}.items():
    bad[name] = token(head=json.dumps({"alg": "HS256", "typ": "JWT", name: value}))
bad["alg twice, once escaped"] = token(head='{"alg":"none","\\u0061lg":"HS256"}')
bad["alg ending in NUL"] = token(head='{"alg":"HS256\\u0000"}')
bad["a header behind a byte-order mark"] = token(head='\ufeff{"alg":"HS256","typ":"JWT"}')
bad["alg twice"] = token(head='{"alg":"none","alg":"HS256","typ":"JWT"}')
bad["a header that is an array"] = token(head='["HS256"]')
bad["a header that is no JSON"] = token(head="HS256")
bad["an empty header"] = token(head="")

text = json.dumps(GOOD)
bad["sub twice"] = token(text[:-1] + f',"sub":"{me + 1}"}}')
bad["sub twice, the same"] = token(text[:-1] + f',"sub":"{me}"}}')
bad["exp twice"] = token('{"exp":1,' + text[1:])
bad["an array as payload"] = token([GOOD])
bad["a string as payload"] = token(json.dumps(text))
bad["no payload"] = token("")
bad["null as payload"] = token("null")
bad["text after the payload"] = token(text + "x")
bad["bad UTF-8 in the payload"] = token(text.encode()[:-1] + b',"x":"\xff"}')
bad["a payload that is no base64"] = sign(b64(HEAD) + ".!!!!")

for name, sub in {"with a zero before it": f"0{me}", "with a blank before it": f" {me}", "with a blank after it": f"{me} ", "-1": "-1",
                  "0": "0", "with a plus": f"+{me}", "with a point": f"{me}.0", "hexadecimal": hex(me), "empty": "",
                  "beyond int64": str(2**63), "that wraps at 64 bits": str(2**64 + me), "that wraps at 32 bits": str(2**32 + me),
                  "of 30 digits": "9" * 30, "a word": "ann",
                  "with a newline": f"{me}\n", "with NUL": f"{me}\0", "of nobody": "999999", "SQL": f"{me} OR 1=1"}.items():
    bad[f"sub {name}"] = claims(sub=sub)
for sub in (True, None, [str(me)], {"id": me}, -1, me + 0.5):
    bad[f"sub {json.dumps(sub)}"] = claims(sub=sub)
for name in ("sub", "role", "iat", "exp", "jti"):
    bad[f"no {name}"] = claims(without=name)
for name, exp in {"past": now - 1, "long past": 1, "0": 0, "negative": -now, "a string": str(now + 1000), "9e99": 9e99, "true": True,
                  "null": None, "an array": [now + 1000], "beyond int64": 2**63 + now, "2^64 past now": 2**64 + now}.items():
    bad[f"exp {name}"] = claims(exp=exp)
bad["exp infinite"] = token(text.replace(f'"exp": {now + 1000}', '"exp": 1e999'))
for name, iat in {"an hour ahead": now + 3600, "a string": str(now), "9e99": 9e99, "negative": -1}.items():
    bad[f"iat {name}"] = claims(iat=iat)
for name, value in {"sid": ["", 7, None, ["x"]], "auth_time": [str(now), -1, 1.5, None], "jti": ["", 7, None]}.items():
    for v in value:
        bad[f"{name} {json.dumps(v)}"] = claims(**{name: v})
for name, nbf in {"an hour ahead": now + 3600, "a string": str(now), "9e99": 9e99, "negative": -1, "null": None}.items():
    bad[f"nbf {name}"] = claims(nbf=nbf)
for role in ("ADMIN", "doctor", "", None, 1):
    bad[f"role {role!r}"] = claims(role=role)

head, payload, mac = token().split(".")
bad["of another key"] = token(key=b"x" * 32)
bad["of an empty key"] = token(key=b"")
bad["of our key less a byte"] = token(key=key[1:])
bad["signature empty"] = f"{head}.{payload}."
bad["signature missing"] = f"{head}.{payload}"
bad["signature of the payload alone"] = f"{head}.{payload}." + sign(payload).rsplit(".", 1)[1]
bad["signature cut"] = f"{head}.{payload}.{mac[:-1]}"
bad["signature with a byte more"] = f"{head}.{payload}.{mac}A"
bad["signature twice"] = f"{head}.{payload}.{mac}{mac}"
# The last character has two bits that do not count: another one that decodes to the same bytes is another token.
bad["last character flipped in a bit that does not count"] = f"{head}.{payload}.{mac[:-1]}{ALPHABET[ALPHABET.index(mac[-1]) ^ 1]}"
bad["last character flipped in a bit that counts"] = f"{head}.{payload}.{mac[:-1]}{ALPHABET[ALPHABET.index(mac[-1]) ^ 32]}"
bad["first character of the signature flipped"] = f"{head}.{payload}.{ALPHABET[ALPHABET.index(mac[0]) ^ 1]}{mac[1:]}"
bad["payload of another"] = f"{head}.{b64(json.dumps({**GOOD, 'sub': str(me + 1)}))}.{mac}"
bad["four segments"] = f"{head}.{payload}.{mac}.{mac}"
bad["four segments, the last empty"] = f"{head}.{payload}.{mac}."
bad["four segments, the first empty"] = f".{head}.{payload}.{mac}"
bad["four segments, signed whole"] = sign(f"{head}.{payload}.{payload}")
bad["one segment"] = mac
bad["only dots"] = ".."
bad["padding of the signature"] = f"{head}.{payload}.{mac}="
bad["padding of the header"] = sign(f"{b64(HEAD)}=.{payload}")
padded = json.dumps(GOOD).ljust(130)
bad["padding of the payload"] = sign(head + "." + base64.urlsafe_b64encode(padded.encode()).decode().ljust(200, "="))
bad["a percent sign for a dot"] = f"{head}%2e{payload}.{mac}"
bad["plus and slash for minus and underscore"] = token({**GOOD, "x": "\xff\xfe???>>>"}).replace("-", "+").replace("_", "/") + "+/"
bad["a blank in it"] = f"{head}.{payload} .{mac}"
bad["words"] = "null"

assert len(set(bad.values())) == len(bad) and not set(good.values()) & set(bad.values())
for path, tokens in ((sys.argv[4], good), (sys.argv[5], bad)):
    with open(path, "w") as out:
        out.writelines(f"{name}\t{value}\n" for name, value in tokens.items())
PY
}

stack_start
register DOCTOR ann
forge "$id"
ok 'tokens are forged'
while IFS=$'\t' read -r name text; do
	as "$text" GET /auth/me
	expect 200 && [ "$(field .user.id)" = "$id" ]
	ok "takes one $name"
done <"$work/good"
while IFS=$'\t' read -r name text; do
	as "$text" GET /auth/me
	expect 401 invalid_token && header WWW-Authenticate | grep -q 'error="invalid_token"'
	ok "refuses $name"
done <"$work/bad"

forged=$(sed -n 's/^HS512 with our own key\t//p' "$work/bad")
for request in 'GET /doctors' 'GET /auth/me' 'POST /doctors/status {"status":"BUSY"}' 'POST /doctors/status not-JSON'; do
	read -r method path text <<<"$request"
	as "$forged" "$method" "$path" "$text"
	expect 401 invalid_token
	ok "$request looks at the token first"
	rest "$method" "$path" "$text"
	expect 401 unauthenticated && ! header WWW-Authenticate | grep -q error=
	ok "$request wants a token"
done
as "$token" GET /doctors
json 'b["doctors"][0]["status"] == "OFFLINE"'
ok 'none of these has set a status'

refuses_header() {
	rest GET /auth/me '' -H "$1"
	expect 401 unauthenticated && ! header WWW-Authenticate | grep -q error=
	ok "refuses '${1%%.*}'"
}
refuses_header "Authorization: Basic $(printf 'ann@example.org:password' | base64)"
refuses_header "Authorization: Token $token"
refuses_header "Authorization: Bearer"
refuses_header "Authorization: Bearer$token"
refuses_header "Authorization: $token"
refuses_header "X-Authorization: Bearer $token"
refuses_header "Cookie: token=$token"
for scheme in bearer BEARER bEaReR; do
	rest GET /auth/me '' -H "Authorization: $scheme $token"
	expect 200
	ok "takes the scheme as $scheme"
done
rest GET "/auth/me?token=$token&access_token=$token"
expect 401 unauthenticated
ok 'takes no token from the address'
for second in "Bearer $token" "Bearer $forged" 'Basic eDp4' 'Bearer x'; do
	rest GET /auth/me '' -H "Authorization: Bearer $token" -H "Authorization: $second"
	expect 400 invalid_request
	ok "refuses two headers, the second ${second%%.*}"
done
for what in 'GET /auth/me' 'POST /auth/refresh' 'POST /auth/logout' 'GET /calls' 'GET /doctors' 'POST /doctors/status' 'GET /turn'; do
	rest "${what% *}" "${what#* }" '' -H 'Content-Length: 0'
	expect 401 unauthenticated
	ok "$what wants a token"
	rest "${what% *}" "${what#* }" '' -H 'Content-Length: 0' -H "Authorization: Bearer $forged"
	expect 401 invalid_token
	ok "$what takes no forged one"
	rest "${what% *}" "${what#* }" '' -H 'Content-Length: 0' -H "Authorization: Bearer $token" -H "Authorization: Bearer $token"
	expect 400 invalid_request
	ok "$what takes no two"
done
as "$token.$(printf '%09000d' 0)" GET /auth/me
expect 431 too_large
ok 'refuses one of 9 KiB at the edge'

# The database decides, not the token.
doctor=$token
db "UPDATE user SET role = 'PATIENT' WHERE id = $id"
as "$doctor" POST /doctors/status '{"status":"ONLINE"}'
expect 403 doctors_only && [ "$(db "SELECT status FROM user WHERE id = $id")" = OFFLINE ]
ok 'a doctor who is one no more sets no status'
as "$doctor" GET /auth/me
expect 200 && [ "$(field .user.role)" = PATIENT ]
ok 'and is told so'
db "UPDATE user SET role = 'DOCTOR' WHERE id = $id"
register PATIENT ben
as "$token" POST /doctors/status '{"status":"ONLINE"}'
expect 403 doctors_only
ok 'a patient sets no status'
db "UPDATE user SET role = 'DOCTOR' WHERE id = $id"
as "$token" POST /doctors/status '{"status":"ONLINE"}'
expect 200 && [ "$(field .user.role)" = DOCTOR ]
ok 'a patient who has become a doctor does'
db "DELETE FROM user WHERE id = $id"
for path in /auth/me /doctors; do
	as "$token" GET $path
	expect 401 invalid_token
	ok "$path: a user who is gone is nobody"
done
as "$token" POST /doctors/status '{"status":"ONLINE"}'
expect 401 invalid_token
ok '/doctors/status: a user who is gone is nobody'
gone=$id gone_token=$token
register PATIENT eve
[ "$id" != "$gone" ] && as "$gone_token" GET /auth/me && expect 401 invalid_token
ok 'and does not become whoever registers next'

stack_stop
stack_start TELEMED_TOKEN_TTL=3 TELEMED_JWT_SECRET=another-secret-of-more-than-32-bytes
as "$doctor" GET /auth/me
expect 401 invalid_token
ok 'a token of another secret is foreign'
rest POST /auth/login '{"email":"ann@example.org","password":"password"}'
short=$(field .token)
has_expired() {
	as "$short" GET /auth/me
	[ "$status" != 200 ]
}
wait_for 30 has_expired
expect 401 invalid_token
ok 'a token runs out'
