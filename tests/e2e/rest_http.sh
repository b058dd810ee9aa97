#!/usr/bin/env bash
# HTTP itself: methods, paths, sizes, origins, malformed requests.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

# raw FORMAT: sends what printf writes, and reads to the end: sets $status, $body and $head as rest does.
raw() {
	# shellcheck disable=SC2059 # that is what it is for
	printf "$1" >"$work/raw"
	/usr/bin/python3 - "$port" "$work" <<'PY'
import socket, sys
work = sys.argv[2]
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as s:
    s.settimeout(20)
    s.sendall(open(work + "/raw", "rb").read())
    got = b""
    while more := s.recv(65536):
        got += more
head, _, body = got.partition(b"\r\n\r\n")
open(work + "/head", "wb").write(head + b"\r\n")
open(work + "/body", "wb").write(body)
PY
	head=$(tr -d '\r' <"$work/head") body=$(tr -d '\0' <"$work/body")
	status=${head#* } status=${status%% *}
	detail="$1 got $status: ${body:0:500}"
}
has_no() { ! header "$1" >/dev/null; }
same_set() { [ "$(tr -s ', ' '\n' <<<"$1" | sort | xargs)" = "$(tr ' ' '\n' <<<"$2" | sort | xargs)" ]; }

stack_start TELEMED_ALLOWED_ORIGINS=https://clinic.example,https://other.example:8443
register DOCTOR dora
login='{"email":"dora@example.org","password":"password"}'

# Methods.
for route in 'GET HEAD OPTIONS:/doctors /auth/me /calls /turn /livez /readyz /metrics /openapi.yaml /asyncapi.yaml' \
	'POST OPTIONS:/auth/register /auth/login /auth/refresh /auth/logout /doctors/status'; do
	allowed=${route%%:*}
	for path in ${route#*:}; do
		for method in GET POST PUT PATCH DELETE TRACE CONNECT PROPFIND; do
			[[ " $allowed " == *" $method "* ]] && continue
			as "$token" $method "$path" '' -H 'Content-Length: 0'
			expect 405 method_not_allowed && same_set "$(header Allow)" "$allowed"
			ok "$method $path is not allowed"
		done
		rest OPTIONS "$path"
		expect 204 && same_set "$(header Allow)" "$allowed" && [ ! -s "$work/body" ]
		ok "OPTIONS $path says what is"
		as "$token" HEAD "$path"
		if [[ $allowed == *HEAD* ]]; then
			expect 200 && [[ $(header Content-Length) =~ ^[1-9] ]]
		else
			expect 405 && header Allow >/dev/null
		fi
		ok "HEAD $path"
	done
done
raw "HEAD /doctors HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nConnection: close\r\n\r\n"
expect 200 && [ -z "$body" ]
ok 'HEAD has no body'
as "$token" GET /doctors
[ "$(header Content-Length)" = "$(stat -c %s "$work/body")" ]
ok 'GET has as much as it says'
for _ in {1..20}; do # lighttpd would do it where it has got the answer in one piece
	as "$token" GET /doctors '' -H 'Range: bytes=0-9'
	expect 200 && json 'set(b) == {"doctors"}' && has_no Accept-Ranges
	whole=$?
	[ "$whole" = 0 ] || break
done
[ "$whole" = 0 ]
ok 'and comes whole, whatever range is asked for'
rest FOO /doctors
expect 501 not_implemented
ok 'an unknown method is answered 501'
rest GET /doctors '{}'
expect 400 bad_request
ok 'GET with a body is refused at the edge'

# Paths.
for path in /nope /auth /auth/ /auth/login/ /auth/login/x /AUTH/login /doctors/ /DOCTORS /doctors/status/ /doctors/1 /doctor \
	/doctorss /ws/ /wsx /livez/x /404.html /errors/404.html '/doctors;x' /doctors%2f /doctors%20 \
	"/$(printf '%0300d' 0)" "/doctors$(printf '/%.0s' {1..300})x"; do
	as "$token" GET "$path" '' --path-as-is
	expect 404 not_found
	ok "${path:0:40} is not there"
done
for method in POST PUT DELETE OPTIONS; do
	rest $method /nope '{}'
	expect 404 not_found
	ok "nor is it for $method"
done
for path in /auth/../doctors //doctors ///doctors /./doctors /auth/./../doctors /../../doctors /%2e%2e/doctors /%64octors \
	'/doctors?a=b&c' '/doctors?/../auth/me'; do
	as "$token" GET "$path" '' --path-as-is
	expect 200 && json 'set(b) == {"doctors"}'
	ok "$path is /doctors"
done
for path in //auth/login /auth//login /doctors/../auth/login /auth/%6cogin '/auth/login?x=1'; do
	rest POST "$path" "$login" --path-as-is
	expect 200
	ok "$path is /auth/login"
done
for path in /doctors%00 '/doctors%0a' '/doctors%0d%0aX:y'; do
	as "$token" GET "$path"
	expect 400 bad_request
	ok "$path is refused at the edge"
done

# Sizes.
printf '%-16384s' "$login" >"$work/cap"
printf '%-16385s' "$login" >"$work/past"
{ printf '{"email":"dora@example.org","password":"' && head -c 1048576 /dev/zero | tr '\0' x && printf '"}'; } >"$work/huge"
for how in Content-Length:\ {16384,16385,1048616} 'Transfer-Encoding: chunked'; do
	case $how in
	*16384) rest POST /auth/login @"$work/cap" && expect 200 ;;
	*16385) rest POST /auth/login @"$work/past" && expect 413 too_large ;;
	*1048616) rest POST /auth/login @"$work/huge" && expect 413 too_large ;;
	*) rest POST /auth/login @"$work/cap" -H "$how" && expect 200 ;;
	esac
	ok "a body of $how"
