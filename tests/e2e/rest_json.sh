#!/usr/bin/env bash
# The body is one JSON object, read strictly: what else comes is bad_json; a value of the wrong type is validation_failed.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

stack_start
register DOCTOR ann
users() { db 'SELECT count(*) FROM user'; }
credentials='"email":"ann@example.org","password":"password"'

# body FORMAT: as printf writes it, so that it may hold any byte, into $work/in.
body() {
	# shellcheck disable=SC2059 # that is what it is for
	printf "$1" >"$work/in"
}

# A row is a name, a blank, and the body in printf's notation. Each is sent as a login.
while read -r name text; do
	body "$text"
	rest POST /auth/login @"$work/in"
	expect 400 bad_json
	ok "body: refuses $name"
done <<'EOF_BODIES'
nothing
blank \x20\n\t
null null
true true
a-number 7
a-string "x"
a-string-of-JSON "{}"
an-array []
an-array-of-it [{}]
two-objects {}{}
two-objects,-blank-between {} {}
text-after {}x
a-comma-after {},
a-brace-after {}}
NUL-after {}\0
NULs-after {}\0\0\0\0
NUL-before \0{}
NUL-in-it {\0}
a-byte-order-mark \xef\xbb\xbf{}
UTF-16-LE {\0}\0
UTF-16-with-its-mark \xff\xfe{\0}\0
one-bad-byte \xff
an-open-brace {
a-closing-brace }
an-open-object {"a":1
an-open-string {"a
an-open-escape {"a\\
an-open-\u {"a":"\\u00
a-key-alone {"a"}
a-key-and-colon {"a":}
a-colon {:}
a-comma {,}
a-comma-at-the-end {"a":1,}
a-comma-at-the-start {,"a":1}
two-commas {"a":1,,"b":2}
no-comma {"a":1 "b":2}
a-semicolon {"a":1;"b":2}
a-key-without-quotes {a:1}
a-key-in-single-quotes {'a':1}
a-number-as-key {1:2}
null-as-key {null:1}
an-equals-sign {"a"=1}
a-vertical-tab-as-blank {\v}
a-form-feed-as-blank {\f}
a-no-break-space-as-blank {\xc2\xa0}
a-line-comment {}//x
a-comment {/**/}
a-hash #{}
XML <a/>
a-form email=ann%%40example.org&password=password
EOF_BODIES

# login_with FORMAT: good credentials, and a member x of that value, so that only the value can be what is refused.
login_with() {
	body "{\"x\":$1,$credentials}"
	rest POST /auth/login @"$work/in"
}
while read -r name text; do
	login_with "$text"
	expect 400 bad_json
	ok "value: refuses $name"
done <<'EOF_VALUES'
007 007
-01 -01
1e999 1e999
-1e999 -1e999
NaN NaN
-NaN -nan
Infinity Infinity
-Infinity -Infinity
+1 +1
.5 .5
1. 1.
1.e1 1.e1
1e 1e
1e+ 1e+
a-minus -
two-minuses --1
0x10 0x10
1_000 1_000
1,000 1,000
True True
tru tru
nul nul
truefalse truefalse
undefined undefined
a-word word
nothing\x20
single-quotes 'x'
backquotes `x`
\u0000 "\\u0000"
\u0000-in-text "a\\u0000b"
\u0000-in-a-key {"a\\u0000b":1}
a-lone-high-surrogate "\\ud800"
a-lone-low-surrogate "\\udc00"
surrogates-the-wrong-way "\\udc00\\ud800"
two-high-surrogates "\\ud83d\\ud83d"
a-high-surrogate-and-text "\\ud83dx"
a-high-surrogate-and-\n "\\ud83d\\n"
\u-and-three-digits "\\u12"
\u-and-no-digits "\\uzzzz"
\u-and-a-sign "\\u+123"
\x "\\x41"
\' "\\'"
\0 "\\0"
\a "\\a"
\U "\\U0001f600"
a-raw-newline "a\nb"
a-raw-tab "a\tb"
a-raw-escape "\x1b[31m"
a-raw-0x1f "\x1f"
a-raw-NUL "a\0b"
FF-FE "\xff\xfe"
C0-AF "\xc0\xaf"
C0-80 "\xc0\x80"
C1-BF "\xc1\xbf"
ED-A0-80 "\xed\xa0\x80"
a-surrogate-pair-in-UTF-8 "\xed\xa0\xbd\xed\xb8\x80"
E0-80-AF "\xe0\x80\xaf"
F0-80-80-AF "\xf0\x80\x80\xaf"
F4-90-80-80 "\xf4\x90\x80\x80"
F5-80-80-80 "\xf5\x80\x80\x80"
F8-88-80-80-80 "\xf8\x88\x80\x80\x80"
a-continuation-byte "\x80"
a-letter-cut-short "\xe2\x82"
a-letter-cut-short-by-another "\xe2\x82\xc3\xa4"
Latin-1 "\xe4"
bad-UTF-8-in-a-key {"\xff":1}
a-bad-byte-outside-strings \xff
a-key-twice {"a":1,"a":2}
a-key-twice-with-one-value {"a":1,"a":1}
a-key-twice-once-escaped {"a":1,"\\u0061":2}
a-key-twice-far-apart {"a":1,"b":2,"c":3,"d":4,"a":5}
a-key-twice-deep [[{"b":{"a":1,"a":1}}]]
an-empty-key-twice {"":1,"":2}
an-array-with-a-comma-at-its-end [1,]
an-array-without-commas [1 2]
an-array-closed-by-a-brace [1}
an-object-closed-by-a-bracket {"a":1]
EOF_VALUES

while read -r name text; do
	login_with "$text"
	expect 200
	ok "value: takes $name"
done <<'EOF_GOOD'
1 1
-0 -0
0.0e-10 0.0e-10
1E+2 1E+2
1e308 1e308
5e-324 5e-324
1e-999 1e-999
20-digits 12345678901234567890
null null
an-empty-string ""
an-empty-object {}
an-empty-key {"":1}
every-escape "\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4"
an-escaped-pair "\\ud83d\\ude00"
four-bytes-of-UTF-8 "\xf0\x9f\x98\x80"
U+10FFFF "\xf4\x8f\xbf\xbf"
U+FFFF "\xef\xbf\xbf"
U+2028 "\xe2\x80\xa8"
a-raw-0x7f "\x7f"
keys-of-another-case {"a":1,"A":2}
one-key-in-two-objects [{"a":1},{"a":1}]
all-kinds-of-blanks \x20\t\r\n[\x20]\r\n
EOF_GOOD

# nested N: arrays N deep
nested() {
	local open close
	printf -v open '%*s' "$1" ''
	close=${open// /]}
	echo "${open// /[}1$close"
}
login_with "$(nested 15)"
expect 200
ok 'value: takes arrays 15 deep in the object'
login_with "$(nested 16)"
expect 400 bad_json
ok 'value: refuses arrays 16 deep in the object'
object=1
for _ in {1..17}; do object="{\"a\":$object}"; done
body "$object"
rest POST /auth/login @"$work/in"
expect 400 bad_json
ok 'body: refuses objects 17 deep'
# A reader that gives up at the depth says 400; one that recurses for ever dies.
for open in '[' '{"a":' '[{"a":' '[[],'; do
	/usr/bin/python3 -c 'import sys; sys.stdout.write((sys.argv[1] * 16000)[:16000])' "$open" >"$work/in"
	rest POST /auth/login @"$work/in"
	expect 400 bad_json
	ok "body: refuses 16,000 bytes of $open"
done
/usr/bin/python3 -c 'print("{" + ",".join("\"k%d\":0" % i for i in range(1400)) + ",\"k7\":0}")' >"$work/in"
rest POST /auth/login @"$work/in"
expect 400 bad_json
ok 'body: finds the one key of 1,400 that stands twice'

# The same for each key that the program reads, where the first, the last or neither might have been meant.
for text in '{"email":"ann@example.org","email":"ann@example.org","password":"password"}' \
	'{"email":"nobody@example.org","password":"password","email":"ann@example.org"}' \
	'{"email":"ann@example.org","password":"password","password":"wrong-password"}' \
	'{"email":"ann@example.org","password":"password","\u0070assword":"password"}'; do
	rest POST /auth/login "$text"
	expect 400 bad_json
	ok "refuses $text"
done
rest POST /auth/login "{\"Email\":\"nobody@example.org\",$credentials,\"PASSWORD\":\"wrong-password\"}"
expect 200
ok 'keeps keys of another case apart'
for path in /auth/register /auth/login /doctors/status; do
	for text in '' '[]' '{"a":1,"a":1}' '{"status":"BUSY","status":"BUSY"}' '{"status":"BUSY"}x'; do
		printf %s "$text" >"$work/in"
		as "$token" POST $path @"$work/in"
		expect 400 bad_json
		ok "$path refuses '$text'"
	done
done

before=$(users)
for field in name email password role; do
	for value in 1 true null '[]' '{}' '["x"]' '{"x":"PATIENT"}'; do
		# shellcheck disable=SC2016 # Python's, not the shell's
		/usr/bin/python3 -c 'import json, sys
b = {"name": "A", "email": "a@example.org", "password": "password", "role": "PATIENT"}
b[sys.argv[1]] = json.loads(sys.argv[2])
print(json.dumps(b))' "$field" "$value" >"$work/in"
		rest POST /auth/register @"$work/in"
		expect 400 validation_failed && faults $field
		ok "$field is not $value"
	done
done
[ "$(users)" = "$before" ]
ok 'nobody was registered by any of this'
rest GET /livez
expect 200 && ! grep -q worker_died "$work/stack.err"
ok 'nothing has died of it'
