//! What one query may ask for. The text and the document are weighed before the library sees them, in time linear in
//! their size: its own checks walk fragments as often as they are spread, which a few hundred bytes can make
//! exponential.

use std::collections::HashMap;
use std::time::Duration;

use async_graphql::Name;
use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};

use super::fault::{Code, Fault};

/// Bytes of a query's text.
pub(super) const MAX_QUERY: usize = 8 * 1_024;
/// Bytes of a request: the query and its variables.
pub(super) const MAX_BODY: usize = 32 * 1_024;
/// Fields on the longest way from the root to a leaf.
const MAX_DEPTH: usize = 12;
/// The same inside `__schema` and `__type`: the type references of the usual introspection query go deep.
const MAX_INTROSPECTION_DEPTH: usize = 18;
/// Lists within lists inside `__schema` and `__type`; the usual introspection query has one level.
const MAX_INTROSPECTION_LISTS: usize = 2;
/// Aliases, and fields asked for twice in one selection, fragments unfolded.
const MAX_ALIASES: usize = 30;
/// Fields, fragments unfolded.
const MAX_FIELDS: usize = 500;
/// Brackets within brackets of the text: the parser calls itself for each.
const MAX_BRACKETS: usize = 48;
/// Rows that the answer may hold. A field of a row weighs a tenth of one.
pub(super) const MAX_COMPLEXITY: usize = 2_000;
/// Parts of a row that a field weighs: the library counts each as 1.
pub(super) const ROW: usize = 10;
/// Directives on one field.
pub(super) const MAX_DIRECTIVES: usize = 10;
/// What the library says of a query above its complexity limit.
pub(super) const TOO_COMPLEX: &str = "Query is too complex.";
/// How long a query may take.
pub(super) const TIME: Duration = Duration::from_secs(5);
/// Rows of a page unless asked otherwise, and at most.
pub(super) const PAGE: (usize, usize) = (50, 500);
/// Rows of a page within a row unless asked otherwise.
pub(super) const NESTED_PAGE: i32 = 10;
/// Holds that one wallet can have of a token.
const HOLDS: usize = 16;

/// No sum of a query's weights comes near the type's end.
const HEAVIEST: usize = 1_000_000;

/// Weight of a list field, from the library's weight of one row's fields.
pub(crate) fn rows(first: Option<i32>, last: Option<i32>, row_fields: usize) -> usize {
    let rows = first.or(last).map_or(PAGE.0, |rows| usize::try_from(rows).unwrap_or(0));
    rows.saturating_mul(row_fields.saturating_add(ROW)).min(HEAVIEST)
}

/// [`rows`] of a list within a row.
pub(crate) fn nested_rows(first: Option<i32>, last: Option<i32>, row_fields: usize) -> usize {
    rows(first.or(last).or(Some(NESTED_PAGE)), None, row_fields)
}

/// Weight of a wallet's holds, which are no page: as if they were all that there can be.
pub(super) fn holds_of(row_fields: usize) -> usize {
    HOLDS.saturating_mul(row_fields)
}

/// Checks the text.
///
/// # Errors
/// [`Code::QueryTooLarge`].
pub(super) fn check_text(query: &str) -> Result<(), Fault> {
    if query.len() > MAX_QUERY {
        return Err(too_large(&format!("the query has {} bytes", query.len()), MAX_QUERY));
    }
    let (mut open, mut most) = (0usize, 0);
    for byte in query.bytes() {
        match byte {
            b'{' | b'[' | b'(' => open += 1,
            b'}' | b']' | b')' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    if most > MAX_BRACKETS {
        return Err(too_large(&format!("the query opens {most} brackets within each other"), MAX_BRACKETS));
    }
    Ok(())
}

/// Checks every operation of a document.
///
/// # Errors
/// [`Code::QueryTooLarge`], or [`Code::ValidationFailed`] for fragments that contain themselves.
pub(super) fn check_document(document: &ExecutableDocument) -> Result<(), Fault> {
    let mut scale = Scale { document, fragments: HashMap::new() };
    for (_, operation) in document.operations.iter() {
        let weight = scale.set(&operation.node.selection_set.node)?;
        for (found, what, most) in [
            (weight.depth, "levels of fields", MAX_DEPTH),
            (weight.aliases, "aliases or repeated fields", MAX_ALIASES),
            (weight.fields, "fields", MAX_FIELDS),
        ] {
            if found > most {
                return Err(too_large(&format!("the query has {found} {what}"), most));
            }
        }
    }
    Ok(())
}

fn too_large(found: &str, most: usize) -> Fault {
    Fault::new(Code::QueryTooLarge, format!("{found}: {most} are allowed"))
}

/// What a selection weighs, fragments unfolded.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    depth: usize,
    fields: usize,
    aliases: usize,
    /// Lists of the introspection types within each other.
    lists: usize,
}

struct Scale<'a> {
    document: &'a ExecutableDocument,
    /// Fragments weighed; `None` while being weighed.
    fragments: HashMap<&'a Name, Option<Weight>>,
}

