-- A doctor who has registered under TELEMED_DOCTOR_SIGNUP=approve is pending until an operator has approved her. Whoever was
-- there before is not.
ALTER TABLE user ADD COLUMN pending INTEGER NOT NULL DEFAULT 0 CHECK (pending IN (0, 1));

-- Others see the difference, so it raises the revision.
DROP TRIGGER user_changed;
CREATE TRIGGER user_changed AFTER UPDATE OF name, role, status, pending ON user BEGIN
	UPDATE revision SET value = value + 1;
	UPDATE user SET rev = (SELECT value FROM revision) WHERE id = NEW.id;
END;
