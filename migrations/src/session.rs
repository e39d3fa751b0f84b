//! A connection that nobody else ever meets half-used.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

/// A connection of a pool that is closed when dropped, unless it was given back.
///
/// A future that is dropped in the middle of a `COPY` leaves answers on the connection that its next user would take
/// for its own; the driver cannot tell. Ending the session is certain, and rolls back what was open in it.
#[derive(Debug)]
pub struct Session {
    connection: PoolConnection<Postgres>,
    sound: bool,
}

impl Session {
    /// Waits for a connection of `pool`.
    ///
    /// # Errors
    /// The database's, or that no connection came free.
    pub async fn acquire(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: pool.acquire().await?, sound: false })
    }

    /// Gives it back: everything that was asked on it has been answered.
    pub fn give_back(mut self) {
        self.sound = true;
    }
}

impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.sound {
            self.connection.close_on_drop();
        }
    }
}
