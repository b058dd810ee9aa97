# bash completion for telemed-admin. Installed as share/bash-completion/completions/telemed-admin.
# shellcheck shell=bash

_telemed_admin() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=''
	case "$COMP_CWORD ${COMP_WORDS[1]-} ${COMP_WORDS[2]-}" in
	"1 "*) words='status users sessions calls drain backup restore audit config turn token --help --version' ;;
	"2 users "*) words='list add approve disable enable reset-password erase' ;;
	"2 sessions "*) words='list kick' ;;
	"2 calls "*) words='list end' ;;
	"2 audit "*) words='list verify archive' ;;
	"2 config "* | "2 turn "*) words=check ;;
	"2 token "*) words=explain ;;
	*" users list") words='--pending --json' ;;
	*" users add") words='PATIENT DOCTOR --json' ;;
	*" users erase") words='--yes --json' ;;
	*" sessions list" | *" sessions kick") words='--user --json' ;;
	*" calls list") words='--all --json' ;;
	*" drain "*) words='--end --json' ;;
	*" restore "*) words='--anchor --after --broken-trail --json' ;;
	*" audit list") words='--since --json' ;;
	*" audit verify") words='--after --anchor --json' ;;
	*" audit archive") words='--until --json' ;;
	*) words='--json' ;;
	esac
	COMPREPLY=()
	# The values of these are nobody's to guess.
	case $prev in --user | --since | --after | --anchor | --until) return ;; esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	# Files, where they may stand.
	case "${COMP_WORDS[1]-} ${COMP_WORDS[2]-}" in
	"backup "* | "restore "* | "audit list" | "audit verify" | "audit archive")
		[[ $cur == -* || ($COMP_CWORD -eq 2 && ${COMP_WORDS[1]} == audit) ]] || mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$cur")
		;;
	esac
}
complete -F _telemed_admin telemed-admin
