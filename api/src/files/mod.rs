//! Uploaded files: bytes in a folder or a bucket ([`store`]), of a few types that their own bytes prove ([`sniff`]),
//! served as attachments ([`serve`]) to whom the token's record or a signed link ([`link`]) lets.

pub mod link;
pub mod serve;
pub mod sniff;
pub mod store;
pub mod upload;
