-- Commands of a scope, newest first. Of an expression: where a table is small still, the planner held an index that begins with
-- the scope to be as good as `commands_id` for finding one command by its id, and kept that plan while the table grew.
DROP INDEX commands_listed;
CREATE INDEX commands_listed ON commands ((scope || ''), seq DESC);
