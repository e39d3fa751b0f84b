//! The types, one file a family. A row carries its request's reader, so that what it leads to is read with the rest
//! of the request.

pub(super) mod command;
pub(super) mod deal;
pub(super) mod document;
pub(super) mod event;
pub(super) mod filter;
pub(super) mod hold;
pub(super) mod holder;
pub(super) mod holding;
pub(super) mod meta;
pub(super) mod offering;
pub(super) mod order;
pub(super) mod party;
pub(super) mod record;
pub(super) mod redemption;
pub(super) mod rent;
pub(super) mod status;
pub(super) mod subscription;
pub(super) mod token;
pub(super) mod total;
pub(super) mod trade;

/// What `x` and `x_in` together allow; `None`: everything.
pub(super) fn one_of<T: PartialEq>(one: Option<T>, list: Option<Vec<T>>) -> Option<Vec<T>> {
    match (one, list) {
        (Some(one), Some(list)) => Some(if list.contains(&one) { vec![one] } else { Vec::new() }),
        (Some(one), None) => Some(vec![one]),
        (None, list) => list,
    }
}

/// [`one_of`] for addresses.
pub(super) fn addresses(
    one: Option<super::scalars::Addr>,
    list: Option<Vec<super::scalars::Addr>>,
) -> Option<Vec<alloy::primitives::Address>> {
    one_of(one, list).map(|list| list.into_iter().map(|address| address.0).collect())
}

/// An id that is a UUID.
pub(super) fn uuid(argument: &str, id: &async_graphql::ID) -> Result<uuid::Uuid, super::fault::Fault> {
    id.parse().map_err(|_| super::fault::Fault::bad_input(format!("{argument}: {:?} is not a UUID", id.as_str())))
}

#[cfg(test)]
mod tests {
    use super::one_of;

    #[test]
    fn a_value_and_a_list_allow_what_both_allow() {
        assert_eq!(one_of(None::<i32>, None), None);
        assert_eq!(one_of(Some(1), None), Some(vec![1]));
        assert_eq!(one_of(None, Some(vec![1, 2])), Some(vec![1, 2]));
        assert_eq!(one_of(Some(1), Some(vec![1, 2])), Some(vec![1]));
        assert_eq!(one_of(Some(3), Some(vec![1, 2])), Some(vec![]));
    }
}
