-- Version 3: what workers found out about programs by loading them.

CREATE TABLE manifests (
    program TEXT PRIMARY KEY,                     -- id@version
    text    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
