-- What a slot carries, written for a third. Its slot and its command are of the same transaction, the one written and the other
-- locked just before: two checks of each row cost twice what writing it does, and lock rows that nobody removes.
ALTER TABLE slot_commands
    DROP CONSTRAINT slot_commands_command_seq_fkey,
    DROP CONSTRAINT slot_commands_lane_id_nonce_fkey;
