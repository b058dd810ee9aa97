-- The last order of an operator to take no new calls, or to take them again. It is for the relay that runs: one that starts
-- goes by those that come after it, so that none outlives a restart.
CREATE TABLE drain (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	number INTEGER NOT NULL, -- counts them
	active INTEGER NOT NULL CHECK (active IN (0, 1))
) STRICT;
INSERT INTO drain VALUES (1, 0, 0);
