//! Pages of rows in the order of when they were made, those of one moment by their id.

/// The statement of a page of the rows that `matching` says: above the first two of these parameters and below the next
/// two, both moment and id, as many as the last one at most.
macro_rules! made_between {
    ($matching:ident!(), $id:literal, $parameters:tt, $window:expr) => {
        if $window.descending {
            $crate::store::page::made_between!(@ $matching, $id, $parameters, "DESC")
        } else {
            $crate::store::page::made_between!(@ $matching, $id, $parameters, "ASC")
        }
    };
    (@ $matching:ident, $id:literal, [$after:literal, $above:literal, $until:literal, $below:literal, $limit:literal],
     $direction:literal) => {
        concat!(
            "SELECT *",
            $matching!(),
            " AND (", $after, "::timestamptz IS NULL OR (created_at, ", $id, ") > (", $after, ", ", $above, "))
              AND (", $until, "::timestamptz IS NULL OR (created_at, ", $id, ") < (", $until, ", ", $below, "))
            ORDER BY created_at ", $direction, ", ", $id, " ", $direction, " LIMIT ", $limit
        )
    };
}
pub(crate) use made_between;
