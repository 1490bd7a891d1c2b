//! Values that become part of other names: of ids, tags, files, hosts.

use serde_json::Value;

use super::fault::quoted;
use super::read::{Problem, Read, text};

/// The longest name of a sweep or a member. With date and hash it stays within a DNS label and a tag.
const NAME_CHARS_MAX: usize = 60;

/// The longest value of a tag (Amazon EC2 User Guide, "Tag restrictions").
pub(crate) const TAG_CHARS_MAX: usize = 256;

/// The name of a sweep or a member.
pub(super) fn name(value: &Value) -> Read<String> {
    let given = text(value, 4096)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let chars = given.chars().count();
    if given.chars().all(is_plain) && chars <= NAME_CHARS_MAX {
        return Ok(given.to_owned());
    }
    if given.chars().all(is_plain) {
        return Err(Problem::new(format!("{} has {chars} characters", quoted(given))).into());
    }
    let plain: String = given
        .trim()
        .chars()
        .map(|c| if is_plain(c) { c } else { '-' })
        .collect();
    let plain = plain.trim_matches('-');
    let is_name = (1..=NAME_CHARS_MAX).contains(&plain.len());
    let hint = is_name.then(|| format!("write {plain}"));
    Err(
        Problem::new(format!("{} has other characters", quoted(given)))
            .hint(hint)
            .into(),
    )
}

/// The value of a tag.
pub(super) fn tag(value: &Value) -> Read<String> {
    let given = text(value, 4096)?;
    let chars = given.chars().count();
    if chars > TAG_CHARS_MAX {
        return Err(Problem::new(format!("it has {chars} characters")).into());
    }
    let is_allowed = |c: char| c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c);
    match given.chars().all(is_allowed) {
        true => Ok(given.to_owned()),
        false => Err(Problem::new(format!("{} has other characters", quoted(given))).into()),
    }
}

/// A file below the working directory.
pub(super) fn file(value: &Value) -> Read<String> {
    let path = text(value, 512)?;
    let refused = |why: &str| Err(Problem::new(format!("{} {why}", quoted(path))).into());
    if path.starts_with('/') || path.starts_with('~') {
        return refused("is not relative");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refused("does not name a file below the working directory");
    }
    if path.contains(char::is_control) {
        return refused("has control characters");
    }
    Ok(path.to_owned())
}

/// One label of a DNS name.
pub(super) fn dns_label(value: &Value) -> Read<String> {
    let label = text(value, 4096)?;
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.len() <= 63
            && label.chars().all(|c| is_edge(c) || c == '-')
            && label.starts_with(is_edge)
            && label.ends_with(is_edge)
    };
    if is_label(label) {
        return Ok(label.to_owned());
    }
    let lower = label.to_lowercase().replace(['_', ' '], "-");
    let hint = is_label(&lower).then(|| format!("write {lower}"));
    Err(
        Problem::new(format!("{} is not a DNS label", quoted(label)))
            .hint(hint)
            .into(),
    )
}
