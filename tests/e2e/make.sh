#!/usr/bin/env bash
# What make says to who gives it a value that it cannot use: one sentence, before anything is installed, built or run.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
tests=0
failed=0

refuses() {
	local want=$1 said code
	shift
	tests=$((tests + 1))
	said=$(env -u MAKEFLAGS -u MAKELEVEL timeout 60 make -s "$@" 2>&1 </dev/null)
	code=$?
	# The second line is make's own.
	if [ $code -eq 2 ] && [[ $(head -n 1 <<<"$said") == "telemed: $want"* ]] && [ "$(wc -l <<<"$said")" -le 2 ]; then
		echo "ok $tests - make $* says why not"
	else
		failed=1
		echo "not ok $tests - make $*"
		head -n 5 <<<"$said" | sed "s/^/# $code: /"
	fi
}

refuses 'TARGETS must be some of ' fuzz TARGETS=nosuch
refuses 'TARGETS must be some of ' fuzz TARGETS='json nosuch'
for seconds in abc 0 -1 1.5 ''; do
	refuses 'FUZZ_SECONDS must be a whole number above 0.' fuzz FUZZ_SECONDS="$seconds" TARGETS=json
	refuses 'MINUTES must be a whole number above 0.' soak MINUTES="$seconds"
done
echo "1..$tests"
exit $failed