impl<'a> Scale<'a> {
    fn set(&mut self, set: &'a SelectionSet) -> Result<Weight, Fault> {
        let mut sum = Weight::default();
        let mut keys: Vec<&Name> = Vec::new();
        for item in &set.items {
            let weight = match &item.node {
                Selection::Field(field) => {
                    let key = &field.node.response_key().node;
                    let again = keys.contains(&key);
                    keys.push(key);
                    let mut weight = self.field(&field.node)?;
                    weight.aliases += usize::from(field.node.alias.is_some() || again);
                    weight
                }
                Selection::InlineFragment(inline) => self.set(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node)?,
            };
            sum.depth = sum.depth.max(weight.depth);
            sum.lists = sum.lists.max(weight.lists);
            sum.fields = sum.fields.saturating_add(weight.fields);
            sum.aliases = sum.aliases.saturating_add(weight.aliases);
        }
        Ok(sum)
    }

    fn field(&mut self, field: &'a Field) -> Result<Weight, Fault> {
        let mut weight = self.set(&field.selection_set.node)?;
        weight.depth += 1;
        weight.fields = weight.fields.saturating_add(1);
        match field.name.node.as_str() {
            "fields" | "inputFields" | "interfaces" | "possibleTypes" => weight.lists += 1,
            "__schema" | "__type" => {
                if weight.depth > MAX_INTROSPECTION_DEPTH {
                    let found = format!("the introspection has {} levels of fields", weight.depth);
                    return Err(too_large(&found, MAX_INTROSPECTION_DEPTH));
                }
                if weight.lists > MAX_INTROSPECTION_LISTS {
                    let found = format!("the introspection has {} lists of fields within each other", weight.lists);
                    return Err(too_large(&found, MAX_INTROSPECTION_LISTS));
                }
                weight.depth = 1;
            }
            _ => {}
        }
        Ok(weight)
    }

    fn fragment(&mut self, name: &'a Name) -> Result<Weight, Fault> {
        match self.fragments.get(name) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => {
                let message = format!("fragment {name} contains itself: take the spread out");
                return Err(Fault::new(Code::ValidationFailed, message));
            }
            None => {}
        }
        // A fragment that is not there is the library's to report.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Weight::default()) };
        self.fragments.insert(name, None);
        let weight = self.set(&fragment.node.selection_set.node)?;
        self.fragments.insert(name, Some(weight));
        Ok(weight)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use async_graphql::parser::parse_query;

    use super::*;

    fn check(query: &str) -> Result<(), Fault> {
        check_text(query)?;
        check_document(&parse_query(query).unwrap())
    }

    fn refused(query: &str) -> Code {
        check(query).unwrap_err().code
    }

    #[test]
    fn an_ordinary_query_passes() {
        let query = "query Q($n: Int) { tokens(first: $n) { nodes { name holdings(first: 10) { nodes { ...H } } } } }
                     fragment H on Holding { balance party { partyId } }";
        assert_eq!(check(query), Ok(()));
    }

