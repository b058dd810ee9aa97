-- What an operator does. Who is disabled cannot log in, and is as nobody to others; who was erased is so for good, and the row
-- that is left, for the calls of others, says nothing of a person.
ALTER TABLE user ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1));
ALTER TABLE user ADD COLUMN erased INTEGER NOT NULL DEFAULT 0 CHECK (erased IN (0, 1) AND erased <= disabled);

-- A token is good while it has its user's epoch: milliseconds since 1970, of when all sessions were ended last. 0: never.
ALTER TABLE user ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;

-- The relay closes the connections of who is disabled, or has another epoch.
DROP TRIGGER user_changed;
CREATE TRIGGER user_changed AFTER UPDATE OF name, role, status, pending, disabled, epoch ON user BEGIN
	UPDATE revision SET value = value + 1;
	UPDATE user SET rev = (SELECT value FROM revision) WHERE id = NEW.id;
END;

-- Sessions that were begun by a login or a registration and have not been ended; for an operator to see. What ends one is a row
-- in revocation, or another epoch.
CREATE TABLE session (
	session TEXT PRIMARY KEY,
	user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
	began_s INTEGER NOT NULL,
	ends_s INTEGER NOT NULL, -- by then the last token that was renewed in it has expired
	source TEXT NOT NULL -- the address that it was begun from
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of_user ON session (user_id);
CREATE INDEX session_by_end ON session (ends_s);

-- Calls that an operator wants ended. The relay, which alone writes calls, does it.
CREATE TABLE call_ending (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- a reader goes on after the last one that it has seen
	call INTEGER NOT NULL REFERENCES call (id) ON DELETE CASCADE
) STRICT;
