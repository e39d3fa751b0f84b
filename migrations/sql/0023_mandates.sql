-- Commands whose signatures are missing still: hosted wallets' keys make them when the call is built.

ALTER TABLE commands ADD COLUMN mandate boolean NOT NULL DEFAULT false;

-- A wallet's permits, which count one after another (ERC-2612).
CREATE INDEX commands_permits ON commands ((operation -> 'permit' ->> 'owner')) WHERE kind IN ('use_permit', 'permit');
