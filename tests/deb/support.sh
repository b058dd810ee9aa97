# For the tests of the package: TAP.
# shellcheck shell=bash disable=SC2034
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
