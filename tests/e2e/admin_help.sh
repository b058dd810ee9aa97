#!/usr/bin/env bash
# telemed-admin --help, its man page and its completion tell of the same commands and options.
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"
# shellcheck source=../../admin/telemed-admin.bash
. "$root/admin/telemed-admin.bash"

admin=$build/admin/telemed-admin
page=$root/docs/man/telemed-admin.1

# completes WORD...: what is offered for the last of them, one a line.
completes() {
	COMP_WORDS=(telemed-admin "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_telemed_admin
	printf '%s\n' "${COMPREPLY[@]}"
}

# offers WANTED WORD...
offers() {
	local wanted=$1 got
	shift
	got=$(completes "$@")
	detail="$* offers: ${got//$'\n'/ }"
	grep -qx -- "$wanted" <<<"$got" # which a pipe would leave before all of it is written
}

"$admin" --help >"$work/help"
sed -n 's/^  telemed-admin //p' "$work/help" >"$work/commands"
detail=$(wc -l <"$work/commands")
[ "$detail" -ge 20 ]
ok 'the help tells of every command'
detail=$(grep -v -- '--json' "$work/commands")
[ -z "$detail" ]
ok 'each can answer as JSON'

detail=$("$admin" --version)
[ "$detail" = "telemed-admin $(cat "$root/VERSION")" ] && grep -qx '\.Fl -version' "$page"
ok 'it knows its version'

missing=
while read -r line; do
	words=()
	for word in $line; do
		if [[ ! $word =~ ^[a-z][a-z-]*$ ]] || [ ${#words[@]} -eq 2 ]; then break; fi
		words+=("$word")
	done
	partial=()
	for word in "${words[@]}"; do
		offers "$word" "${partial[@]}" "${word:0:1}" || missing+="completion of ${words[*]}; "
		partial+=("$word")
	done
	grep -qx "\.Cm ${words[*]}" "$page" || missing+="${words[*]} in the man page; "
	mapfile -t options < <(grep -o -- '--[a-z-]*' <<<"$line")
	for option in "${options[@]}"; do
		offers "$option" "${words[@]}" x "$option" || missing+="completion of ${words[*]} $option; "
		awk -v want=".Cm ${words[*]}" -v option="-${option#--}" '$0 == want { here = 1; next } $0 == ".Nm" || /^\.Sh/ { here = 0 }
			here && index($0, option) { found = 1 } END { exit !found }' "$page" || missing+="${words[*]} $option in the man page; "
	done
done <"$work/commands"
detail=$missing
[ -z "$missing" ]
ok 'the man page and the completion know each, and each option'

detail=
for word in $(completes ''); do
	grep -q "^$word" "$work/commands" || [[ $word == --help || $word == --version ]] || detail+="$word "
done
for group in users sessions calls audit config turn token; do
	for verb in $(completes $group ''); do
		[[ $verb == --* ]] || grep -q "^$group $verb" "$work/commands" || detail+="$group $verb "
	done
done
[ -z "$detail" ]
ok 'and none that there is not'

touch "$work/a-backup.db" "$work/another"
(cd "$work" && offers a-backup.db restore a && offers a-backup.db audit verify a && ! offers a-backup.db users approve a)
ok 'files are offered where one is named'
[ -z "$(completes sessions kick --user '')" ]
ok 'whom or what an option is about is not guessed at'

for code in $(sed -n '/^Exit codes/,$p' "$work/help" | tr '\n' ' ' | grep -o '[;:] [0-9]*' | tr -dc '0-9\n'); do
	grep -q "^\.It $code$" "$page" || detail+="$code "
done
[ -z "$detail" ]
ok 'the man page has the exit codes'
