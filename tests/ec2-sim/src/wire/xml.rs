//! Writing EC2's XML. Only what EC2 uses: elements, text, and lists whose items are called `item`.

use std::fmt::Display;

use super::Ec2Error;

/// The namespace of the API version that every current SDK speaks.
const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// The body of an answer as it is written.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

impl Xml {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// `<name>value</name>`.
    pub(crate) fn text(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.open(name);
        escape_into(&value.to_string(), &mut self.0);
        self.close(name)
    }

    /// The element, when there is a value.
    pub(crate) fn opt(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// An element with children.
    pub(crate) fn node(&mut self, name: &str, children: impl FnOnce(&mut Self)) -> &mut Self {
        self.open(name);
        children(self);
        self.close(name)
    }

    /// A list: `<name><item>..</item>..</name>`.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.node(name, |xml| {
            for item in items {
                xml.node("item", |xml| write(xml, item));
            }
        })
    }

    /// A list of plain texts.
    pub(crate) fn texts<T: Display>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        self.node(name, |xml| {
            for item in items {
                xml.text("item", item);
            }
        })
    }

    /// Tags as every describe call shows them.
    pub(crate) fn tags<'t>(
        &mut self,
        tags: impl IntoIterator<Item = (&'t String, &'t String)>,
    ) -> &mut Self {
        self.list("tagSet", tags, |xml, (key, value)| {
            xml.text("key", key).text("value", value);
        })
    }

    /// Text that is XML already.
    pub(crate) fn raw(&mut self, xml: &str) -> &mut Self {
        self.0.push_str(xml);
        self
    }

    fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    fn close(&mut self, name: &str) -> &mut Self {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
        self
    }

    /// The text written so far.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// The whole answer of an action that succeeded.
pub(crate) fn response_document(action: &str, request_id: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response xmlns=\"{NAMESPACE}\"><requestId>{request_id}</requestId>{body}</{action}Response>"
    )
}

/// The whole answer of an action that failed. Note `RequestID`, written so only here.
pub(crate) fn error_document(error: &Ec2Error, request_id: &str) -> String {
    let mut xml = Xml::new();
    xml.node("Response", |xml| {
        xml.node("Errors", |xml| {
            xml.node("Error", |xml| {
                xml.text("Code", &error.code)
                    .text("Message", &error.message);
            });
        });
        xml.text("RequestID", request_id);
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}",
        xml.into_string()
    )
}

/// Characters that XML 1.0 cannot carry at all become U+FFFD: an answer must always parse.
fn escape_into(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A parser would turn a bare carriage return into a newline.
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(character),
            control if control < ' ' || control == '\u{fffe}' || control == '\u{ffff}' => {
                out.push('\u{fffd}')
            }
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ec2Error, Xml, error_document};

    #[test]
    fn text_is_escaped() {
        let mut xml = Xml::new();
        xml.text("value", "a<b>&\"c\"\r\u{1}");
        assert_eq!(
            xml.into_string(),
            "<value>a&lt;b&gt;&amp;&quot;c&quot;&#13;\u{fffd}</value>"
        );
    }

    #[test]
    fn an_error_has_the_shape_of_ec2() {
        let document = error_document(&Ec2Error::throttled(), "r-1");
        assert!(document.ends_with(
            "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors><RequestID>r-1</RequestID></Response>"
        ));
    }
}
