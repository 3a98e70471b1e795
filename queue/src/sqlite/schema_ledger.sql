-- Paid calls: since version 2.

-- Until when a rate is used up (ms).
CREATE TABLE rates (name TEXT PRIMARY KEY, used REAL NOT NULL) STRICT, WITHOUT ROWID;

-- Replies that were paid for: `<execution>/<place>` in a journal, `shared/<request>` for equal
-- calls.
CREATE TABLE replies (
    key     TEXT PRIMARY KEY,
    reply   BLOB NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replies_expire ON replies (expires);

-- Who is making a call that others wait for.
CREATE TABLE flights (
    request TEXT PRIMARY KEY,
    holder  TEXT NOT NULL,
    until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was spent, in millionths of the currency.
CREATE TABLE spending (
    scope   TEXT PRIMARY KEY,
    micros  INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
