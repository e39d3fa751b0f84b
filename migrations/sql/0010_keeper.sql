-- The keeper's rooms stay small whatever the history.

-- All attempts of a command, those of slots that let go of it included.
CREATE INDEX slot_commands_command ON slot_commands (command_seq);
