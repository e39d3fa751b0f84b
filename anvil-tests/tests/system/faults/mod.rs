//! Exactly once, under faults: the real program killed, stopped, cut off and lied to. The chain's own logs are the
//! judge of every campaign, and the database has to agree with them.

mod cuts;
mod failpoints;
mod kills;
mod life;
mod losses;
mod race;
mod site;
mod turned;
mod verdict;
