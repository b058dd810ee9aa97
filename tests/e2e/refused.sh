#!/usr/bin/env bash
# What a start cannot write to, it says in one sentence, and ends with 100. Needs file systems of its own, as rest_disk_full.sh does.
if [ -z "${TELEMED_TEST_NAMESPACE-}" ]; then
	unshare -rm mount -t tmpfs tmpfs /mnt 2>/dev/null || exit 77
	TELEMED_TEST_NAMESPACE=1 exec unshare -rm "$0"
fi
mount -t tmpfs tmpfs /mnt || exit 1
export TMPDIR=/mnt # gone with the namespace
# shellcheck source=../support/stack.sh
. "$(dirname "$0")/../support/stack.sh"

disk=$work/data
mkdir "$disk"
mount -t tmpfs -o size=4m tmpfs "$disk"

# refused SENTENCE: is that all that a start says, and does it end with 100?
refused() {
	local code
	detail=$(env TELEMED_PORT="$port" TELEMED_DATA_DIR="$disk" timeout 60 "$root/scripts/run" "$build" 2>&1 </dev/null)
	code=$?
	[ "$detail" = "telemed: $1" ] && [ $code -eq 100 ]
}
fill() { head -c 8m /dev/zero 2>/dev/null >>"$disk/ballast"; }
full='TELEMED_DATA_DIR cannot be written to: No space left on device.'

port=$(free_port)
mount -o remount,ro "$disk"
refused 'TELEMED_DATA_DIR cannot be made: Read-only file system.'
ok 'a disk that is read-only, where nothing was made yet'
mount -o remount,rw "$disk"
fill
refused "$full"
ok 'a full disk, where nothing was made yet'
rm "$disk/ballast"

stack_start
stack_stop
fill
refused "$full"
ok 'a full disk'
[ -z "$(compgen -G "$disk/run/room.*")" ]
ok 'of which it takes nothing'
rm "$disk/ballast"
mount -o remount,ro "$disk"
refused "$disk may not be written to."
ok 'a disk that is read-only'
mount -o remount,rw "$disk"
for path in run log log/access.log telemed.db telemed.db-wal; do
	mount --bind "$disk/$path" "$disk/$path"
	mount -o remount,bind,ro "$disk/$path"
	refused "$disk/$path may not be written to."
	ok "$path that is read-only"
	umount "$disk/$path"
done
stack_start
ok 'and when all may be written to it starts'
stack_stop
umount "$disk"
