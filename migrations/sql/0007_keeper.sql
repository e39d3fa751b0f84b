-- The keeper, exactly once at speed: commands go from acceptance straight into a slot, picked Executor by Executor.

DROP INDEX commands_waiting;
CREATE INDEX commands_waiting   ON commands (chain_id, executor, seq) WHERE state IN ('accepted', 'ready');
CREATE INDEX commands_deadlines ON commands (chain_id, valid_until)   WHERE state IN ('accepted', 'ready') AND valid_until IS NOT NULL;
CREATE INDEX commands_refused   ON commands (chain_id, refused_last)  WHERE state IN ('accepted', 'ready') AND refused_last IS NOT NULL;

-- Whom an Executor succeeds, as it says itself; fixed when it was deployed. It skips what one of those ran.
CREATE TABLE executors (
    chain_id bigint  NOT NULL,
    executor address NOT NULL,
    previous address,                                    -- null: nobody
    PRIMARY KEY (chain_id, executor)
);