    #[test]
    fn twelve_levels_pass_and_thirteen_do_not() {
        let nested = |levels: usize| format!("{}{}", "{a".repeat(levels), "}".repeat(levels));
        assert_eq!(check(&nested(12)), Ok(()));
        assert_eq!(refused(&nested(13)), Code::QueryTooLarge);
        assert_eq!(refused(&nested(2_000)), Code::QueryTooLarge);
    }

    #[test]
    fn a_level_counts_in_a_fragment_as_out_of_it() {
        let deep = format!("{{ a {{ ...F }} }} fragment F on T {}{}", "{a".repeat(12), "}".repeat(12));
        assert_eq!(refused(&deep), Code::QueryTooLarge);
    }

    #[test]
    fn thirty_aliases_pass_and_thirty_one_do_not() {
        let aliased = |n: usize| {
            let fields: Vec<String> = (0..n).map(|i| format!("a{i}: tokens {{ totalCount }}")).collect();
            format!("{{ {} }}", fields.join(" "))
        };
        assert_eq!(check(&aliased(30)), Ok(()));
        assert_eq!(refused(&aliased(31)), Code::QueryTooLarge);
        assert_eq!(refused(&format!("{{ {} }}", "a ".repeat(32))), Code::QueryTooLarge);
    }

    #[test]
    fn an_alias_counts_as_often_as_its_fragment_is_spread() {
        let query = "{ a { ...F } b { ...F } c { ...F } d { ...F } }
                     fragment F on T { a1: a a2: a a3: a a4: a a5: a a6: a a7: a a8: a }";
        assert_eq!(refused(query), Code::QueryTooLarge);
    }

    #[test]
    fn a_fragment_that_contains_itself_is_refused() {
        assert_eq!(refused("{ ...A } fragment A on T { a { ...B } } fragment B on T { ...A }"), Code::ValidationFailed);
    }

    #[test]
    fn a_fragment_bomb_is_weighed_without_being_unfolded() {
        let mut bomb = String::from("{ ...F0 }");
        for i in 0..60 {
            bomb.push_str(&format!(" fragment F{i} on T {{ ...F{} ...F{} }}", i + 1, i + 1));
        }
        bomb.push_str(" fragment F60 on T { a }");
        let started = Instant::now();
        assert_eq!(refused(&bomb), Code::QueryTooLarge);
        // 2^60 steps would not end; this is about the order, not about speed.
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn the_usual_introspection_query_passes_and_a_circular_one_does_not() {
        let type_reference = format!("{}{}", "ofType { kind name ".repeat(9), "}".repeat(9));
        let usual = format!(
            "{{ __schema {{ types {{ ...Full }} }} }}
             fragment Full on __Type {{ name fields {{ name args {{ ...In }} type {{ ...Ref }} }} inputFields {{ ...In }} }}
             fragment In on __InputValue {{ name type {{ ...Ref }} }}
             fragment Ref on __Type {{ kind name {type_reference} }}"
        );
        assert_eq!(check(&usual), Ok(()));
        let circular = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
        assert_eq!(refused(circular), Code::QueryTooLarge);
    }

    #[test]
    fn a_query_above_eight_kilobytes_is_refused() {
        assert_eq!(refused(&format!("{{ a }} #{}", "x".repeat(MAX_QUERY))), Code::QueryTooLarge);
    }

    #[test]
    fn a_list_weighs_its_rows_and_their_fields() {
        let holdings = rows(Some(10), None, 3);
        assert_eq!(holdings, 10 * 13);
        assert!(rows(Some(100), None, holdings + 1) <= MAX_COMPLEXITY * ROW);
        assert_eq!(rows(None, None, 0), 50 * ROW);
        assert_eq!(nested_rows(None, Some(3), 0), 3 * ROW);
        assert!(rows(None, None, 20 + nested_rows(None, None, 10)) <= MAX_COMPLEXITY * ROW, "defaults may be nested");
        assert_eq!(rows(Some(i32::MAX), None, usize::MAX), HEAVIEST);
        assert_eq!(rows(Some(-1), None, 5), 0);
    }
}
