-- What the processes that serve need, and no more: their role then owns no table, and changes neither what was audited and
-- sealed nor what was migrated. Called by `tokenx migrate --app-role`, after each migration anew: tables may have come.
CREATE FUNCTION open_to(app name) RETURNS void
    LANGUAGE plpgsql AS
$$
BEGIN
    IF pg_has_role(app, current_user, 'MEMBER') THEN
        RAISE EXCEPTION 'role % has the rights of %, who owns the tables', app, current_user
            USING ERRCODE = 'invalid_grant_operation',
                  HINT    = 'name a role of its own, which is no superuser';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', app);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %I', app);
    EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO %I', app);
    EXECUTE format('REVOKE UPDATE, DELETE ON audit_log, audit_seals FROM %I', app);
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM %I', app);
END
$$;
