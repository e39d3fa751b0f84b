//! Where a request comes from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::app::App;
use crate::error::ApiError;

/// To which each proxy appends the address it was called from.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whoever sent the request, as far as it can be believed: the other end of the connection, unless that is a proxy of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Of a request.
    pub fn of(app: &App, extensions: &Extensions, headers: &HeaderMap) -> ClientAddress {
        let peer = extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
        ClientAddress(behind(peer, headers, &app.settings().server.trusted_proxies))
    }

    /// What its requests are counted by: whoever has an IPv6 address has all of its network.
    pub fn key(self) -> String {
        match self.0 {
            IpAddr::V4(address) => format!("address:{address}"),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("address:{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<ClientAddress, ApiError> {
        Ok(ClientAddress::of(app, &parts.extensions, &parts.headers))
    }
}

/// Walks back through the proxies that are trusted, from the last: what a proxy says of its caller is believed, what that
/// caller says of his only if he is a trusted proxy as well. Anybody can write the rest of the header.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let said: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().flat_map(|line| line.to_str().unwrap_or("").split(',')).collect();
    let mut client = peer.to_canonical();
    for hop in said.into_iter().rev() {
        if !trusted.iter().any(|net| net.contains(&client)) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(address) => client = address.to_canonical(),
            Err(_) => break,
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        behind(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn nobodys_header_is_believed_who_is_no_trusted_proxy() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(client("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn the_header_is_read_from_the_right_through_trusted_hops_only() {
        let trusted = ["10.0.0.0/8", "192.0.2.7/32"];
        assert_eq!(client("10.0.0.1", &["198.51.100.1"], &trusted), "198.51.100.1");
        // What the client itself wrote stands further left.
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 198.51.100.1"], &trusted), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 198.51.100.1, 192.0.2.7"], &trusted), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "198.51.100.1", "192.0.2.7"], &trusted), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"], &trusted), "10.0.0.3", "all of them trusted: the first");
        assert_eq!(client("10.0.0.1", &[], &trusted), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown"], &trusted), "10.0.0.1", "no address: no further");
        assert_eq!(client("::ffff:10.0.0.1", &["2001:db8::1"], &trusted), "2001:db8::1");
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let key = |address: &str| ClientAddress(address.parse().unwrap()).key();
        assert_eq!(key("2001:db8:1:2:3::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("192.0.2.1"), "address:192.0.2.1");
    }
}
