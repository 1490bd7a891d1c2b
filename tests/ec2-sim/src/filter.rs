//! Filters and pages of describe calls.
//!
//! Source: "List and filter your resources", EC2 user guide (`*` any characters, `?` one character, `\` escapes; values
//! of one filter are alternatives, filters must all match) and "Paginating results", Amazon EC2 Developer Guide.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::wire::{Ec2Error, Params};

/// EC2 refuses more values than this in one request.
const VALUES_MAX: usize = 200;

/// Whether a text matches a pattern with `*`, `?` and `\`.
pub(crate) fn glob_matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // The last star and how much text it has swallowed: going back there is all the memory that globs need.
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        let (literal, width) = match pattern.get(at_pattern) {
            Some('\\') if at_pattern + 1 < pattern.len() => (pattern.get(at_pattern + 1), 2),
            Some('*') => {
                star = Some((at_pattern, at_text));
                at_pattern += 1;
                continue;
            }
            Some('?') => (text.get(at_text), 1),
            other => (other, 1),
        };
        if literal.is_some() && literal == text.get(at_text) {
            at_pattern += width;
            at_text += 1;
        } else if let Some((star_at, swallowed)) = star {
            star = Some((star_at, swallowed + 1));
            at_pattern = star_at + 1;
            at_text = swallowed + 1;
        } else {
            return false;
        }
    }
    pattern
        .get(at_pattern..)
        .is_none_or(|rest| rest.iter().all(|one| *one == '*'))
}

/// The filters of a describe call.
#[derive(Debug, Default)]
pub(crate) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Reads `Filter.N.Name` and `Filter.N.Value.M`; a name that is not known is refused, as EC2 does. A known name that
    /// ends with `:` stands for all names that begin so (`tag:`).
    pub(crate) fn read(params: &Params, known: &[&str]) -> Result<Self, Ec2Error> {
        let mut filters = Vec::new();
        let mut values_seen = 0;
        for item in params.list("Filter") {
            let name = item.required("Name")?;
            let is_known = known
                .iter()
                .any(|one| *one == name || (one.ends_with(':') && name.starts_with(one)));
            if !is_known {
                return Err(Ec2Error::new(
                    "InvalidParameterValue",
                    format!("The filter '{name}' is invalid"),
                ));
            }
            let values = item.texts("Value");
            values_seen += values.len();
            if values.is_empty() {
                return Err(Ec2Error::new(
                    "InvalidParameterValue",
                    "The filter value is missing.",
                ));
            }
            filters.push((name.to_owned(), values));
        }
        if values_seen > VALUES_MAX {
            return Err(Ec2Error::new(
                "FilterLimitExceeded",
                format!(
                    "The maximum number of filter values specified on a single call is {VALUES_MAX}"
                ),
            ));
        }
        Ok(Self(filters))
    }

    /// Whether a thing passes; `values_of` tells its values for a filter name.
    pub(crate) fn accept(&self, values_of: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|(name, patterns)| {
            let values = values_of(name);
            patterns
                .iter()
                .any(|pattern| values.iter().any(|value| glob_matches(pattern, value)))
        })
    }
}

/// How many a call wants at a time, and from where.
#[derive(Debug)]
pub(crate) struct Page {
    size: Option<usize>,
    after: u64,
}

impl Page {
    /// Reads `MaxResults` (refused outside `least..=most`) and `NextToken`.
    pub(crate) fn read(params: &Params, least: i64, most: i64) -> Result<Self, Ec2Error> {
        let size = match params.int("MaxResults")? {
            Some(wanted) if wanted < least || wanted > most => {
                return Err(Ec2Error::new(
                    "InvalidParameterValue",
                    format!(
                        "Value ( {wanted} ) for parameter maxResults is invalid. Expecting a value between {least} and {most}."
                    ),
                ));
            }
            wanted => wanted.and_then(|wanted| usize::try_from(wanted).ok()),
        };
        let after = match params.text("NextToken") {
            None => 0,
            Some(token) => STANDARD
                .decode(token)
                .ok()
                .and_then(|bytes| {
                    String::from_utf8(bytes)
                        .ok()?
                        .strip_prefix("after ")?
                        .parse()
                        .ok()
                })
                .ok_or_else(|| {
                    Ec2Error::new(
                        "InvalidNextToken",
                        format!("The token '{token}' is invalid"),
                    )
                })?,
        };
        Ok(Self { size, after })
    }

    /// Cuts the page out of all items, which come with keys that grow and never change; returns the next token too.
    pub(crate) fn cut<T>(
        &self,
        items: impl IntoIterator<Item = (u64, T)>,
    ) -> (Vec<T>, Option<String>) {
        let mut page = Vec::new();
        let mut last = self.after;
        for (key, item) in items.into_iter().filter(|(key, _)| *key > self.after) {
            if self.size.is_some_and(|size| page.len() == size) {
                return (page, Some(STANDARD.encode(format!("after {last}"))));
            }
            last = key;
            page.push(item);
        }
        (page, None)
    }

    /// As [`Page::cut`], for a list that never changes: positions are the keys.
    pub(crate) fn cut_list<T>(
        &self,
        items: impl IntoIterator<Item = T>,
    ) -> (Vec<T>, Option<String>) {
        self.cut((1..).zip(items))
    }
}

#[cfg(test)]
mod tests {
    use super::{Filters, Page, glob_matches};
    use crate::wire::Params;

    #[test]
    fn globs_match_as_in_ec2() {
        for (pattern, text, expected) in [
            ("c5.*", "c5.large", true),
            ("c5.*", "c5n.large", false),
            ("c?.large", "c5.large", true),
            ("*large", "c5.xlarge", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            ("", "", true),
            ("*", "", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(
                glob_matches(pattern, text),
                expected,
                "{pattern} against {text}"
            );
        }
    }

    #[test]
    fn filters_are_all_needed_and_their_values_are_alternatives() {
        let params = Params::parse(
            b"Filter.1.Name=state&Filter.1.Value.1=a&Filter.1.Value.2=b&Filter.2.Name=tag:k&Filter.2.Value.1=v*",
        );
        let filters = Filters::read(&params, &["state", "tag:"]).unwrap();
        let accept = |state: &str, tag: &str| {
            filters.accept(|name| {
                vec![if name == "state" {
                    state.to_owned()
                } else {
                    tag.to_owned()
                }]
            })
        };
        assert!(accept("b", "vw"));
        assert!(!accept("c", "vw"));
        assert!(!accept("a", "w"));
        assert_eq!(
            Filters::read(&params, &["state"]).unwrap_err().message,
            "The filter 'tag:k' is invalid"
        );
    }

    #[test]
    fn pages_continue_where_the_last_ended() {
        let items = [(1, 'a'), (4, 'b'), (9, 'c')];
        let page = Page::read(&Params::parse(b"MaxResults=2"), 1, 1000).unwrap();
        let (first, token) = page.cut(items);
        assert_eq!(first, ['a', 'b']);
        let mut params = Params::parse(b"MaxResults=2");
        params.insert("NextToken", &token.unwrap());
        assert_eq!(
            Page::read(&params, 1, 1000).unwrap().cut(items),
            (vec!['c'], None)
        );
        assert!(Page::read(&Params::parse(b"MaxResults=2"), 5, 1000).is_err());
    }
}
