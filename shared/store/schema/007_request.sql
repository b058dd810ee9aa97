-- The id of the REST request (X-Request-Id) that made a change, for the relay's log to name when it passes the change on. A user's is
-- of the change of revision request_rev: of another one it says nothing, whoever made that.
ALTER TABLE user ADD COLUMN request TEXT CHECK (length(request) <= 36);
ALTER TABLE user ADD COLUMN request_rev INTEGER;
ALTER TABLE revocation ADD COLUMN request TEXT CHECK (length(request) <= 36);