done
as "$token" POST /doctors/status @"$work/past"
expect 413 too_large
ok 'a body of 16,385 bytes, for a doctor'
for file in past huge; do
	rest POST /auth/login @"$work/$file" -H 'Transfer-Encoding: chunked'
	expect 413 too_large
	ok "a chunked body of $(stat -c %s "$work/$file")"
done
for way in "X-Long: $(printf '%09000d' 0)" "Authorization: Bearer $(printf '%09000d' 0)" "Cookie: $(printf '%09000d' 0)"; do
	rest GET /doctors '' -H "$way"
	expect 431 too_large
	ok "a head of 9 KiB: ${way%%:*}"
done
rest GET "/doctors?$(printf '%09000d' 0)"
[[ $status =~ ^4(14|31)$ ]] && expect "$status" too_large
ok 'an address of 9 KiB'

# Origins.
no_cors() { ! grep -qi '^access-control-' <<<"$head"; }
preflight() {
	rest OPTIONS "$1" '' -H "Origin: $2" -H 'Access-Control-Request-Method: POST' \
		-H 'Access-Control-Request-Headers: authorization,content-type'
}
vary() { header Vary | grep -qi origin; }
for origin in https://clinic.example https://other.example:8443 "$base"; do
	preflight /doctors/status "$origin"
	[[ $status =~ ^20[04]$ ]] && [ "$(header Access-Control-Allow-Origin)" = "$origin" ] && vary &&
		header Access-Control-Allow-Methods | grep -qw POST &&
		header Access-Control-Allow-Headers | grep -qi authorization && header Access-Control-Allow-Headers | grep -qi content-type
	ok "$origin may ask, and is told so"
	as "$token" GET /doctors '' -H "Origin: $origin"
	expect 200 && [ "$(header Access-Control-Allow-Origin)" = "$origin" ] && vary && has_no Access-Control-Allow-Credentials
	ok "$origin may read"
	rest GET /doctors '' -H "Origin: $origin"
	expect 401 unauthenticated && [ "$(header Access-Control-Allow-Origin)" = "$origin" ]
	ok "$origin may read a refusal"
done
for origin in https://evil.example null https://clinic.example.evil.example https://clinic.exampl http://clinic.example \
	https://clinic.example:444 https://clinic.example/ https://other.example https://xclinic.example https://a.clinic.example \
	'https://clinic.example,https://other.example:8443' '*' \
	"http://127.0.0.1" "https://127.0.0.1:$port" "http://localhost:$port"; do
	preflight /auth/login "$origin"
	no_cors
	ok "$origin may not ask"
	as "$token" GET /doctors '' -H "Origin: $origin"
	expect 200 && no_cors && vary
	ok "$origin may not read"
