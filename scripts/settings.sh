# Where telemed's parts are, and what its settings are: for the scripts beside this one, which set root, the folder above, first.
# shellcheck shell=bash disable=SC2034 # what it sets is for them

permanent=100 # the code of an end that nothing but a change by somebody can help

say() { echo "telemed: $*" >&2; }
fail() {
	local code=$1
	shift
	say "$@"
	exit "$code"
}

# In PREFIX/lib/telemed it is what `make install` has put there, and else a checkout. Of what is installed below /usr, settings and
# data are in /etc and /var.
if [[ $root == */lib/telemed && -d ${root%/lib/telemed}/share/telemed ]]; then
	prefix=${root%/lib/telemed}
	share=$prefix/share/telemed
	settings=${prefix%/usr}/etc/telemed/telemed.conf
	state=${prefix%/usr}/var/lib/telemed
else
	prefix=
	share=$root
	settings=$root/.env
	state=$root/var
fi

# The settings file. The programs read it themselves, and again on SIGHUP; here is read only what the scripts and lighttpd need of
# it, and the secrets are not. Nothing in it is executed.
declare -A in_file=()
read_settings_file() {
	local line name value
	in_file=()
	[ -n "${TELEMED_SETTINGS_FILE-}" ] && [ -r "$TELEMED_SETTINGS_FILE" ] || return 0
	while IFS= read -r line || [ -n "$line" ]; do
		[[ $line =~ ^(TELEMED_[A-Z_]+)=(.*)$ ]] || continue # fcgi-api --check says what is wrong with it
		name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
		[[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]] && value=${BASH_REMATCH[1]}
		[[ $name != *_SECRET ]] || value=${value:+set}
		in_file[$name]=$value
	done <"$TELEMED_SETTINGS_FILE"
}

# setting NAME [DEFAULT]: the environment goes before the file.
setting() {
	local value=${in_file[$1]-}
	[ -z "${!1+set}" ] || value=${!1}
	printf '%s' "${value:-${2-}}"
}

# The settings, and those that the scripts use themselves as variables; inherited are the names of those that the environment had.
declare -A inherited=()
read_settings() {
	local name
	[ -n "${TELEMED_SETTINGS_FILE-}" ] || [ ! -e "$settings" ] || export TELEMED_SETTINGS_FILE=$settings
	[ -z "${TELEMED_SETTINGS_FILE-}" ] || [ -r "$TELEMED_SETTINGS_FILE" ] ||
		fail "$permanent" "TELEMED_SETTINGS_FILE, $TELEMED_SETTINGS_FILE, cannot be read."
	read_settings_file
	for name in "${!TELEMED_@}"; do inherited[$name]=1; done
	# The two secrets are for our own programs alone, and no other's environment; and nobody's memory becomes a file.
	export -n TELEMED_JWT_SECRET TELEMED_TURN_SECRET
	ulimit -c 0
	umask 077
	TELEMED_PORT=$(setting TELEMED_PORT 8080)
	TELEMED_BIND=$(setting TELEMED_BIND 127.0.0.1)
	TELEMED_DATA_DIR=$(setting TELEMED_DATA_DIR "$state")
	export TELEMED_PORT TELEMED_BIND TELEMED_DATA_DIR
	host=$TELEMED_BIND
	[[ $host != *:* ]] || host="[$host]"
}

# Gives the rest of its (sub)shell to a program of ours. Where lighttpd listens that one reads in the file itself, to say so when it
# reads it again.
with_secrets() {
	local name
	export TELEMED_JWT_SECRET TELEMED_TURN_SECRET
	for name in TELEMED_PORT TELEMED_BIND; do
		[ -n "${inherited[$name]-}" ] || export -n "${name?}"
	done
	exec "$@"
}

# attempt WHAT COMMAND...: where the command fails the start ends with WHAT, and the last of the command's own words.
attempt() {
	local what=$1 why
	shift
	why=$("$@" 2>&1 >/dev/null) || fail "$permanent" "$what${why:+: ${why##*: }}."
}

# Makes what lacks in the data directory: folders, and the secret that signs tokens, 32 random bytes, whole under another name
# first. The last is never a newline, which an editor might take away.
random_to() { head -c 32 /dev/urandom >"$1"; }
prepare_data() {
	attempt "TELEMED_DATA_DIR cannot be made" mkdir -p -- "$TELEMED_DATA_DIR/run" "$TELEMED_DATA_DIR/log"
	TELEMED_DATA_DIR=$(realpath -- "$TELEMED_DATA_DIR")
	[ -z "$(setting TELEMED_JWT_SECRET)$(setting TELEMED_JWT_SECRET_FILE)" ] && [ ! -s "$TELEMED_DATA_DIR/secret" ] || return 0
	while :; do
		attempt "TELEMED_DATA_DIR cannot be written to" random_to "$TELEMED_DATA_DIR/secret.new"
		[ "$(tail -c 1 "$TELEMED_DATA_DIR/secret.new" | od -An -tx1)" = " 0a" ] || break
	done
	attempt "TELEMED_DATA_DIR cannot be written to" mv -- "$TELEMED_DATA_DIR/secret.new" "$TELEMED_DATA_DIR/secret"
}
