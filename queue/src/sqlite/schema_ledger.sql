-- Paid calls: since version 2.

-- Until when a rate is used up (ms).
CREATE TABLE rates (name TEXT PRIMARY KEY, used REAL NOT NULL) STRICT, WITHOUT ROWID;

-- Replies that an execution has paid for.
CREATE TABLE journal (
    execution TEXT NOT NULL,
    place     TEXT NOT NULL,
    reply     BLOB NOT NULL,
    expires   INTEGER NOT NULL,
    PRIMARY KEY (execution, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX journal_expire ON journal (expires);

-- Replies that serve equal calls.
CREATE TABLE shared (
    request TEXT PRIMARY KEY,
    reply   BLOB NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX shared_expire ON shared (expires);

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