done
as "$token" GET /doctors
no_cors
ok 'without an Origin nothing is said about any'

# Malformed requests: each is one that is taken, with one thing wrong.
close='Connection: close\r\n'
raw "GET /livez HTTP/1.1\r\nHost: x\r\n$close\r\n"
expect 200
ok 'a well-formed request'
raw "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: ${#login}\r\n$close\r\n$login"
expect 200
ok 'a well-formed POST'
raw 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
[ "$(grep -ac '"status":"ok"' "$work/body")" = 2 ] || [ "$(grep -ao '"status":"ok"' "$work/body" | wc -l)" = 2 ]
ok 'two requests in one go'
while IFS='|' read -r want code name text; do
	text=${text//POSTCHUNKS/POST /auth/login HTTP/1.1\\r\\nHost: x\\r\\n${close}Transfer-Encoding: chunked\\r\\n\\r\\n}
	text=${text//POST_/POST /auth/login HTTP/1.1\\r\\nHost: x\\r\\n$close}
	text=${text//LIVEZ_/GET /livez HTTP/1.1\\r\\nHost: x\\r\\n$close}
	raw "${text//LEN/Content-Length: ${#login}\\r\\n}"
	read -r method path _ <<<"$text"
	record "$method" "$path"
	expect "$want" "$code"
	ok "$name"
done <<EOF_RAW
400|bad_request|a bare LF in the first line|GET /livez HTTP/1.1\nHost: x\r\n$close\r\n
400|bad_request|a bare LF in the head|GET /livez HTTP/1.1\r\nHost: x\n$close\r\n
400|bad_request|two Hosts|GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n$close\r\n
400|bad_request|no Host|GET /livez HTTP/1.1\r\n$close\r\n
400|bad_request|a bad Host|GET /livez HTTP/1.1\r\nHost: x/../y\r\n$close\r\n
400|bad_request|Content-Length and chunked|POST /auth/login HTTP/1.1\r\nHost: x\r\nLENTransfer-Encoding: chunked\r\n$close\r\n$login
400|bad_request|two Content-Lengths|POST /auth/login HTTP/1.1\r\nHost: x\r\nLENContent-Length: 2\r\n$close\r\n$login
400|bad_request|a negative Content-Length|POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n$close\r\n$login
400|bad_request|a Content-Length with a sign|POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: +${#login}\r\n$close\r\n$login
400|bad_request|a hexadecimal Content-Length|POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 0x10\r\n$close\r\n$login
400|bad_request|a Content-Length of 2^64 + 2|POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551618\r\n$close\r\n{}
400|bad_request|a bad chunk|POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n$close\r\nzz\r\n{}\r\n0\r\n\r\n
501|not_implemented|an unknown Transfer-Encoding|POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n$close\r\n
411|length_required|a POST without a length|POST /auth/login HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|NUL in the path|GET /livez\0 HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|NUL in a header|GET /livez HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n$close\r\n
400|bad_request|ESC in a header|GET /livez HTTP/1.1\r\nHost: x\r\nUser-Agent: \x1b[31m\r\n$close\r\n
400|bad_request|a blank before the colon|GET /livez HTTP/1.1\r\nHost: x\r\nX : a\r\n$close\r\n
400|bad_request|a blank before the first header|GET /livez HTTP/1.1\r\n X: a\r\nHost: x\r\n$close\r\n
400|bad_request|another Host in the address|GET http://example.org/livez HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|a path without a slash|GET livez HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|a tunnel|CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n$close\r\n
400|bad_request|a negative chunk|POSTCHUNKS-1\r\n$login\r\n0\r\n\r\n
400|bad_request|a chunk of 2^64 - 1|POSTCHUNKSffffffffffffffff\r\n$login\r\n0\r\n\r\n
400|bad_request|a chunk of 2^68 + 2|POSTCHUNKS100000000000000002\r\n{}\r\n0\r\n\r\n
400|bad_request|a chunk of 0x2|POSTCHUNKS0x2\r\n{}\r\n0\r\n\r\n
400|bad_request|a chunk of +2|POSTCHUNKS+2\r\n{}\r\n0\r\n\r\n
400|bad_request|a chunk without a length|POSTCHUNKS\r\n{}\r\n0\r\n\r\n
400|bad_request|a chunk behind a blank|POSTCHUNKS 2\r\n{}\r\n0\r\n\r\n
400|bad_request|a chunk that is longer than it says|POSTCHUNKS1\r\n{}\r\n0\r\n\r\n
400|bad_request|a chunk of bare LFs|POSTCHUNKS2\n{}\n0\n\n
400|bad_request|chunks in HTTP/1.0|POST /auth/login HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
400|bad_request|a request behind the last chunk, hidden by a length|POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n
400|bad_request|a GET with a body that is a request|GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 34\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n
400|bad_request|a GET with chunks|LIVEZ_Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n
400|bad_request|a list of Content-Lengths|POST_Content-Length: 2, 2\r\n\r\n{}
400|bad_request|a Content-Length with a point|POST_Content-Length: 2.0\r\n\r\n{}
400|bad_request|a Content-Length with a blank in it|POST_Content-Length: 0 2\r\n\r\n{}
400|bad_request|a Content-Length on the next line|POST_Content-Length:\r\n 2\r\n\r\n{}
411|length_required|an empty Content-Length|POST_Content-Length: \r\n\r\n{}
501|not_implemented|chunked twice|POST_Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
501|not_implemented|gzip and chunked|POST_Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
501|not_implemented|identity and chunked|POST_Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
501|not_implemented|nearly chunked|POST_Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
400|bad_request|a vertical tab and chunked|POST_Transfer-Encoding: \x0bchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
400|bad_request|a blank before the colon of Transfer-Encoding|POST_Transfer-Encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
400|bad_request|a header without a colon|LIVEZ_X\r\n\r\n
400|bad_request|a header without a name|LIVEZ_: x\r\n\r\n
400|bad_request|a header whose name is not ASCII|LIVEZ_F\xc3\xb6: x\r\n\r\n
400|bad_request|a bare CR in a header|LIVEZ_X: a\rb\r\n\r\n
400|bad_request|an empty Host|GET /livez HTTP/1.1\r\nHost: \r\n$close\r\n
400|bad_request|a Host with a user|GET /livez HTTP/1.1\r\nHost: a@x\r\n$close\r\n
400|bad_request|a Host with a port of its own making|GET /livez HTTP/1.1\r\nHost: x:99999\r\n$close\r\n
400|bad_request|a user in the address|GET http://u:p@x/livez HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|an address of another scheme|GET ftp://x/livez HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|an asterisk for a path|GET * HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|no path|GET  HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|tabs between the words|GET\t/livez\tHTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|a control byte in the path|GET /liv\x01ez HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|DEL in the path|GET /livez\x7f HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|dots in too many bytes|GET /%%c0%%ae%%c0%%ae/livez HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|NUL in the query|GET /calls?before=1%%00 HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|NUL in a file's name|GET /app.js%%00.png HTTP/1.1\r\nHost: x\r\n$close\r\n
404|not_found|dots that are escaped twice|GET /%%252e%%252e/livez HTTP/1.1\r\nHost: x\r\n$close\r\n
404|not_found|a backslash for a slash|GET /x/..\\livez HTTP/1.1\r\nHost: x\r\n$close\r\n
404|not_found|escapes that are none|GET /%%u006civez%%zz%% HTTP/1.1\r\nHost: x\r\n$close\r\n
404|not_found|what is above the pages|GET /..%%2f..%%2flighttpd.conf HTTP/1.1\r\nHost: x\r\n$close\r\n
404|not_found|a page as a folder|GET /app.js/x HTTP/1.1\r\nHost: x\r\n$close\r\n
501|not_implemented|a method in lower case|get /livez HTTP/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|TLS|\x16\x03\x01\x00\xc5\x01\x00\x00\xc1\x03\x03\x00\x00\x00\x00\r\n\r\n
505|version_not_supported|HTTP/1.2|GET /livez HTTP/1.2\r\nHost: x\r\n$close\r\n
505|version_not_supported|HTTP/0.9 in so many words|GET /livez HTTP/0.9\r\n\r\n
400|bad_request|HTTP in lower case|GET /livez http/1.1\r\nHost: x\r\n$close\r\n
400|bad_request|no HTTP|HELO example.org\r\n\r\n
505|version_not_supported|HTTP/3.0|GET /livez HTTP/3.0\r\nHost: x\r\n$close\r\n
505|version_not_supported|HTTP/2 without being asked|PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n
EOF_RAW

# What is odd and well-formed all the same.
odd() { # NAME FORMAT
	raw "$2"
	expect 200
	ok "$1"
}
odd 'HTTP/1.0 without a Host' 'GET /livez HTTP/1.0\r\n\r\n'
odd 'the whole address, of this host' "GET http://x/livez HTTP/1.1\r\nHost: x\r\n$close\r\n"
odd 'leading zeros of a Content-Length' "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 000${#login}\r\n$close\r\n$login"
chunks="POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n$close\r\n"
odd 'a chunk with an extension' "$chunks$(printf %x ${#login});a=\"b\"\r\n$login\r\n0\r\n\r\n"
odd 'trailers' "$chunks$(printf %x ${#login})\r\n$login\r\n0\r\nContent-Length: 2\r\nHost: y\r\n\r\n"
for where in "Authorization: Bearer $token" "X-HTTP-Method-Override: DELETE" 'Remote-Addr: 198.51.100.7' 'Script-Name: /doctors' \
	'X-Original-URL: /doctors' 'Content_Length: 5' 'Proxy: http://198.51.100.7/' 'Upgrade: h2c' 'Expect: 200-ok'; do
	odd "a header that counts for nothing here: ${where%%:*}" "GET /livez HTTP/1.1\r\nHost: x\r\n$where\r\n$close\r\n"
done
raw "POST /auth/login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${#login}\r\n$close\r\n$login"
[[ $status =~ ^[12]00$ ]] && grep -aq '"token"' "$work/body"
ok 'Expect: 100-continue'
raw 'POST /auth/login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n'
expect 413 too_large
ok 'Expect: 100-continue with a body that is too large'
raw 'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
expect 400 && grep -aq '"status":"ok"' "$work/body"
ok 'a request right behind the body of another is its own'
rest GET /app.js '' -H "Range: bytes=$(printf '0-,%.0s' {1..500})0-"
[[ $status =~ ^(200|206)$ ]] && [ "$(stat -c %s "$work/body")" -le "$((2 * $(stat -c %s "$root/www/app.js")))" ]
ok 'five hundred ranges are not five hundred pages'

# Hanging up: at any byte of a request, politely or not, and with only one half of the connection.
/usr/bin/python3 - "$port" "$token" "$login" >"$work/hangups" <<'PY'
import socket, struct, sys
port, token, login = int(sys.argv[1]), sys.argv[2], sys.argv[3].encode()
get = b"GET /doctors HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % token.encode()
post = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(login), login)
chunks = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s" % (len(login), login)


def begin(text):
    s = socket.create_connection(("127.0.0.1", port), 20)
    s.sendall(text)
    return s


for text in (get, post, chunks):
    for at in range(0, len(text) + 1, 7):
        begin(text[:at]).close()
        s = begin(text[:at])
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
for text, whole in ((get, True), (post, True), (post[:-5], False), (chunks, False)):
    with begin(text) as s:
        s.shutdown(socket.SHUT_WR)
        got = b""
        while more := s.recv(1 << 16):
            got += more
        print(got.startswith(b"HTTP/1.1 200 ") if whole else got == b"")
PY
[ "$(sort -u "$work/hangups")" = True ] && [ "$(wc -l <"$work/hangups")" = 4 ]
ok 'who has said all and hears on is answered, who has not is not'
as "$token" GET /doctors
expect 200 && ! grep -q worker_died "$work/stack.err"
ok 'and nothing has come of all that hung up'
