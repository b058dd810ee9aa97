-- Sessions that were logged out. A session is a login and all tokens that came of it by renewal; its row is of no use when the
-- last of them has expired.
CREATE TABLE revocation (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- a reader goes on after the last one that it has seen
	user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
	session TEXT NOT NULL UNIQUE,
	expires_s INTEGER NOT NULL
) STRICT;
CREATE INDEX revocation_by_expiry ON revocation (expires_s);
