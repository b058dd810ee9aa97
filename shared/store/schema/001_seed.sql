-- Accounts, who is connected, calls, and the throttle of logins. Times are milliseconds since 1970 UTC.

-- One row: the last revision given out. A reader that remembers a revision finds what changed after it.
CREATE TABLE revision (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	value INTEGER NOT NULL
) STRICT;
INSERT INTO revision VALUES (1, 0);

CREATE TABLE user (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	email TEXT NOT NULL COLLATE NOCASE UNIQUE,
	password_hash TEXT NOT NULL,
	role TEXT NOT NULL CHECK (role IN ('PATIENT', 'DOCTOR')),
	-- What was chosen, or set by connecting and leaving. Never the BUSY of a call: that is worked out from call.
	status TEXT NOT NULL DEFAULT 'OFFLINE' CHECK (status IN ('ONLINE', 'BUSY', 'OFFLINE')),
	created_ms INTEGER NOT NULL,
	rev INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX user_by_rev ON user (rev);
CREATE INDEX doctor_by_name ON user (name COLLATE NOCASE, id) WHERE role = 'DOCTOR';

-- Whoever writes what others can see raises the revision in the same transaction; nobody can forget to.
CREATE TRIGGER user_inserted AFTER INSERT ON user BEGIN
	UPDATE revision SET value = value + 1;
	UPDATE user SET rev = (SELECT value FROM revision) WHERE id = NEW.id;
END;
CREATE TRIGGER user_changed AFTER UPDATE OF name, role, status ON user BEGIN
	UPDATE revision SET value = value + 1;
	UPDATE user SET rev = (SELECT value FROM revision) WHERE id = NEW.id;
END;

-- Who has a WebSocket, as the relay last wrote it: after a crash it knows whose grace to start.
CREATE TABLE presence (
	user_id INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE
) STRICT;

CREATE TABLE call (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	call_id TEXT NOT NULL, -- the caller's own name for it
	caller_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
	callee_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
	state TEXT NOT NULL CHECK (state IN ('RINGING', 'ACTIVE', 'ENDED')),
	reason TEXT CHECK ((reason IS NOT NULL) = (state = 'ENDED')),
	started_ms INTEGER NOT NULL,
	answered_ms INTEGER,
	ended_ms INTEGER CHECK ((ended_ms IS NOT NULL) = (state = 'ENDED'))
) STRICT;
-- Nobody is in two live calls, whoever writes: a caller is always a patient and a callee a doctor.
CREATE UNIQUE INDEX call_live_of_caller ON call (caller_id) WHERE state <> 'ENDED';
CREATE UNIQUE INDEX call_live_of_callee ON call (callee_id) WHERE state <> 'ENDED';
CREATE INDEX call_by_caller ON call (caller_id, id);
CREATE INDEX call_by_callee ON call (callee_id, id);

-- Attempts to log in or register, as a virtual schedule: free_ms is when all that was used up has been won back.
CREATE TABLE auth_attempt (
	bucket TEXT PRIMARY KEY,
	free_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX auth_attempt_by_age ON auth_attempt (free_ms);
