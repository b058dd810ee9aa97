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

# Lines NAME=VALUE; what the environment has already goes first. Nothing in the file is executed.
read_settings_file() {
	local line name value
	while IFS= read -r line || [ -n "$line" ]; do
		[[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
		[[ $line =~ ^(TELEMED_[A-Z_]+)=(.*)$ ]] ||
			fail "$permanent" "$1: not NAME=VALUE: a line that begins with '${line%%=*}'"
		name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
		[[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]] && value=${BASH_REMATCH[1]}
		[ -n "${!name+set}" ] || export "$name=$value"
	done <"$1"
}

# The settings, with the defaults of those that the scripts use themselves.
read_settings() {
	[ -z "${TELEMED_SETTINGS_FILE-}" ] || settings=$TELEMED_SETTINGS_FILE
	if [ -e "$settings" ]; then
		[ -r "$settings" ] || fail "$permanent" "$settings cannot be read."
		read_settings_file "$settings"
	elif [ -n "${TELEMED_SETTINGS_FILE-}" ]; then
		fail "$permanent" "TELEMED_SETTINGS_FILE names a file that is not there."
	fi
	# The two secrets are for our own programs alone, and no other's environment; and nobody's memory becomes a file.
	export -n TELEMED_JWT_SECRET TELEMED_TURN_SECRET
	ulimit -c 0
	umask 077
	: "${TELEMED_PORT:=8080}" "${TELEMED_BIND:=127.0.0.1}" "${TELEMED_DATA_DIR:=$state}" "${TELEMED_TLS_PORT:=8443}"
	export TELEMED_PORT TELEMED_BIND TELEMED_DATA_DIR TELEMED_TLS_PORT
	host=$TELEMED_BIND
	[[ $host != *:* ]] || host="[$host]"
}

# Gives the rest of its (sub)shell to a program of ours.
with_secrets() {
	export TELEMED_JWT_SECRET TELEMED_TURN_SECRET
	exec "$@"
}

# Makes what lacks in the data directory: folders, and the secret that signs tokens, 32 random bytes, whole under another name
# first. The last is never a newline, which an editor might take away.
prepare_data() {
	mkdir -p -- "$TELEMED_DATA_DIR/run" "$TELEMED_DATA_DIR/log" || fail "$permanent" "TELEMED_DATA_DIR cannot be made."
	TELEMED_DATA_DIR=$(realpath -- "$TELEMED_DATA_DIR")
	[ -z "${TELEMED_JWT_SECRET-}${TELEMED_JWT_SECRET_FILE-}" ] && [ ! -s "$TELEMED_DATA_DIR/secret" ] || return 0
	while :; do
		head -c 32 /dev/urandom >"$TELEMED_DATA_DIR/secret.new" || fail "$permanent" "TELEMED_DATA_DIR cannot be written to."
		[ "$(tail -c 1 "$TELEMED_DATA_DIR/secret.new" | od -An -tx1)" = " 0a" ] || break
	done
	mv -- "$TELEMED_DATA_DIR/secret.new" "$TELEMED_DATA_DIR/secret" || fail "$permanent" "TELEMED_DATA_DIR cannot be written to."
}
