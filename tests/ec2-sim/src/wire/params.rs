//! Query parameters as a tree: `TagSpecification.1.Tag.2.Key=Name` is a path of names and list positions.

use std::collections::BTreeMap;

use super::Ec2Error;

/// One node of the parameter tree: a value, named children, or list items under the names `1`, `2`, ...
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params {
    value: Option<String>,
    children: BTreeMap<String, Params>,
}

impl Params {
    /// Parses `application/x-www-form-urlencoded` text (a body or a query string). The last of repeated names wins.
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        let mut root = Self::default();
        for (name, value) in form_urlencoded::parse(encoded) {
            root.insert(&name, &value);
        }
        root
    }

    /// Sets the value at a dotted path.
    pub(crate) fn insert(&mut self, path: &str, value: &str) {
        let mut node = self;
        for part in path.split('.') {
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.value = Some(value.to_owned());
    }

    /// The node at a dotted path.
    pub(crate) fn get(&self, path: &str) -> Option<&Self> {
        path.split('.')
            .try_fold(self, |node, part| node.children.get(part))
    }

    /// This node's own value.
    pub(crate) fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The text at a path; an empty text counts as absent, as EC2 treats it.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.get(path)?.value().filter(|text| !text.is_empty())
    }

    /// The text at a path, or `MissingParameter`.
    pub(crate) fn required(&self, path: &str) -> Result<&str, Ec2Error> {
        self.text(path).ok_or_else(|| Ec2Error::missing(path))
    }

    /// The whole number at a path.
    pub(crate) fn int(&self, path: &str) -> Result<Option<i64>, Ec2Error> {
        self.text(path)
            .map(|text| {
                text.parse().map_err(|_| {
                    Ec2Error::new(
                        "InvalidParameterValue",
                        format!("Invalid value '{text}' for {path}. Must be an integer."),
                    )
                })
            })
            .transpose()
    }

    /// The truth value at a path.
    pub(crate) fn flag(&self, path: &str) -> Result<Option<bool>, Ec2Error> {
        self.text(path)
            .map(|text| match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(Ec2Error::new(
                    "InvalidParameterValue",
                    format!("Invalid value '{text}' for boolean parameter {path}."),
                )),
            })
            .transpose()
    }

    /// The items of a list in the order of their positions.
    pub(crate) fn list(&self, path: &str) -> Vec<&Self> {
        let Some(node) = self.get(path) else {
            return Vec::new();
        };
        let mut items: Vec<(u32, &Self)> = node
            .children
            .iter()
            .filter_map(|(position, item)| Some((position.parse().ok()?, item)))
            .collect();
        items.sort_by_key(|(position, _)| *position);
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// The texts of a list, in order.
    pub(crate) fn texts(&self, path: &str) -> Vec<String> {
        self.list(path)
            .iter()
            .filter_map(|item| item.value().map(ToOwned::to_owned))
            .collect()
    }

    /// The children with their names.
    pub(crate) fn children(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.children
            .iter()
            .map(|(name, node)| (name.as_str(), node))
    }

    /// Whether every child is a list item.
    pub(crate) fn is_list(&self) -> bool {
        !self.children.is_empty() && self.children.keys().all(|name| name.parse::<u32>().is_ok())
    }

    /// Replaces whole top-level members of `self` by those of `over`, as a launch request overrides its template.
    pub(crate) fn overridden_by(&self, over: &Self) -> Self {
        let mut merged = self.clone();
        for (name, node) in &over.children {
            merged.children.insert(name.clone(), node.clone());
        }
        merged
    }

    /// A text that is equal for two requests exactly when their parameters are, whatever order they came in.
    pub(crate) fn canonical(&self, ignored: &[&str]) -> String {
        let mut lines = String::new();
        for (name, node) in self
            .children
            .iter()
            .filter(|(name, _)| !ignored.contains(&name.as_str()))
        {
            node.write_canonical(name, &mut lines);
        }
        lines
    }

    fn write_canonical(&self, path: &str, lines: &mut String) {
        if let Some(value) = &self.value {
            lines.push_str(&format!("{path}={value:?}\n"));
        }
        for (name, node) in &self.children {
            node.write_canonical(&format!("{path}.{name}"), lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Params;

    #[test]
    fn list_items_come_in_numeric_order() {
        let params = Params::parse(b"InstanceId.10=j&InstanceId.2=b&InstanceId.1=a");
        assert_eq!(params.texts("InstanceId"), ["a", "b", "j"]);
    }

    #[test]
    fn values_are_decoded_and_may_hold_dots_and_newlines() {
        let params = Params::parse(b"Tag.1.Key=a.b%3Dc&Tag.1.Value=x%0Ay+z");
        let tag = params.list("Tag")[0];
        assert_eq!(
            (tag.text("Key"), tag.text("Value")),
            (Some("a.b=c"), Some("x\ny z"))
        );
    }

    #[test]
    fn the_canonical_text_ignores_order_and_named_members() {
        let one = Params::parse(b"A=1&B.1=2&ClientToken=x");
        let two = Params::parse(b"ClientToken=y&B.1=2&A=1");
        assert_eq!(
            one.canonical(&["ClientToken"]),
            two.canonical(&["ClientToken"])
        );
        assert_ne!(one.canonical(&[]), two.canonical(&[]));
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        let error = Params::parse(b"MaxCount=many").int("MaxCount").unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
    }
}
