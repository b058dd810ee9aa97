-- The audit trail (docs/audit.md). Each line has a MAC over the one before it and itself, under a key that is not here; a line
-- outlives the user and the call that it tells of, so nothing is referred to.
CREATE TABLE audit (
	seq INTEGER PRIMARY KEY, -- from 1, without a gap
	at_ms INTEGER NOT NULL,
	event TEXT NOT NULL,
	outcome TEXT NOT NULL,
	user_id INTEGER NOT NULL, -- 0: nobody who is known
	peer_id INTEGER NOT NULL, -- 0: none
	call INTEGER NOT NULL, -- call.id; 0: none
	left_out INTEGER NOT NULL, -- events of this kind before it that were too many for a line each
	source TEXT NOT NULL, -- the peer's address
	mac BLOB NOT NULL
) STRICT;

-- One row where lines were archived: the last of them, and a MAC that nobody else can make.
CREATE TABLE audit_base (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	seq INTEGER NOT NULL,
	mac BLOB NOT NULL,
	seal BLOB NOT NULL
) STRICT;

-- Against mistakes of ours; who can write to the database can take them away, and is found out by the MACs.
CREATE TRIGGER audit_is_not_edited BEFORE UPDATE ON audit BEGIN
	SELECT RAISE(ABORT, 'the audit trail is only added to');
END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
WHEN OLD.seq > coalesce((SELECT seq FROM audit_base), 0) BEGIN
	SELECT RAISE(ABORT, 'only what was archived is deleted');
END;
