#!/usr/bin/env bash
# The page's files, as lighttpd serves them.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

stack_start

serves() {
	rest GET "$1"
	detail+=" $(header content-type)"
	[ "$status" = 200 ] && [ "$(header content-type)" = "$2" ] && cmp -s "$work/body" "$root/www/$3"
}
serves / 'text/html; charset=utf-8' index.html
ok 'the page is served at /'
for file in "$root"/www/*; do
	name=$(basename "$file")
	case $name in
	*.html) type='text/html; charset=utf-8' ;;
	*.js) type='text/javascript; charset=utf-8' ;;
	*.css) type='text/css; charset=utf-8' ;;
	*.svg) type='image/svg+xml' ;;
	*) type='(a type that lighttpd.conf does not know)' ;;
	esac
	serves "/$name" "$type" "$name"
	ok "/$name is served as what it is"
done

rest GET /
policy=$(header content-security-policy)
detail=$policy
[[ "; $policy" == *"; default-src 'none'"* && $policy != *unsafe* && $policy != *'*'* && $policy != *http* && $policy == *"frame-ancestors 'none'"* ]]
ok 'its Content-Security-Policy allows its own files and nothing else'
[ "$(header x-content-type-options)" = nosniff ] && [ "$(header referrer-policy)" = no-referrer ]
ok 'nosniff, and no referrer'
[ "$(header cache-control)" = no-cache ] && etag=$(header etag) && rest GET / '' -H "If-None-Match: $etag" && [ "$status" = 304 ]
ok 'it is asked for again each time, and not sent again'
rest HEAD /
[ "$status" = 200 ]
ok 'HEAD is answered'
for method in POST PUT DELETE; do
	rest $method / x
	expect 404 not_found
	ok "$method is not"
done
for path in /nothing.js /.env /../lighttpd.conf /%2e%2e/lighttpd.conf /telemed.js/ /telemed.js%00 /telemed.js~ /WWW/index.html /errors/404.html /404.html; do
	rest GET "$path" '' --path-as-is
	[[ $status == 40[04] ]] && json 'b["status"] == int(a[0]) and b["code"]' "$status"
	ok "$path is not there"
done
# The contract.
for name in openapi.yaml asyncapi.yaml; do
	rest GET "/$name"
	[ "$status" = 200 ] && [ "$(header content-type)" = application/yaml ] && cmp -s "$work/body" "$root/docs/$name"
	ok "/$name is served as what it is"
	[ "$(header cache-control)" = no-cache ] && etag=$(header etag) && rest GET "/$name" '' -H "If-None-Match: $etag" && [ "$status" = 304 ]
	ok "/$name is asked for again each time, and not sent again"
	rest GET "/$name" '' -H 'Range: bytes=0-9'
	[ "$status" = 200 ] && cmp -s "$work/body" "$root/docs/$name"
	ok "/$name comes whole"
	for path in "/docs/$name" "/$name/" "/${name%.yaml}.yml" "/${name%.yaml}"; do
		rest GET "$path"
		expect 404 not_found
		ok "$path is not there"
	done
done
rest GET /protocol.md
expect 404 not_found
ok 'nothing else of docs/ is served'

! grep -rnE "innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://[^ '\"]*\.(com|net|org|io)" "$root/www" | grep -v 'www.w3.org'
ok 'nothing in it is made from text but text, and nothing comes from elsewhere'
