-- Version 4: what a batch has cost.

ALTER TABLE batches ADD COLUMN cost INTEGER NOT NULL DEFAULT 0; -- millionths of a dollar
